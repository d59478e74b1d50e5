//! Every token that is live at the upstream belongs to a lease or to a WAL entry, whatever ends before the plugin responds to Vault. While
//! that response is in transit there is no record, see `token-engine/src/pending_token.rs`; so these tests choose the moment by withholding
//! the response of the upstream.

use harness::{Fault, LoadGenerator, Operation, RunningProgram, Storage, Upstream, VaultServer, eventually};

use crate::lab::Lab;
use crate::token_accounting::TokenNames;

#[tokio::test]
async fn a_plugin_killed_under_load_serves_again_and_loses_no_token() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let load = LoadGenerator::on_server(&lab.vault, &lab.upstream, &["custom"]);
    load.wait_progress().await;

    // Every client is at the worst moment: its token exists, and only the upstream knows it.
    lab.upstream.fail(Operation::Mint, Fault::Withheld);
    lab.upstream.wait_withheld(load.clients()).await;
    let in_flight = lab.wal_tokens("custom").await;
    assert_eq!(in_flight.len(), load.clients());
    let killed = lab.kill_plugin().await;
    lab.upstream.heal();

    load.wait_progress().await;
    assert_ne!(lab.vault.child_plugin_pids(), [killed]);
    let account = load.stop().await;
    assert_eq!(account.wrong_responses, Vec::<String>::new());
    let (leased, announced) = (lab.leased_tokens("custom").await, lab.wal_tokens("custom").await);
    assert!(announced.is_superset(&in_flight), "in-flight requests are still announced");
    assert!(
        leased.is_superset(&lab.token_names(account.open_leases.values())),
        "what a client got and kept is leased"
    );
    assert_eq!(lab.live_tokens(), &leased | &announced);

    lab.roll_back_wal("custom").await;
    assert_eq!(lab.live_tokens(), TokenNames::new());
}

#[tokio::test]
async fn a_mint_that_vault_never_stored_is_revoked_by_rollback() {
    let mut lab = Lab::with_storage(Storage::Raft).await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();

    // The upstream has issued a token, and its response is in transit, when the client disconnects,
    let client = lab.get_with_withheld_response().await;
    drop(client);
    lab.upstream.wait_withheld(0).await;
    // when the plugin is killed,
    let client = lab.get_with_withheld_response().await;
    lab.kill_plugin().await;
    // It gets another token, or an error: if Vault notices the end of the process before that of the connection, it starts the next one.
    let _ = client.wait().await;
    eventually("Vault has started the plugin again", async || {
        lab.upstream.heal();
        let reply = lab.vault.request("GET", "custom/creds/developer", None).await;
        (reply.status == 200).then_some(())
    })
    .await;
    // and when Vault itself is killed.
    let client = lab.get_with_withheld_response().await;
    lab.vault.kill().await;
    assert_ne!(client.wait().await.code, Some(0));
    lab.vault.wait_no_plugins().await;
    lab.upstream.heal();
    lab.vault.start().await;

    let announced = lab.wal_tokens("custom").await;
    assert_eq!(announced.len(), 3);
    assert_eq!(lab.live_tokens(), &lab.leased_tokens("custom").await | &announced);

    lab.roll_back_wal("custom").await;
    assert_eq!(lab.live_tokens(), TokenNames::new());
    assert_eq!(lab.wal_tokens("custom-moved").await, TokenNames::new());
    assert!(lab.vault.logs().contains("which was never leased"));
}

#[tokio::test]
async fn a_token_whose_lease_vault_cannot_store_is_revoked_at_once() {
    let small = VaultServer::builder().max_value_size(64 << 10);
    let lab = Lab::with_upstream(small, Upstream::builder().padded_tokens(64 << 10).start().await).await;
    let description = lab.description(&["custom"], "1h").replace("smoke: creds/developer", "");
    lab.register(&description).await.success();

    let reply = lab.vault.request("GET", "custom/creds/developer", None).await;
    assert_eq!(reply.status, 500, "{}", reply.body);
    assert_eq!(lab.upstream.issued().len(), 1);
    assert_eq!(lab.live_tokens(), TokenNames::new());
    assert_eq!(lab.wal_tokens("custom").await, TokenNames::new());
}

impl Lab {
    /// A client that waits for its credential, because the upstream withholds its response.
    async fn get_with_withheld_response(&self) -> RunningProgram {
        self.upstream.fail_next(Operation::Mint, 1, Fault::Withheld);
        let client = self.program.start(["creds", "get", "custom/creds/developer"]);
        self.upstream.wait_withheld(1).await;
        client
    }
}
