//! Invariants of other users' tokens, and of the tokens of leases, with a real Vault.

use std::time::Duration;

use harness::{Fault, Operation, Upstream, VaultServer};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::token_accounting::TokenNames;

#[tokio::test]
async fn an_old_lease_never_revokes_the_token_of_another_service_that_has_the_same_id() {
    let counting = || Upstream::builder().sequential_ids().start();
    let lab = Lab::with_upstream(VaultServer::builder(), counting().await).await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    let other = counting().await;
    let write_config = async |upstream: &Upstream| {
        let config = json!({"api_endpoint": upstream.endpoint(), "api_key": upstream.api_key()});
        lab.vault.request("POST", "custom/config", Some(config)).await.success();
    };
    let old = lab.read_credential("custom").await;
    write_config(&other).await;
    // The token of the smoke test of `register` has the first id, and is revoked.
    for _ in lab.upstream.issued() {
        lab.vault.request("GET", "custom/creds/developer", None).await.success();
    }
    let strangers: Vec<String> = other.live().into_iter().map(|token| token.id).collect();
    assert!(strangers.contains(&lab.upstream_id(&old)), "{strangers:?}");

    let lease = old["lease_id"].as_str().unwrap();
    let refused = lab.vault.cli(["lease", "revoke", "-sync", lease]).await;
    assert_ne!(refused.code, Some(0));
    assert!(
        refused.stderr.contains(&format!("api_endpoint={}", lab.upstream.endpoint())),
        "{}",
        refused.stderr
    );
    assert_eq!(other.live().len(), strangers.len(), "the stranger's token lives");
    assert!(lab.is_live(&lab.upstream_id(&old)), "and so does ours, under its lease");

    write_config(&lab.upstream).await;
    lab.vault.cli(["lease", "revoke", "-sync", lease]).await.success();
    assert!(!lab.is_live(&lab.upstream_id(&old)));
}

#[tokio::test]
async fn an_increment_is_granted_only_as_far_as_the_service_renews() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    lab.vault.cli(["write", "custom/config", "renew_upstream=true"]).await.success();
    let lease = lab.read_credential("custom").await["lease_id"].as_str().unwrap().to_owned();
    let renew = async || -> Value {
        lab.vault.cli(["lease", "renew", "-format=json", "-increment=2h", &lease]).await.json()
    };
    let granted = renew().await["lease_duration"].as_u64().unwrap();
    // Vault and the plugin may read the clock in different seconds.
    assert!((7199..=7200).contains(&granted), "{granted} s");
    let asked = lab.upstream.requests_for(Operation::Renew).pop().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&asked.body).unwrap()["ttl"], 7200);

    let soon = (Timestamp::now() + Duration::from_mins(10)).to_string();
    lab.upstream.fail_next(Operation::Renew, 1, Fault::ExpiresAt(soon));
    let granted = renew().await["lease_duration"].as_u64().unwrap();
    assert!((500..=600).contains(&granted), "{granted} s over a token with 600 s left");
}

#[tokio::test]
async fn a_reload_waits_until_a_token_that_nobody_gets_is_revoked() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    lab.upstream.fail_next(Operation::Mint, 1, Fault::ExpiresAt("2001-01-01T00:00:00Z".to_owned()));
    lab.upstream.fail(Operation::Revoke, Fault::Withheld);
    let mut client = lab.program.start(["creds", "get", "custom/creds/developer"]);
    lab.upstream.wait_withheld(1).await;
    // The request is cancelled with its client. The revocation is not, and its WAL entry stays until its result is known.
    client.kill().await;
    let old = lab.vault.child_plugin_pids();
    let mut reload = std::pin::pin!(async {
        let mounts = json!({"mounts": ["custom/"]});
        lab.vault.request("POST", "sys/plugins/reload/backend", Some(mounts)).await.success()
    });
    let unanswered = tokio::time::timeout(Duration::from_secs(1), &mut reload).await;
    assert!(unanswered.is_err(), "the reload waits for the process");
    assert_eq!(lab.vault.child_plugin_pids(), old);
    lab.upstream.heal();
    reload.await;
    assert_eq!((lab.wal_tokens("custom").await, lab.live_tokens()), (TokenNames::new(), TokenNames::new()));
}

#[tokio::test]
async fn a_caller_can_tell_a_wrong_role_from_a_service_that_is_busy_or_down() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    lab.vault.cli(["write", "custom/config", "idempotency_window=0"]).await.success();
    for (said, status) in [(400, 400), (422, 400), (429, 429), (502, 502), (503, 503), (500, 500)] {
        let wait = Duration::from_hours(1);
        lab.upstream.fail_next(Operation::Mint, 1, Fault::StatusWithRetryAfter(said, wait));
        let reply = lab.vault.request("GET", "custom/creds/developer", None).await;
        assert_eq!(reply.status, status, "for {said}: {}", reply.body);
    }
    assert_eq!(lab.live_tokens(), TokenNames::new());
}

#[tokio::test]
async fn of_two_writes_at_once_neither_brings_an_old_key_back() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    for round in 0..20 {
        let key = format!("key-{round}");
        let write = |field: &str, value: Value| {
            lab.vault.request("POST", "custom/config", Some(json!({field: value})))
        };
        lab.upstream.rotate_api_key(&key);
        let (one, other) =
            tokio::join!(write("api_key", key.into()), write("request_timeout", (10 + round).into()));
        one.success();
        other.success();
        let config = lab.vault.request("GET", "custom/config", None).await.success();
        assert_eq!(config["data"]["request_timeout"], 10 + round);
        let reply = lab.vault.request("GET", "custom/creds/developer", None).await;
        assert_eq!(reply.status, 200, "the new key is in force in round {round}: {}", reply.body);
    }
}

#[tokio::test]
async fn a_token_that_may_be_live_is_named_in_the_log_of_vault() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let name = lab.mint_with_lost_response().await;
    lab.vault.cli(["write", "custom/config", "idempotency_window=0"]).await.success();
    lab.roll_back_wal("custom").await;
    // Vault does not log the error response.
    let logs = lab.vault.logs();
    let said = |line: &str| line.contains("[ERROR]") && line.contains(&name) && line.contains("may be live");
    assert!(logs.lines().any(said), "{logs}");
}

#[tokio::test]
async fn a_mount_that_is_disabled_leaves_no_token_whose_answer_was_lost() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let name = lab.mint_with_lost_response().await;
    assert!(lab.live_tokens().contains(&name));
    lab.vault.cli(["secrets", "disable", "custom"]).await.success();
    assert_eq!(lab.live_tokens(), TokenNames::new());
}

impl Lab {
    /// Mints a token whose response is lost, so that only the WAL entry has it, and returns its name.
    async fn mint_with_lost_response(&self) -> String {
        self.upstream.fail_next(Operation::Mint, 1, Fault::BrokenJson);
        assert_ne!(self.vault.request("GET", "custom/creds/developer", None).await.status, 200);
        let announced: Vec<String> = self.wal_tokens("custom").await.into_iter().collect();
        let [name] = &announced[..] else { panic!("one entry, not {announced:?}") };
        name.clone()
    }
}
