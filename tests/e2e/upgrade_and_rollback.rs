//! An upgrade and its rollback with live leases and write-ahead entries: what one version has stored, the other one reads.

use harness::{Fault, Operation, build, eventually};
use serde_json::json;

use crate::lab::{BINARY, Lab};
use crate::token_accounting::TokenNames;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The last commit whose leases hold neither account nor revocation, and whose write-ahead entries hold no bytes.
const OLDER_COMMIT: &str = "47acde490fe29c874803a6c69c094d9330c1d3e0";

impl Lab {
    async fn lease(&self) -> String {
        self.read_credential("custom").await["lease_id"].as_str().unwrap().to_owned()
    }

    /// Has the plugin killed at the worst moment: a token is live that only its write-ahead entry knows.
    async fn leak_token_to_wal(&self) {
        self.upstream.fail_next(Operation::Mint, 1, Fault::Withheld);
        let mut client = self.program.start(["creds", "get", "custom/creds/developer"]);
        self.upstream.wait_withheld(1).await;
        client.kill().await;
        self.kill_plugin().await;
        self.upstream.heal();
        eventually("the plugin is started again", async || {
            let reply = self.vault.request("GET", "custom/creds/developer", None).await;
            (reply.status == 200).then_some(())
        })
        .await;
    }

    /// Leaves a token whose revocation failed after it was minted: its entry holds how it is revoked.
    async fn leave_unrevoked_token(&self) {
        self.upstream.fail_next(Operation::Mint, 1, Fault::ExpiresAt("2001-01-01T00:00:00Z".to_owned()));
        self.upstream.fail_next(Operation::Revoke, 1, Fault::Status(500));
        let reply = self.vault.request("GET", "custom/creds/developer", None).await;
        assert_eq!(reply.status, 500, "{}", reply.body);
    }

    async fn renew_and_revoke(&self, lease: &str) {
        self.vault.cli(["lease", "renew", lease]).await.success();
        self.vault.cli(["lease", "revoke", "-sync", lease]).await.success();
    }
}

/// It builds the version before, and waits twice for the minute in which Vault rolls back.
#[tokio::test]
async fn long_each_version_renews_revokes_and_rolls_back_what_the_other_has_stored() {
    let lab = Lab::new().await;
    let old = build::with_patched_version(
        &build::program_at_commit(OLDER_COMMIT).await,
        VERSION,
        "0.0.9",
        lab.folder(),
    );
    lab.register(&lab.description_of(&old, &["custom"], "1h")).await.success();
    let (renewed_by_new, kept) = (lab.lease().await, lab.lease().await);
    lab.leak_token_to_wal().await;
    lab.leave_unrevoked_token().await;
    assert_eq!(lab.wal_tokens("custom").await.len(), 2);

    let description = lab.file("new.yaml", &lab.description_of(BINARY.as_ref(), &["custom"], "1h"));
    lab.program.run(["upgrade", "-f", description.to_str().unwrap()]).await.success();
    lab.renew_and_revoke(&renewed_by_new).await;
    lab.roll_back_wal_in_place("custom").await;
    let renewed_by_old = lab.lease().await;
    lab.leak_token_to_wal().await;
    lab.leave_unrevoked_token().await;
    assert_eq!(lab.wal_tokens("custom").await.len(), 2);

    lab.program.run(["rollback", "--version", "0.0.9"]).await.success();
    lab.renew_and_revoke(&renewed_by_old).await;
    lab.renew_and_revoke(&kept).await;
    lab.roll_back_wal_in_place("custom").await;
    // What `lose_a_token` reads to see that the plugin serves again.
    let revoke =
        lab.vault.request("PUT", "sys/leases/revoke-prefix/custom/creds", Some(json!({"sync": true}))).await;
    revoke.success();
    assert_eq!((lab.live_tokens(), lab.wal_tokens("custom").await), (TokenNames::new(), TokenNames::new()));
}
