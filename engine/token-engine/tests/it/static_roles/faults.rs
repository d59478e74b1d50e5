//! Faults at every step: no token is lost, and the role always has a current token that works.

use harness::{DropMoment, Fault, Operation, Upstream};
use serde_json::json;
use vault_plugin::testing::{FailureMode, TestMount};

use super::{ROLE, assert_only_kept_tokens, mount_with_static_role, rotate, token, untracked};
use crate::{error_message, mount_configured, read_error};

/// An upper bound of the storage calls of a request.
const MAX_STORAGE_CALLS: usize = 30;

/// A change of a static role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Create,
    Rotate,
    Delete,
}

impl Change {
    const ALL: [Change; 3] = [Change::Create, Change::Rotate, Change::Delete];

    /// Returns a mount before the change. A role that exists has a current and a previous token.
    async fn prepare(self, upstream: &Upstream) -> TestMount {
        match self {
            Change::Create => mount_configured(upstream, json!({})).await,
            Change::Rotate | Change::Delete => {
                let mount = mount_with_static_role(upstream).await;
                rotate(&mount).await;
                mount
            }
        }
    }

    async fn apply(
        self,
        mount: &TestMount,
    ) -> Result<Option<vault_plugin::logical::Response>, vault_plugin::logical::Error> {
        match self {
            Change::Create => {
                mount.write(ROLE, json!({"permissions": "read", "rotation_period": "1h"})).await
            }
            Change::Rotate => mount.write("rotate-role/app", json!({})).await,
            Change::Delete => mount.delete(ROLE).await,
        }
    }
}

/// Asserts that no token is lost, and that the current token works, if the role exists.
async fn assert_safe(upstream: &Upstream, mount: &TestMount, what: &str) {
    assert_eq!(untracked(upstream, mount), Vec::<String>::new(), "{what}: a live token has no record");
    if mount.read(ROLE).await.unwrap().is_some() {
        assert!(upstream.accepts(&token(mount).await), "{what}: the current token does not work");
    }
}

#[tokio::test]
async fn after_a_failure_of_any_storage_call_no_token_is_lost() {
    for change in Change::ALL {
        for mode in [FailureMode::Once, FailureMode::Persistent] {
            for revoking in [None, Some(Fault::Status(400))] {
                let mut failed = 0;
                for call in 0..MAX_STORAGE_CALLS {
                    let what = format!("{change:?}, call {call}, {mode:?}, revoke {revoking:?}");
                    let upstream = Upstream::start().await;
                    let mount = change.prepare(&upstream).await;
                    if let Some(fault) = &revoking {
                        upstream.fail(Operation::Revoke, fault.clone());
                    }
                    mount.storage().fail_after(call, mode, "disk full");
                    let result = change.apply(&mount).await;
                    let reached_the_end = mount.storage().has_pending_failure();
                    mount.storage().clear_failures();
                    assert_safe(&upstream, &mount, &what).await;
                    upstream.heal();
                    mount.rollback().await.unwrap();
                    assert_safe(&upstream, &mount, &what).await;
                    assert_only_kept_tokens(&upstream, &mount, &what);
                    if reached_the_end {
                        assert!(result.is_ok(), "{what}");
                        break;
                    }
                    failed += 1;
                }
                assert!((3..MAX_STORAGE_CALLS).contains(&failed), "{change:?}: {failed} storage calls");
            }
        }
    }
}

#[tokio::test]
async fn a_lost_response_to_a_mint_changes_nothing_and_leaves_no_token() {
    for change in [Change::Create, Change::Rotate] {
        for fault in [
            Fault::BrokenJson,
            Fault::OversizedResponse,
            Fault::Status(400),
            Fault::HtmlNotFound,
            Fault::ExpiresAt("tomorrow".to_owned()),
            Fault::DropConnection(DropMoment::AfterWork),
        ] {
            let what = format!("{change:?}, {fault:?}");
            let upstream = Upstream::start().await;
            let mount = change.prepare(&upstream).await;
            let before = mount.storage().entry(ROLE).map(|entry| entry.value);
            upstream.fail_next(Operation::Mint, 1, fault.clone());
            let result = change.apply(&mount).await;
            error_message(result);
            assert_eq!(mount.storage().entry(ROLE).map(|entry| entry.value), before, "{what}");
            assert_safe(&upstream, &mount, &what).await;
            mount.rollback().await.unwrap();
            assert_safe(&upstream, &mount, &what).await;
            assert_only_kept_tokens(&upstream, &mount, &what);
        }
    }
}

#[tokio::test]
async fn a_lost_response_to_a_revocation_is_repeated_by_rollback() {
    for change in [Change::Rotate, Change::Delete] {
        for fault in [Fault::Status(400), Fault::HtmlNotFound, Fault::Redirect] {
            let what = format!("{change:?}, {fault:?}");
            let upstream = Upstream::start().await;
            let mount = change.prepare(&upstream).await;
            upstream.fail(Operation::Revoke, fault);
            change.apply(&mount).await.unwrap();
            assert_safe(&upstream, &mount, &what).await;
            error_message(mount.rollback().await);
            assert_safe(&upstream, &mount, &what).await;
            upstream.heal();
            mount.rollback().await.unwrap();
            assert_only_kept_tokens(&upstream, &mount, &what);
        }
    }
}

/// Runs a change in a separate runtime, and destroys the runtime with all its tasks after a number of turns, like a kill of the process.
/// Returns whether the change has completed.
fn killed_after(turns: usize, mount: &TestMount, change: Change) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let kill = async {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            result = change.apply(mount) => { result.unwrap(); true }
            () = kill => false,
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_time_loses_no_token() {
    for change in Change::ALL {
        let mut turns = 0;
        loop {
            let what = format!("{change:?}, killed after {turns} turns");
            let upstream = Upstream::start().await;
            let mount = change.prepare(&upstream).await;
            // The client of the service belongs to the runtime that has created it.
            mount.invalidate("config").await;
            let completed = std::thread::scope(|scope| {
                scope.spawn(|| killed_after(turns, &mount, change)).join().unwrap()
            });
            mount.invalidate("config").await;
            mount.rollback().await.unwrap();
            assert_safe(&upstream, &mount, &what).await;
            assert_only_kept_tokens(&upstream, &mount, &what);
            if completed {
                break;
            }
            // Small steps at the start, where most awaits are, and larger ones while the service responds.
            turns += 1 + turns / 8;
        }
        assert!(turns > 5, "{change:?}: {turns} turns");
    }
}

#[tokio::test]
async fn the_token_appears_in_no_error_and_no_response_but_its_own() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    let secret = token(&mount).await;
    upstream.fail(Operation::Mint, Fault::Status(400));
    let texts = [
        error_message(mount.write("rotate-role/app", json!({})).await),
        read_error(&mount, "static-creds/other").await,
        format!("{:?}", mount.read(ROLE).await.unwrap()),
        format!("{:?}", mount.list("static-roles/").await.unwrap()),
    ];
    for text in texts {
        assert!(!text.contains(&secret), "{text}");
    }
}
