//! Every token that is live at the upstream belongs to a lease, or is announced in the write-ahead log: whatever ends before
//! the plugin answers Vault. While that answer travels nothing is on record, see `token-engine/src/unclaimed.rs`; so these
//! tests choose the moment, by holding back the answer of the upstream.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use harness::{Fault, Operation, Storage, Upstream, VaultServer, eventually};
use tokio::process::Child;
use tokio::task::JoinSet;

use crate::accounts::Names;
use crate::lab::Lab;

const CLIENTS: usize = 8;

#[tokio::test]
async fn a_plugin_killed_under_load_serves_again_and_loses_no_token() {
    let lab = Arc::new(Lab::registered(&["custom"], "1h").await);
    let load = Load::start(&lab);
    load.wait_served(5 * CLIENTS).await;

    // Every client at the worst moment: its token exists, and only the upstream knows.
    lab.upstream.fail(Operation::Mint, Fault::Withheld);
    lab.upstream.wait_withheld(CLIENTS).await;
    let at_work = lab.announced("custom").await;
    assert_eq!(at_work.len(), CLIENTS);
    let killed = lab.kill_plugin().await;
    lab.upstream.heal();

    load.wait_served(10 * CLIENTS).await;
    assert_ne!(lab.vault.child_plugin_pids(), [killed]);
    let tokens = load.stop().await;
    let (leased, announced) = (lab.leased("custom").await, lab.announced("custom").await);
    assert!(announced.is_superset(&at_work), "what was at work is still announced");
    assert!(leased.is_superset(&tokens), "what a client got is leased");
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
    client.wait_with_output().await.unwrap();
    eventually("Vault has started the plugin again", async || {
        lab.upstream.heal();
        let reply = lab.vault.api("GET", "custom/creds/developer", None).await;
        (reply.status == 200).then_some(())
    })
    .await;
    // and when Vault itself is.
    let client = lab.get_withheld().await;
    lab.vault.kill().await;
    assert!(!client.wait_with_output().await.unwrap().status.success());
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
    async fn get_withheld(&self) -> Child {
        self.upstream.fail_next(Operation::Mint, 1, Fault::Withheld);
        let client = self.program.spawn(["creds", "get", "custom/creds/developer"]);
        self.upstream.wait_withheld(1).await;
        client
    }
}

/// Clients that read credentials until they are told to stop.
struct Load {
    clients: JoinSet<Names>,
    served: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Load {
    fn start(lab: &Arc<Lab>) -> Load {
        let mut load = Load { clients: JoinSet::new(), served: Arc::default(), stop: Arc::default() };
        for _ in 0..CLIENTS {
            load.clients.spawn(client(Arc::clone(lab), Arc::clone(&load.served), Arc::clone(&load.stop)));
        }
        load
    }

    /// Waits until the clients have got `count` more credentials.
    async fn wait_served(&self, count: usize) {
        let enough = self.served.load(Ordering::Relaxed) + count;
        let what = format!("{count} more credentials");
        eventually(&what, async || (self.served.load(Ordering::Relaxed) >= enough).then_some(())).await;
    }

    /// Ends the load. Returns the names of the tokens that the clients got.
    async fn stop(self) -> Names {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await.into_iter().flatten().collect()
    }
}

async fn client(lab: Arc<Lab>, served: Arc<AtomicUsize>, stop: Arc<AtomicBool>) -> Names {
    let mut own = Names::new();
    while !stop.load(Ordering::Relaxed) {
        let reply = lab.vault.api("GET", "custom/creds/developer", None).await;
        // Vault refuses what was at work in the plugin that died, and what comes before it has noticed.
        if reply.status == 200 {
            let token = reply.body["data"]["token"].as_str().unwrap();
            own.insert(lab.issued(token).name);
            served.fetch_add(1, Ordering::Relaxed);
        }
    }
    own
}
