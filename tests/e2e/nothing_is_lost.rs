//! Every token that is live at the upstream belongs to a lease, or is announced in the write-ahead log: whatever ends before
//! the plugin answers Vault. While that answer travels nothing is on record, see `token-engine/src/pending_token.rs`; so these
//! tests choose the moment, by holding back the answer of the upstream.

use harness::{Fault, Load, Operation, RunningProgram, Storage, Upstream, VaultServer, eventually};

use crate::accounts::Names;
use crate::lab::Lab;

#[tokio::test]
async fn a_plugin_killed_under_load_serves_again_and_loses_no_token() {
    let lab = Lab::registered(&["custom"], "1h").await;
    let load = Load::on_server(&lab.vault, &lab.upstream, &["custom"]);
    load.goes_on().await;

    // Every client at the worst moment: its token exists, and only the upstream knows.
    lab.upstream.fail(Operation::Mint, Fault::Withheld);
    lab.upstream.wait_withheld(load.clients()).await;
    let at_work = lab.announced("custom").await;
    assert_eq!(at_work.len(), load.clients());
    let killed = lab.kill_plugin().await;
    lab.upstream.heal();

    load.goes_on().await;
    assert_ne!(lab.vault.child_plugin_pids(), [killed]);
    let account = load.stop().await;
    assert_eq!(account.wrong, Vec::<String>::new());
    let (leased, announced) = (lab.leased("custom").await, lab.announced("custom").await);
    assert!(announced.is_superset(&at_work), "what was at work is still announced");
    assert!(leased.is_superset(&lab.names(account.kept.values())), "what a client got and kept is leased");
    assert_eq!(lab.live(), &leased | &announced);

    lab.roll_back("custom").await;
    assert_eq!(lab.live(), Names::new());
}

#[tokio::test]
async fn a_mint_that_vault_never_stored_is_revoked_by_rollback() {
    let mut lab = Lab::on(Storage::Raft).await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();

    // The upstream has issued a token, and its answer is on the way, when the client hangs up,
    let client = lab.get_withheld().await;
    drop(client);
    lab.upstream.wait_withheld(0).await;
    // when the plugin is killed,
    let client = lab.get_withheld().await;
    lab.kill_plugin().await;
    // It gets another token, or an error: if Vault sees the end of the process before that of the connection, it asks the next one.
    let _ = client.wait().await;
    eventually("Vault has started the plugin again", async || {
        lab.upstream.heal();
        let reply = lab.vault.api("GET", "custom/creds/developer", None).await;
        (reply.status == 200).then_some(())
    })
    .await;
    // and when Vault itself is.
    let client = lab.get_withheld().await;
    lab.vault.kill().await;
    assert_ne!(client.wait().await.code, Some(0));
    lab.vault.wait_no_plugins().await;
    lab.upstream.heal();
    lab.vault.start().await;

    let announced = lab.announced("custom").await;
    assert_eq!(announced.len(), 3);
    assert_eq!(lab.live(), &lab.leased("custom").await | &announced);

    lab.roll_back("custom").await;
    assert_eq!(lab.live(), Names::new());
    assert_eq!(lab.announced("custom-moved").await, Names::new());
    assert!(lab.vault.logs().contains("which was minted and never leased"));
}

#[tokio::test]
async fn a_token_whose_lease_vault_cannot_store_is_revoked_at_once() {
    let small = VaultServer::builder().largest_value(64 << 10);
    let lab = Lab::of(small, Upstream::builder().padded_tokens(64 << 10).start().await).await;
    let description = lab.description(&["custom"], "1h").replace("smoke: {read: creds/developer}", "");
    lab.register(&description).await.success();

    let reply = lab.vault.api("GET", "custom/creds/developer", None).await;
    assert_eq!(reply.status, 500, "{}", reply.body);
    assert_eq!(lab.upstream.issued().len(), 1);
    assert_eq!(lab.live(), Names::new());
    assert_eq!(lab.announced("custom").await, Names::new());
}

impl Lab {
    /// A client that waits for its credential, since the upstream has issued it and does not answer.
    async fn get_withheld(&self) -> RunningProgram {
        self.upstream.fail_next(Operation::Mint, 1, Fault::Withheld);
        let client = self.program.start(["creds", "get", "custom/creds/developer"]);
        self.upstream.wait_withheld(1).await;
        client
    }
}
