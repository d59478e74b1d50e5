//! An upgrade and its rollback with live leases and WAL entries: each version reads what the other one has stored.

use harness::{Fault, Operation, build, eventually};
use serde_json::{Value, json};

use crate::lab::{BINARY, Lab};
use crate::token_accounting::TokenNames;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The last commit whose leases contain neither account nor revocation, and whose WAL entries contain no bytes.
const WITHOUT_ACCOUNTS: &str = "47acde490fe29c874803a6c69c094d9330c1d3e0";

/// The last commit with one connection for each mount, and without descriptions of APIs.
const WITHOUT_DESCRIPTIONS: &str = "d549f0e7f0cbb21d6b1386d657894cde6ddd2fe2";

impl Lab {
    async fn lease(&self) -> String {
        self.read_credential("custom").await["lease_id"].as_str().unwrap().to_owned()
    }

    /// Kills the plugin at the worst moment: a token is live that only its WAL entry knows.
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

    /// Leaves a token whose revocation failed after it was minted. Its WAL entry contains its revocation.
    async fn leave_unrevoked_token(&self) {
        self.upstream.fail_next(Operation::Mint, 1, Fault::ExpiresAt("2001-01-01T00:00:00Z".to_owned()));
        self.upstream.fail_next(Operation::Revoke, 1, Fault::Status(500));
        let reply = self.vault.request("GET", "custom/creds/developer", None).await;
        assert_eq!(reply.status, 500, "{}", reply.body);
    }

    /// Returns the fields of the configuration and of the role that each version has.
    async fn settings(&self) -> [Value; 2] {
        let read = async |path: &str, fields: &[&str]| {
            let shown = self.vault.request("GET", path, None).await.success();
            fields
                .iter()
                .map(|field| (*field).to_owned())
                .map(|field| {
                    let value = shown["data"][&field].clone();
                    (field, value)
                })
                .collect::<serde_json::Map<_, _>>()
                .into()
        };
        let config =
            ["api_endpoint", "request_timeout", "tls_skip_verify", "renew_upstream", "idempotency_window"];
        [
            read("custom/config", &config).await,
            read("custom/roles/developer", &["permissions", "ttl", "max_ttl"]).await,
        ]
    }

    /// Writes a second connection to the same service, and returns a lease of a role that uses it.
    async fn lease_of_second_connection(&self) -> String {
        let config = json!({"api_endpoint": self.upstream.endpoint(), "api_key": self.upstream.api_key()});
        self.vault.request("POST", "custom/config/second", Some(config)).await.success();
        let role = json!({"permissions": "read", "ttl": "1h", "config": "second"});
        self.vault.request("POST", "custom/roles/second", Some(role)).await.success();
        let issued = self.vault.request("GET", "custom/creds/second", None).await.success();
        issued["lease_id"].as_str().unwrap().to_owned()
    }

    async fn renew_and_revoke(&self, lease: &str) {
        self.vault.cli(["lease", "renew", lease]).await.success();
        self.vault.cli(["lease", "revoke", "-sync", lease]).await.success();
    }
}

#[tokio::test]
async fn long_each_version_renews_revokes_and_rolls_back_what_one_without_accounts_has_stored() {
    prove(WITHOUT_ACCOUNTS).await;
}

#[tokio::test]
async fn long_each_version_renews_revokes_and_rolls_back_what_one_without_descriptions_has_stored() {
    prove(WITHOUT_DESCRIPTIONS).await;
}

/// Builds the version of a commit, and waits twice for the minute in which Vault rolls back.
async fn prove(commit: &str) {
    let lab = Lab::new().await;
    let old =
        build::with_patched_version(&build::program_at_commit(commit).await, VERSION, "0.0.9", lab.folder());
    lab.register(&lab.description_of(&old, &["custom"], "1h")).await.success();
    let settings = lab.settings().await;
    let (renewed_by_new, kept) = (lab.lease().await, lab.lease().await);
    lab.leak_token_to_wal().await;
    lab.leave_unrevoked_token().await;
    assert_eq!(lab.wal_tokens("custom").await.len(), 2);

    let description = lab.file("new.yaml", &lab.description_of(BINARY.as_ref(), &["custom"], "1h"));
    lab.program.run(["upgrade", "-f", description.to_str().unwrap()]).await.success();
    assert_eq!(lab.settings().await, settings);
    lab.renew_and_revoke(&renewed_by_new).await;
    lab.roll_back_wal_in_place("custom").await;
    let renewed_by_old = lab.lease().await;
    lab.leak_token_to_wal().await;
    lab.leave_unrevoked_token().await;
    assert_eq!(lab.wal_tokens("custom").await.len(), 2);

    let of_second = lab.lease_of_second_connection().await;
    lab.program.run(["rollback", "--version", "0.0.9"]).await.success();
    assert_eq!(lab.settings().await, settings);
    lab.renew_and_revoke(&of_second).await;
    lab.renew_and_revoke(&renewed_by_old).await;
    lab.renew_and_revoke(&kept).await;
    lab.roll_back_wal_in_place("custom").await;
    // `leak_token_to_wal` reads one to see that the plugin responds again.
    let revoke =
        lab.vault.request("PUT", "sys/leases/revoke-prefix/custom/creds", Some(json!({"sync": true}))).await;
    revoke.success();
    assert_eq!((lab.live_tokens(), lab.wal_tokens("custom").await), (TokenNames::new(), TokenNames::new()));
}
