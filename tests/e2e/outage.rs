//! Leases that end while the token service is down.

use std::time::Duration;

use harness::{Operation, eventually_within};
use serde_json::json;

use crate::lab::Lab;
use crate::token_accounting::TokenNames;

const LEASES: usize = 50;

/// The first request of a revocation and its four retries.
const MAX_REQUESTS: usize = 5;

/// Vault repeats a failed revocation after about ten seconds, then after twenty.
const SECOND_ATTEMPT: Duration = Duration::from_secs(120);

#[tokio::test]
async fn vault_revokes_the_leases_that_ended_while_the_service_was_down_once_it_is_back() {
    let mut lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    for _ in 0..LEASES {
        lab.vault.request("GET", "custom/creds/developer", None).await.success();
    }
    assert_eq!(lab.live_tokens().len(), LEASES);
    lab.upstream.stop_listening().await;
    let ended = json!({"sync": false});
    lab.vault.request("PUT", "sys/leases/revoke-prefix/custom/creds", Some(ended)).await.success();
    let failures = async || lab.vault.logs().matches("no connection").count();
    harness::eventually("every revocation has failed once", async || {
        let failed = failures().await;
        if failed >= LEASES { Ok(()) } else { Err(format!("{failed} of {LEASES}")) }
    })
    .await;
    assert_eq!(lab.leased_tokens("custom").await.len(), LEASES, "no lease is given up");

    let before = lab.upstream.requests_for(Operation::Revoke).len();
    lab.upstream.listen_again().await;
    eventually_within(SECOND_ATTEMPT, "Vault has revoked every lease", async || {
        let left = lab.live_tokens();
        if left.is_empty() { Ok(()) } else { Err(format!("{} tokens are left", left.len())) }
    })
    .await;
    let sent = lab.upstream.requests_for(Operation::Revoke).len() - before;
    assert!((LEASES..=LEASES * MAX_REQUESTS).contains(&sent), "{sent} requests for {LEASES} leases");
    harness::eventually("no lease is left", async || {
        let left = lab.leased_tokens("custom").await;
        (left == TokenNames::new()).then_some(())
    })
    .await;
}
