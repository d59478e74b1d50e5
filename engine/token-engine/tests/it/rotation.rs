//! Rotation of the key of a connection: there is always a key that works, and no other one is left.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use vault_plugin::logical::{self, Map, ReplicationState, StorageEntry};
use vault_plugin::testing::FailureMode;

use crate::key_api::{Creation, Cut, DESCRIPTION, FIRST_KEY, KeyMount};
use crate::metrics::{page, value};
use crate::token_safety::edit_stored;
use crate::{assert_accepted, data, error_message, wal_entries};

/// Moves the time of all rotations back, so that a lost request can no longer arrive.
async fn backdate(keys: &KeyMount, seconds: i64) {
    for entry in wal_entries(&keys.mount) {
        edit_stored(&keys.mount, &entry, |entry: &mut Value| {
            let planned_at = &mut entry["data"]["planned_at"];
            *planned_at = (planned_at.as_i64().unwrap() - seconds).into();
            entry["created_at"] = (entry["created_at"].as_i64().unwrap() - seconds).into();
        })
        .await;
    }
}

/// Rolls back until the log is empty, and asserts that the connection has the only key.
async fn assert_settles(keys: &KeyMount, what: &str) {
    backdate(keys, 600).await;
    keys.mount.rollback().await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(wal_entries(&keys.mount), Vec::<String>::new(), "{what}");
    assert_eq!(keys.live_keys(), [keys.stored_key()], "{what}");
    keys.mount.invalidate("config").await;
    keys.mount.read("creds/developer").await.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert_eq!(keys.rotate().await, Ok(()), "{what}: another rotation");
    assert_eq!(keys.live_keys(), [keys.stored_key()], "{what}");
}

#[tokio::test]
async fn a_rotation_stores_a_new_key_revokes_the_old_one_and_keeps_the_leases() {
    let keys = KeyMount::new().await;
    let leased = keys.mount.read("creds/developer").await.unwrap().unwrap();
    assert_eq!(keys.rotate().await, Ok(()));
    assert_ne!(keys.stored_key(), FIRST_KEY);
    assert_eq!(keys.live_keys(), [keys.stored_key()]);
    assert_eq!(wal_entries(&keys.mount), Vec::<String>::new());
    assert!(keys.mount.storage().entry("config").unwrap().seal_wrap);
    let config = data(keys.mount.read("config").await.unwrap());
    assert!(config["last_rotation"].as_str().unwrap().starts_with("20"), "{config}");
    assert!(!config.to_string().contains(&keys.stored_key()));
    assert_eq!(config.get("next_rotation"), None);

    keys.mount.revoke(&leased).await.unwrap();
    assert!(keys.api.lock().tokens.is_empty());
    assert_eq!(keys.rotate().await, Ok(()));
    assert_eq!(keys.live_keys(), [keys.stored_key()]);
    let name = &keys.api.lock().keys[0].name;
    assert!(name.starts_with("vault-default-"), "{name}");
}

#[tokio::test]
async fn a_named_connection_is_rotated_alone() {
    let keys = KeyMount::new().await;
    keys.api.lock().add_key("by-hand", "staging-key", "team");
    let config =
        json!({"api": DESCRIPTION, "api_endpoint": keys.server.endpoint(), "api_key": "staging-key"});
    assert_accepted(keys.mount.write("config/staging", config).await);
    assert_accepted(keys.mount.write("rotate-root/staging", json!({})).await);
    assert_eq!(keys.stored_key(), FIRST_KEY);
    let live = keys.live_keys();
    assert!(
        live.len() == 2 && live.contains(&FIRST_KEY.to_owned()) && !live.contains(&"staging-key".to_owned())
    );
    let error = error_message(keys.mount.write("rotate-root/missing", json!({})).await);
    assert!(error.contains("there is no connection \"missing\""), "{error}");
}

#[tokio::test]
async fn a_process_that_ends_at_any_request_leaves_a_key_that_works_and_no_other_one_after_a_rollback() {
    for cut in [Cut::BeforeEffect, Cut::AfterEffect] {
        let mut ended = 0;
        for number in 0..30 {
            let keys = KeyMount::new().await;
            let what = format!("{cut:?} of request {number}");
            keys.cut_at(number, cut);
            let result = keys.rotate().await;
            if !keys.api.lock().is_down {
                assert_eq!(result, Ok(()), "{what}");
                break;
            }
            ended += 1;
            assert!(result.is_err(), "{what}");
            assert!(keys.live_keys().contains(&keys.stored_key()), "{what}: no key works");
            keys.restart();
            assert_settles(&keys, &what).await;
        }
        assert!(
            (5..30).contains(&ended),
            "probe, creation, proof, and a probe and a deletion of the old key, not {ended}"
        );
    }
}

#[tokio::test]
async fn a_failure_of_any_storage_call_leaves_a_key_that_works_and_no_other_one_after_a_rollback() {
    for mode in [FailureMode::Once, FailureMode::Persistent] {
        let mut failed = 0;
        for call in 0..60 {
            let keys = KeyMount::new().await;
            let what = format!("storage call {call}, {mode:?}");
            keys.mount.invalidate("config").await;
            keys.mount.storage().fail_after(call, mode, "disk full");
            let result = keys.rotate().await;
            if keys.mount.storage().has_pending_failure() {
                assert_eq!(result, Ok(()), "{what}");
                break;
            }
            failed += 1;
            assert!(keys.live_keys().contains(&keys.stored_key()), "{what}: no key works");
            keys.restart();
            assert_settles(&keys, &what).await;
        }
        assert!((8..60).contains(&failed), "{failed}");
    }
}

#[tokio::test]
async fn a_rollback_that_is_interrupted_anywhere_is_completed_by_the_next_one() {
    for cut in [Cut::BeforeEffect, Cut::AfterEffect] {
        // The rotation ends after the creation, after the proof, and at the revocation.
        for first in 1..5 {
            for number in 0..8 {
                let keys = KeyMount::new().await;
                let what = format!("request {first}, then {cut:?} of request {number} of the rollback");
                keys.cut_at(first, Cut::AfterEffect);
                assert!(keys.rotate().await.is_err(), "{what}");
                keys.restart();
                backdate(&keys, 600).await;
                keys.cut_at(number, cut);
                let _completed_by_the_next_one = keys.mount.rollback().await;
                assert!(keys.live_keys().contains(&keys.stored_key()), "{what}: no key works");
                keys.restart();
                assert_settles(&keys, &what).await;
            }
        }
    }
}

#[tokio::test]
async fn a_rotation_whose_request_was_cancelled_completes() {
    let keys = KeyMount::new().await;
    for steps in 0..6 {
        let before = keys.stored_key();
        let done = crate::poll_steps(steps, keys.rotate()).await;
        harness::eventually("the rotation ends", async || wal_entries(&keys.mount).is_empty().then_some(()))
            .await;
        if done.is_none() && steps == 0 {
            assert_eq!(keys.stored_key(), before);
        }
        harness::eventually("one key is live", async || {
            (keys.live_keys() == [keys.stored_key()]).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_key_that_the_user_writes_during_a_rotation_is_kept_and_the_new_one_is_revoked() {
    for written in ["users-key", FIRST_KEY] {
        let keys = KeyMount::new().await;
        keys.api.lock().add_key("by-hand", "users-key", "team");
        // The proof of the new key is not answered, so the rotation is unfinished.
        keys.cut_at(2, Cut::BeforeEffect);
        keys.rotate().await.unwrap_err();
        keys.restart();
        assert_accepted(keys.mount.write("config", json!({"api_key": written})).await);
        backdate(&keys, 600).await;
        keys.mount.rollback().await.unwrap();
        assert_eq!((keys.stored_key().as_str(), wal_entries(&keys.mount).len()), (written, 0));
        assert_eq!(keys.live_keys(), [FIRST_KEY, "users-key"], "{written}");
    }
}

#[tokio::test]
async fn a_key_that_the_user_writes_after_the_replacement_is_kept_and_the_others_are_revoked() {
    let keys = KeyMount::new().await;
    keys.api.lock().add_key("by-hand", "users-key", "team");
    // The old key cannot be revoked.
    keys.api.lock().failing = Some(("DELETE /keys/", 500));
    let error = keys.rotate().await.unwrap_err();
    assert!(error.contains("the new key is stored, but the old one is not revoked yet"), "{error}");
    let error = error_message(keys.mount.write("config", json!({"api_key": FIRST_KEY})).await);
    assert!(error.contains("was replaced by a rotation"), "{error}");
    let response = keys.mount.write("config", json!({"api_key": "users-key"})).await.unwrap().unwrap();
    assert!(response.warnings[0].contains("was created by a rotation"), "{:?}", response.warnings);
    keys.restart();
    keys.mount.rollback().await.unwrap();
    assert_eq!((keys.stored_key().as_str(), wal_entries(&keys.mount).len()), ("users-key", 0));
    assert_eq!(keys.live_keys(), ["users-key"]);
}

#[tokio::test]
async fn a_key_of_another_account_that_the_user_writes_revokes_nothing_there() {
    for promoted in [false, true] {
        let keys = KeyMount::new().await;
        keys.api.lock().add_key("by-hand", "users-key", "another-team");
        if promoted {
            keys.api.lock().failing = Some(("DELETE /keys/", 500));
        } else {
            keys.cut_at(2, Cut::BeforeEffect);
        }
        keys.rotate().await.unwrap_err();
        keys.restart();
        keys.mount.write("config", json!({"api_key": "users-key"})).await.unwrap();
        backdate(&keys, 600).await;
        let before = keys.server.received().len();
        keys.mount.rollback().await.unwrap();
        let requests = keys.server.received().split_off(before);
        let deletions = requests.iter().filter(|request| request.method == "DELETE");
        assert!(deletions.clone().count() > 0, "{promoted}");
        for request in deletions {
            assert_ne!(request.header("authorization"), Some("Bearer users-key"), "{promoted}");
        }
        let kept = if promoted { vec!["users-key"] } else { vec![FIRST_KEY, "users-key"] };
        assert_eq!(
            (keys.live_keys(), wal_entries(&keys.mount).len()),
            (kept.into_iter().map(str::to_owned).collect(), 0)
        );
    }
}

#[tokio::test]
async fn an_api_that_returns_the_present_key_or_replaces_it_in_place_does_not_lose_it() {
    let keys = KeyMount::new().await;
    keys.api.lock().creation = Creation::Present;
    let error = keys.rotate().await.unwrap_err();
    assert!(error.contains("the API has returned the present key"), "{error}");
    assert_eq!((keys.stored_key().as_str(), keys.live_keys()), (FIRST_KEY, vec![FIRST_KEY.to_owned()]));
    assert_eq!(wal_entries(&keys.mount).len(), 0);

    for call in 0..40 {
        let keys = KeyMount::new().await;
        keys.api.lock().creation = Creation::InPlace;
        keys.mount.storage().fail_after(call, FailureMode::Once, "disk full");
        let result = keys.rotate().await;
        let is_last = keys.mount.storage().has_pending_failure();
        keys.restart();
        backdate(&keys, 600).await;
        keys.mount.rollback().await.unwrap();
        assert_eq!(
            (keys.live_keys(), wal_entries(&keys.mount).len()),
            (vec![keys.stored_key()], 0),
            "{call}: {result:?}"
        );
        if is_last {
            assert_eq!((result, keys.stored_key().as_str()), (Ok(()), "key-in-place"));
            break;
        }
    }
}

#[tokio::test]
async fn the_old_key_stays_while_the_key_of_the_user_does_not_work() {
    let keys = KeyMount::new().await;
    keys.api.lock().failing = Some(("DELETE /keys/", 500));
    keys.rotate().await.unwrap_err();
    assert!(keys.mount.write("config", json!({"api_key": "misspelt"})).await.is_ok());
    keys.restart();
    let error = error_message(keys.mount.rollback().await);
    assert!(error.contains("the old key is not revoked yet") && error.contains("401"), "{error}");
    assert_eq!(keys.live_keys().len(), 2);
}

#[tokio::test]
async fn a_deleted_connection_leaves_no_key_that_nobody_knows() {
    let keys = KeyMount::new().await;
    keys.cut_at(2, Cut::BeforeEffect);
    keys.rotate().await.unwrap_err();
    keys.restart();
    keys.mount.delete("config").await.unwrap();
    backdate(&keys, 600).await;
    let orphans = data(keys.mount.list("orphans/").await.unwrap());
    let id = orphans["keys"][0].as_str().unwrap();
    let orphan = data(keys.mount.read(&format!("orphans/{id}")).await.unwrap());
    assert_eq!((&orphan["state"], &orphan["connection"]), (&json!("not proven"), &json!("default")));
    assert!(!orphan.to_string().contains("created-key"), "{orphan}");
    keys.mount.rollback().await.unwrap();
    assert_eq!((keys.live_keys(), wal_entries(&keys.mount).len()), (vec![FIRST_KEY.to_owned()], 0));

    let keys = KeyMount::new().await;
    keys.rotate().await.unwrap();
    let name = keys.api.lock().keys[0].name.clone();
    let deleted = keys.mount.delete("config").await.unwrap().unwrap();
    assert!(deleted.warnings[0].contains(&name), "{:?}", deleted.warnings);
}

#[tokio::test]
async fn a_new_key_that_is_not_accepted_or_is_of_another_account_is_revoked_and_the_old_one_stays() {
    let keys = KeyMount::new().await;
    keys.api.lock().account_of_new_keys = "another-team".to_owned();
    let error = keys.rotate().await.unwrap_err();
    assert!(error.contains("another account"), "{error}");
    assert_eq!((keys.stored_key(), keys.live_keys()), (FIRST_KEY.to_owned(), vec![FIRST_KEY.to_owned()]));
    assert_eq!(wal_entries(&keys.mount).len(), 0);

    let keys = KeyMount::new().await;
    keys.api.lock().refuses_new_keys = true;
    let error = keys.rotate().await.unwrap_err();
    assert!(error.contains("the key is not valid") && error.contains("status 401"), "{error}");
    assert_eq!((keys.stored_key(), keys.live_keys()), (FIRST_KEY.to_owned(), vec![FIRST_KEY.to_owned()]));
    assert_eq!(wal_entries(&keys.mount).len(), 0);
    keys.restart();
    assert_settles(&keys, "after a refused key").await;
}

#[tokio::test]
async fn a_new_key_that_the_api_does_not_know_everywhere_yet_is_tried_again_until_it_must_be_known() {
    let slow = DESCRIPTION.replace("  api_key: /secret\n", "  api_key: /secret\n  settle: 5m\n");
    for becomes_known in [true, false] {
        let keys = KeyMount::with(&slow, json!({})).await;
        keys.api.lock().refuses_new_keys = true;
        let error = keys.rotate().await.unwrap_err();
        assert!(error.contains("The next rollback tries again"), "{error}");
        assert_eq!((keys.stored_key().as_str(), keys.live_keys().len()), (FIRST_KEY, 2));
        if becomes_known {
            keys.restart();
            keys.mount.rollback().await.unwrap();
            assert_ne!(keys.stored_key(), FIRST_KEY);
        } else {
            backdate(&keys, 301).await;
            keys.mount.rollback().await.unwrap();
            assert_eq!(keys.stored_key(), FIRST_KEY);
        }
        assert_eq!((keys.live_keys(), wal_entries(&keys.mount).len()), (vec![keys.stored_key()], 0));
    }
}

#[tokio::test]
async fn a_key_that_a_rotation_has_revoked_is_not_accepted_again() {
    let keys = KeyMount::new().await;
    keys.rotate().await.unwrap();
    let error =
        error_message(keys.mount.write("config", json!({"api_key": FIRST_KEY, "request_timeout": 7})).await);
    assert!(error.contains("was replaced by a rotation"), "{error}");
    assert_eq!(keys.live_keys(), [keys.stored_key()]);
    keys.api.lock().add_key("by-hand", "users-key", "team");
    assert!(keys.mount.write("config", json!({"api_key": "users-key"})).await.is_ok());
}

#[tokio::test]
async fn a_key_that_another_client_has_revoked_is_named_as_the_cause() {
    let keys = KeyMount::new().await;
    keys.api.lock().keys.clear();
    let error = keys.rotate().await.unwrap_err();
    assert!(
        error.contains("the key is refused (status 401") && error.contains("set a valid api_key"),
        "{error}"
    );
    assert_eq!(wal_entries(&keys.mount).len(), 0);
    keys.api.lock().add_key("by-hand", "users-key", "team");
    assert_accepted(keys.mount.write("config", json!({"api_key": "users-key"})).await);
    assert_eq!(keys.rotate().await, Ok(()));
}

#[tokio::test]
async fn an_unfinished_rotation_is_finished_before_the_next_one() {
    let keys = KeyMount::new().await;
    keys.api.lock().failing = Some(("DELETE /keys/", 500));
    keys.rotate().await.unwrap_err();
    let error = keys.rotate().await.unwrap_err();
    assert!(error.contains("an earlier rotation is not finished"), "{error}");
    assert_eq!(keys.live_keys().len(), 2);
    keys.restart();
    assert_eq!(keys.rotate().await, Ok(()));
    assert_eq!(keys.live_keys(), [keys.stored_key()]);
    assert_eq!(wal_entries(&keys.mount).len(), 0);
}

#[tokio::test]
async fn a_rotation_that_another_node_has_just_begun_is_left_to_it() {
    let keys = KeyMount::new().await;
    keys.cut_at(2, Cut::BeforeEffect);
    keys.rotate().await.unwrap_err();
    keys.restart();
    for entry in wal_entries(&keys.mount) {
        edit_stored(&keys.mount, &entry, |entry: &mut Value| entry["data"]["instance_id"] = "another".into())
            .await;
    }
    let error = keys.rotate().await.unwrap_err();
    assert!(error.contains("another node began"), "{error}");
    backdate(&keys, 600).await;
    assert_eq!(keys.rotate().await, Ok(()));
    assert_eq!(keys.live_keys(), [keys.stored_key()]);
}

#[tokio::test]
async fn requests_that_have_begun_with_the_old_key_end_before_it_is_revoked() {
    let keys = Arc::new(KeyMount::new().await);
    let (mount, runtime) = (Arc::downgrade(&keys.mount), tokio::runtime::Handle::current());
    let (minted, mut results) = tokio::sync::mpsc::unbounded_channel();
    // Credentials are read all the time.
    let reader = runtime.spawn(async move {
        while let Some(mount) = mount.upgrade() {
            let result = mount.read("creds/developer").await.map(drop).map_err(|error| error.to_string());
            if minted.send(result).is_err() {
                return;
            }
        }
    });
    for _ in 0..5 {
        assert_eq!(results.recv().await.unwrap(), Ok(()));
        assert_eq!(keys.rotate().await, Ok(()));
    }
    while let Ok(result) = results.try_recv() {
        assert_eq!(result, Ok(()));
    }
    reader.abort();
}

#[tokio::test]
async fn a_node_that_cannot_write_calls_nothing() {
    let keys = KeyMount::new().await;
    keys.mount.system().set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
    assert!(keys.rotate().await.unwrap_err().contains("readonly storage"));
    assert_eq!(keys.server.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn a_key_that_two_connections_have_is_not_rotated() {
    let keys = KeyMount::new().await;
    let config = json!({"api": DESCRIPTION, "api_endpoint": keys.server.endpoint(), "api_key": FIRST_KEY});
    assert_accepted(keys.mount.write("config/staging", config).await);
    let error = keys.rotate().await.unwrap_err();
    assert!(error.contains("connection \"staging\" has the same api_key"), "{error}");
    assert_eq!(keys.server.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn an_api_without_the_call_or_without_a_search_is_refused_before_anything_is_sent() {
    let (without, _) = DESCRIPTION.split_once("rotate:").unwrap();
    let keys = KeyMount::with(without, json!({})).await;
    assert!(keys.rotate().await.unwrap_err().contains("has no call that creates another key"));
    let error = error_message(keys.mount.write("config", json!({"rotation_period": "1h"})).await);
    assert!(error.contains("rotation_period and rotation_schedule cannot be set"), "{error}");

    let unsearched = DESCRIPTION.replace("  find: {get: /keys, items: /items, name: /name, id: /id}\n", "");
    let keys = KeyMount::with(&unsearched, json!({})).await;
    let error = keys.rotate().await.unwrap_err();
    assert!(error.contains("accept_orphans=true"), "{error}");
    assert_eq!(keys.server.lines(), Vec::<String>::new());

    // A lost key is an orphan until the user deletes its entry.
    let keys = KeyMount::with(&unsearched, json!({"accept_orphans": true})).await;
    keys.cut_at(1, Cut::AfterEffect);
    keys.rotate().await.unwrap_err();
    keys.restart();
    backdate(&keys, 600).await;
    let error = error_message(keys.mount.rollback().await);
    assert!(error.contains("cannot search for it") && error.contains("until it is revoked"), "{error}");
    let id = data(keys.mount.list("orphans/").await.unwrap())["keys"][0].as_str().unwrap().to_owned();
    keys.mount.delete(&format!("orphans/{id}")).await.unwrap();
    assert_eq!(keys.rotate().await, Ok(()));

    // With a maximum lifetime, the entry closes itself.
    let ends = unsearched.replace("  api_key: /secret\n", "  api_key: /secret\n  longest_life: 1d\n");
    let keys = KeyMount::with(&ends, json!({"accept_orphans": true})).await;
    keys.cut_at(1, Cut::AfterEffect);
    keys.rotate().await.unwrap_err();
    keys.restart();
    backdate(&keys, 3600).await;
    assert!(error_message(keys.mount.rollback().await).contains("until 20"));
    backdate(&keys, 86_400).await;
    keys.mount.rollback().await.unwrap();
    assert_eq!(wal_entries(&keys.mount).len(), 0);
}

#[tokio::test]
async fn a_key_that_revokes_itself_is_rotated_too() {
    let by_itself = DESCRIPTION
        .replace("  find: {get: /keys, items: /items, name: /name, id: /id}\n", "")
        .replace("revoke_old: {", "revoke_old: {auth: old, ");
    for (cut, number) in [(None, 0), (Some(Cut::AfterEffect), 4), (Some(Cut::BeforeEffect), 3)] {
        let keys = KeyMount::with(&by_itself, json!({"accept_orphans": true})).await;
        if let Some(cut) = cut {
            keys.cut_at(number, cut);
            keys.rotate().await.unwrap_err();
            keys.restart();
        }
        assert_settles(&keys, &format!("{cut:?}")).await;
        let deletion =
            keys.server.received().into_iter().rfind(|request| request.method == "DELETE").unwrap();
        let sent = deletion.header("authorization").unwrap();
        assert_ne!(sent, format!("Bearer {}", keys.stored_key()), "sent with the old key");
    }
}

#[tokio::test]
async fn parameters_that_belong_to_the_key_change_with_it() {
    let with_id = DESCRIPTION
        .replace("config: {}", "config: {key_id: {required: true}}")
        .replace("{api_key}\"}}", "{api_key}\", X-Key: \"{config.key_id}\"}}")
        .replace("  api_key: /secret\n", "  api_key: /secret\n  config: {key_id: /id}\n")
        .replace("\"/keys/{id}\"", "\"/keys/{config.key_id}\"");
    let keys = KeyMount::with(&with_id, json!({"parameters": {"key_id": "k0"}})).await;
    keys.cut_at(1, Cut::AfterEffect);
    keys.rotate().await.unwrap_err();
    keys.restart();
    assert_settles(&keys, "after a lost response").await;
    let id = keys.api.lock().keys[0].id.clone();
    let config = data(keys.mount.read("config").await.unwrap());
    assert_eq!(config["parameters"]["key_id"], id);
    let last = keys.server.received().pop().unwrap();
    assert_eq!(last.header("x-key"), Some(&*id));
}

async fn run_timer(keys: &KeyMount) {
    keys.mount.request(logical::Operation::Rollback, "", Map::new()).await.unwrap();
}

#[tokio::test]
async fn a_key_is_rotated_when_its_period_is_over_and_not_before() {
    let keys = KeyMount::with(DESCRIPTION, json!({"rotation_period": "1h"})).await;
    let config = data(keys.mount.read("config").await.unwrap());
    assert_eq!(config["rotation_period"], 3600);
    assert!(config["next_rotation"].is_string() && config.get("last_rotation").is_none(), "{config}");
    run_timer(&keys).await;
    assert_eq!(keys.stored_key(), FIRST_KEY);

    let elapse = async |seconds: i64| {
        edit_stored(&keys.mount, "config", |config: &mut Value| {
            for field in ["last", "scheduled_from"] {
                if let Some(time) = config["key_rotation"][field].as_i64() {
                    config["key_rotation"][field] = (time - seconds).into();
                }
            }
        })
        .await;
        keys.mount.invalidate("config").await;
    };
    elapse(3601).await;
    keys.mount.system().set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
    let _refused = keys.mount.request(logical::Operation::Rollback, "", Map::new()).await;
    assert_eq!(keys.stored_key(), FIRST_KEY, "a standby leaves it to the active node");
    keys.mount.system().set_replication_state(ReplicationState::from_bits(0));
    run_timer(&keys).await;
    let second = keys.stored_key();
    assert_ne!(second, FIRST_KEY);
    run_timer(&keys).await;
    assert_eq!(keys.stored_key(), second, "the period begins again");

    elapse(3601).await;
    assert_accepted(keys.mount.write("config", json!({"disable_automated_rotation": true})).await);
    run_timer(&keys).await;
    assert_eq!(keys.stored_key(), second);
    assert_eq!(data(keys.mount.read("config").await.unwrap()).get("next_rotation"), None);
}

#[tokio::test]
async fn a_scheduled_rotation_that_fails_is_delayed_and_keeps_the_key() {
    let keys = KeyMount::with(DESCRIPTION, json!({"rotation_period": "1h"})).await;
    edit_stored(&keys.mount, "config", |config: &mut Value| {
        config["key_rotation"]["scheduled_from"] = 0.into();
    })
    .await;
    keys.mount.invalidate("config").await;
    keys.api.lock().failing = Some(("POST /keys", 403));
    run_timer(&keys).await;
    run_timer(&keys).await;
    let attempts = keys.server.lines().iter().filter(|line| *line == "POST /keys").count();
    assert_eq!((attempts, keys.stored_key().as_str()), (1, FIRST_KEY));
    let (metrics, _) = page(&keys.mount, None).await;
    assert_eq!(value(&metrics, "custom_plugin_rotations_total{result=\"failed\"}"), Some(1.0), "{metrics}");
    keys.restart();
    assert_eq!(keys.rotate().await, Ok(()), "a request does not wait");
}

#[tokio::test]
async fn the_fields_of_the_schedule_follow_the_rules_of_vault() {
    let keys = KeyMount::new().await;
    for (fields, expected) in [
        (json!({"rotation_period": "1h", "rotation_schedule": "0 3 * * SAT"}), "exclude each other"),
        (json!({"rotation_period": "1h", "rotation_window": "2h"}), "rotation_window"),
        (json!({"rotation_period": "1s"}), "rotation_period"),
        (json!({"rotation_schedule": "every day"}), "rotation_schedule"),
    ] {
        let error = error_message(keys.mount.write("config", fields.clone()).await);
        assert!(error.contains(expected), "{fields}: {error}");
    }
    let scheduled = json!({"rotation_schedule": "0 3 * * SAT", "rotation_window": "2h"});
    assert_accepted(keys.mount.write("config", scheduled).await);
    let config = data(keys.mount.read("config").await.unwrap());
    assert_eq!(
        (&config["rotation_schedule"], &config["rotation_window"]),
        (&json!("0 3 * * SAT"), &json!(7200))
    );
    assert!(config["next_rotation"].as_str().unwrap().contains("T03:00:00"), "{config}");
}

#[tokio::test]
async fn no_error_and_no_stored_value_outside_the_sealed_ones_contains_a_key() {
    let keys = KeyMount::new().await;
    let secret = |text: &str| text.contains("created-key") || text.contains(FIRST_KEY);
    for number in 1..6 {
        keys.cut_at(number, Cut::AfterEffect);
        if let Err(error) = keys.rotate().await {
            assert!(!secret(&error), "{error}");
        }
        keys.restart();
        for key in keys.mount.storage().keys() {
            let StorageEntry { value, seal_wrap, .. } = keys.mount.storage().entry(&key).unwrap();
            assert!(seal_wrap || !secret(&String::from_utf8(value).unwrap()), "{key}");
        }
        backdate(&keys, 600).await;
        keys.mount.rollback().await.unwrap();
    }
    tokio::time::timeout(Duration::from_secs(30), async { keys.rotate().await.unwrap() }).await.unwrap();
}
