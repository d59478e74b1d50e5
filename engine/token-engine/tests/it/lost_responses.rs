//! A mint whose response is lost: the token is found and revoked, or reported until it must have expired.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use harness::{Fault, Operation, Upstream};
use serde_json::{Value, json};
use vault_plugin::logical::{self, Map};
use vault_plugin::testing::TestMount;

use crate::token_safety::{edit_stored, mint_with_lost_response};
use crate::{configure, error_message, mount_configured, read_error, wal_entries};

/// Moves the planned time of an entry back by this many seconds.
async fn backdate_entry(mount: &TestMount, entry: &str, seconds: i64) {
    edit_stored(mount, entry, |entry| {
        let planned_at = &mut entry["data"]["planned_at"];
        *planned_at = (planned_at.as_i64().unwrap() - seconds).into();
    })
    .await;
}

#[tokio::test]
async fn a_token_that_a_replay_has_found_is_revoked_at_any_time() {
    let upstream = Upstream::start().await;
    let (mount, entry) = mint_with_lost_response(&upstream, json!({"idempotency_window": "1h"})).await;
    let name = upstream.issued()[0].name.clone();
    upstream.fail(Operation::Revoke, Fault::Status(400));
    for _ in 0..2 {
        let error = error_message(mount.rollback().await);
        assert!(error.contains(&name) && error.contains("may be live"), "{error}");
    }
    upstream.heal();
    assert_eq!((upstream.live().len(), wal_entries(&mount)), (1, vec![entry.clone()]));
    backdate_entry(&mount, &entry, 3700).await;
    mount.rollback().await.unwrap();
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0));
    assert_eq!(upstream.requests_for(Operation::Mint).len(), 2);
}

#[tokio::test]
async fn a_replay_that_mints_a_duplicate_revokes_it_and_closes_no_entry() {
    for revoking in [None, Some(Fault::Status(400))] {
        let upstream = Upstream::start().await;
        let (mount, entry) = mint_with_lost_response(&upstream, json!({})).await;
        backdate_entry(&mount, &entry, 20 * 60).await;
        upstream.forget_idempotency_keys();
        if let Some(fault) = revoking {
            upstream.fail_next(Operation::Revoke, 1, fault);
        }
        for _ in 0..2 {
            let error = error_message(mount.rollback().await);
            assert!(error.contains("is not found") && error.contains("idempotency_window"), "{error}");
        }
        let issued = upstream.issued();
        assert_eq!((issued[0].revoked, issued[1].revoked, wal_entries(&mount)), (false, true, vec![entry]));
        assert_eq!(upstream.requests_for(Operation::Mint).len(), 2, "the request is not repeated again");
    }
}

#[tokio::test]
async fn a_replay_is_not_sent_shortly_before_the_service_forgets_the_key() {
    let upstream = Upstream::start().await;
    let (mount, entry) = mint_with_lost_response(&upstream, json!({"idempotency_window": "1h"})).await;
    backdate_entry(&mount, &entry, 51 * 60).await;
    assert!(error_message(mount.rollback().await).contains("idempotency_window"));
    assert_eq!(upstream.requests_for(Operation::Mint).len(), 1);
}

#[tokio::test]
async fn the_entries_of_a_mount_that_is_removed_are_rolled_back_at_any_age() {
    let upstream = Upstream::start().await;
    let (mount, _) = mint_with_lost_response(&upstream, json!({})).await;
    let roll_back = async || mount.request(logical::Operation::Rollback, "", Map::new()).await.unwrap();
    roll_back().await;
    assert_eq!(upstream.live().len(), 1, "the request of a young entry may still run");
    mount.system().update(|host| host.tainted = true);
    roll_back().await;
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0));
}

#[tokio::test]
async fn a_window_shorter_than_the_retries_is_rejected_and_a_stored_one_is_ignored() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"idempotency_window": "5m"})).await;
    for short in ["1s", "4m59s"] {
        let error = error_message(mount.write("config", json!({"idempotency_window": short})).await);
        assert!(error.contains("idempotency_window must be 0 or at least 5m"), "{error}");
    }
    edit_stored(&mount, "config", |config| config["idempotency_window"] = 299.into()).await;
    mount.invalidate("config").await;
    upstream.fail_next(Operation::Mint, 1, Fault::Status(503));
    read_error(&mount, "creds/developer").await;
    assert_eq!(upstream.requests_for(Operation::Mint).len(), 1);
    configure(&mount, &upstream, json!({"idempotency_window": 0})).await;
}

#[tokio::test]
async fn every_entry_is_closed_once_its_token_must_have_expired() {
    for (state, config) in [("planned", false), ("planned", true), ("minted", false), ("minted", true)] {
        let upstream = Upstream::start().await;
        let (mount, entry) = mint_with_lost_response(&upstream, json!({})).await;
        if state == "minted" {
            upstream.fail_next(Operation::Revoke, 1, Fault::Status(400));
            error_message(mount.rollback().await);
        }
        if config {
            let other = json!({"api_endpoint": "https://tokens.example.com"});
            mount.write("config", other).await.unwrap();
        } else {
            mount.delete("config").await.unwrap();
        }
        let requests_before = upstream.requests().len();
        backdate_entry(&mount, &entry, 23 * 3600).await;
        error_message(mount.rollback().await);
        backdate_entry(&mount, &entry, 2 * 3600).await;
        mount.rollback().await.unwrap();
        assert_eq!(
            (wal_entries(&mount).len(), upstream.requests().len()),
            (0, requests_before),
            "{state}, {config}"
        );
    }
}

#[tokio::test]
async fn an_entry_without_a_time_has_that_of_its_wal_metadata() {
    let upstream = Upstream::start().await;
    let (mount, entry) = mint_with_lost_response(&upstream, json!({})).await;
    let written_before = async |seconds: i64| {
        edit_stored(&mount, &entry, |entry: &mut Value| {
            entry["data"].as_object_mut().unwrap().remove("planned_at");
            entry["created_at"] = (entry["created_at"].as_i64().unwrap() - seconds).into();
        })
        .await;
    };
    written_before(24 * 3600).await;
    let error = error_message(mount.rollback().await);
    assert!(error.contains("idempotency_window") && error.contains("until 20"), "{error}");
    written_before(3600).await;
    mount.rollback().await.unwrap();
    assert_eq!((wal_entries(&mount).len(), upstream.requests_for(Operation::Mint).len()), (0, 1));
}
