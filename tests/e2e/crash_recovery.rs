//! Recovery after an unexpected end of a process.

use std::time::Duration;

use harness::{Fault, Operation, Storage, eventually};
use serde_json::json;
use tokio::time::timeout;

use crate::lab::Lab;

#[tokio::test]
async fn a_server_that_is_sealed_and_unsealed_serves_on() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let id = lab.upstream_id(&lab.read_credential("custom").await);
    lab.vault.seal().await;
    lab.vault.wait_no_plugins().await;
    lab.vault.unseal().await;
    lab.read_credential("custom").await;
    assert!(lab.is_live(&id));
}

#[tokio::test]
async fn a_server_that_is_restarted_revokes_what_it_issued_before() {
    let mut lab = Lab::with_storage(Storage::Raft).await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    let before = lab.read_credential("custom").await;
    lab.vault.restart().await;
    lab.read_credential("custom").await;
    lab.vault.cli(["lease", "revoke", "-sync", before["lease_id"].as_str().unwrap()]).await.success();
    assert!(!lab.is_live(&lab.upstream_id(&before)));
}

#[tokio::test]
async fn a_killed_plugin_is_started_again_by_the_next_request() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    lab.read_credential("custom").await;
    let killed = lab.kill_plugin().await;
    eventually("a credential after the kill", async || {
        let reply = lab.vault.request("GET", "custom/creds/developer", None).await;
        (reply.status == 200).then_some(())
    })
    .await;
    assert_ne!(lab.vault.child_plugin_pids(), [killed]);
}

#[tokio::test]
async fn two_mounts_share_one_process() {
    let lab = Lab::with_registered_plugin(&["first", "second"], "1h").await;
    lab.read_credential("first").await;
    lab.read_credential("second").await;
    assert_eq!(lab.vault.child_plugin_pids().len(), 1);
}

/// The token service withholds the response until the reload has reached the process, which then rejects other requests.
#[tokio::test]
async fn a_reload_of_one_mount_waits_for_what_another_in_its_process_is_at() {
    let lab = Lab::with_registered_plugin(&["first", "second"], "1h").await;
    lab.upstream.fail_next(Operation::Mint, 1, Fault::Withheld);
    let reload = async {
        let mounts = json!({"mounts": ["first/"]});
        lab.vault.request("POST", "sys/plugins/reload/backend", Some(mounts)).await.success()
    };
    let release = async {
        let read = || lab.vault.request("GET", "second/roles/developer", None);
        while let Ok(role) = timeout(RESPONSE_TIMEOUT, read()).await {
            role.success();
        }
        lab.upstream.heal();
    };
    let reload = async {
        lab.upstream.wait_withheld(1).await;
        tokio::join!(reload, release)
    };
    let (credential, _) = tokio::join!(lab.read_credential("second"), reload);
    assert!(lab.is_live(&lab.upstream_id(&credential)));
    lab.read_credential("first").await;
}

/// A running process responds within milliseconds. One that is shutting down waits ten seconds for its requests.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The process exits when the other mount has sent nothing for 200 milliseconds. A request that arrives at that moment is sent to the next
/// process.
#[tokio::test]
async fn a_request_that_arrives_while_its_process_exits_is_served() {
    let lab = Lab::with_registered_plugin(&["first", "second"], "1h").await;
    for milliseconds in (196..216).step_by(2) {
        let read = || lab.vault.request("GET", "second/config", None);
        read().await.success();
        let reload = async {
            let mounts = json!({"mounts": ["first/"]});
            lab.vault.request("POST", "sys/plugins/reload/backend", Some(mounts)).await.success()
        };
        let late = async {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            read().await.success()
        };
        tokio::join!(reload, late);
    }
}

#[tokio::test]
async fn a_server_that_is_killed_leaves_no_plugin_behind() {
    let mut lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    assert_eq!(lab.vault.child_plugin_pids().len(), 1);
    lab.vault.kill().await;
    lab.vault.wait_no_plugins().await;
}
