//! Storage errors at every call.

use harness::{Fault, Operation, Upstream};
use serde_json::json;
use vault_plugin::framework::WAL_PREFIX;
use vault_plugin::testing::{FailureMode, StorageCall, TestMount};

use crate::{creds, mount_configured, read_error, wal_entries};

/// An upper bound of the storage calls of a request.
const MAX_STORAGE_CALLS: usize = 30;

/// Asserts that every live token has a write-ahead log entry.
#[track_caller]
fn assert_no_untracked_token(upstream: &Upstream, mount: &TestMount, what: &str) {
    assert!(
        upstream.live().len() <= wal_entries(mount).len(),
        "{what}: a live token has no write-ahead log entry"
    );
}

#[tokio::test]
async fn after_a_failure_of_any_storage_call_of_a_mint_the_token_is_leased_or_revoked_or_in_the_log() {
    for mode in [FailureMode::Once, FailureMode::Persistent] {
        for revoking in [None, Some(Fault::Status(500))] {
            let mut failed = 0;
            for call in 0..MAX_STORAGE_CALLS {
                let what = format!("call {call}, {mode:?}, revoke {revoking:?}");
                let upstream = Upstream::start().await;
                let mount = mount_configured(&upstream, json!({})).await;
                if let Some(fault) = &revoking {
                    upstream.fail(Operation::Revoke, fault.clone());
                }
                mount.storage().fail_after(call, mode, "disk full");
                let result = mount.read("creds/developer").await;
                if mount.storage().has_pending_failure() {
                    assert!(result.is_ok(), "{what}");
                    break;
                }
                failed += 1;
                mount.storage().clear_failures();
                match result {
                    Ok(leased) => {
                        upstream.heal();
                        mount.revoke(&leased.unwrap()).await.map(drop).unwrap();
                    }
                    Err(error) => assert!(error.to_string().contains("disk full"), "{what}: {error}"),
                }
                assert_no_untracked_token(&upstream, &mount, &what);
                upstream.heal();
                mount.rollback().await.unwrap();
                assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0), "{what}");
            }
            assert!(
                (4..MAX_STORAGE_CALLS).contains(&failed),
                "configuration, role, and the log twice, not {failed}"
            );
        }
    }
}

#[tokio::test]
async fn after_a_failure_of_any_storage_call_of_a_rollback_the_next_rollback_completes_it() {
    for mode in [FailureMode::Once, FailureMode::Persistent] {
        let mut failed = 0;
        for call in 0..MAX_STORAGE_CALLS {
            let what = format!("call {call}, {mode:?}");
            let upstream = Upstream::start().await;
            let mount = mount_configured(&upstream, json!({})).await;
            upstream.fail_next(Operation::Mint, 1, Fault::BrokenJson);
            read_error(&mount, "creds/developer").await;
            mount.storage().fail_after(call, mode, "disk full");
            let _ = mount.rollback().await;
            if mount.storage().has_pending_failure() {
                break;
            }
            failed += 1;
            mount.storage().clear_failures();
            assert_no_untracked_token(&upstream, &mount, &what);
            mount.rollback().await.unwrap();
            assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0), "{what}");
        }
        assert!(
            (3..MAX_STORAGE_CALLS).contains(&failed),
            "the list, the entry, the configuration, not {failed}"
        );
    }
}

#[tokio::test]
async fn a_revocation_or_renewal_that_fails_in_storage_is_an_error_and_can_be_repeated() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let leased = creds(&mount).await;
    // Cached values need no storage.
    mount.invalidate("config").await;
    mount.storage().fail_on(StorageCall::Get, "config", "disk full");
    for result in [mount.renew(&leased).await, mount.revoke(&leased).await] {
        assert!(result.unwrap_err().to_string().contains("disk full"));
    }
    assert_eq!(upstream.live().len(), 1);
    mount.storage().clear_failures();
    mount.renew(&leased).await.unwrap();
    mount.revoke(&leased).await.unwrap();
    assert!(upstream.live().is_empty());
}

#[tokio::test]
async fn a_write_that_fails_in_storage_changes_nothing() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let stored = |key: &str| mount.storage().entry(key).map(|entry| entry.value);
    let before = (stored("config"), stored("roles/developer"));
    mount.storage().fail_on(StorageCall::Put, "", "disk full");
    for (path, data) in [
        ("config", json!({"api_key": "another"})),
        ("roles/developer", json!({"ttl": 60})),
        ("roles/new", json!({"permissions": "read"})),
    ] {
        assert!(mount.write(path, data).await.unwrap_err().to_string().contains("disk full"), "{path}");
    }
    mount.storage().clear_failures();
    assert_eq!((stored("config"), stored("roles/developer")), before);
    creds(&mount).await;
}

#[tokio::test]
async fn a_token_that_can_neither_be_leased_nor_revoked_is_left_to_rollback() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    mount.storage().fail_on(StorageCall::Delete, WAL_PREFIX, "disk full");
    upstream.fail(Operation::Revoke, Fault::Status(500));
    read_error(&mount, "creds/developer").await;
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (1, 1));

    mount.storage().clear_failures();
    upstream.heal();
    mount.rollback().await.unwrap();
    assert_eq!((upstream.live().len(), upstream.issued().len(), wal_entries(&mount).len()), (0, 1, 0));
}
