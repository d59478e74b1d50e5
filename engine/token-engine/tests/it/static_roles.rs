//! Static roles: one token that is rotated, with the one before.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod faults;
mod timer;

use std::time::Duration;

use harness::{Fault, Operation, Upstream};
use serde_json::{Value, json};
use token_engine::engine;
use vault_plugin::logical::{self, Map, ReplicationState};
use vault_plugin::testing::{StorageCall, TestMount};

use crate::{assert_accepted, configure, data, error_message, mount_configured, read_error, wal_entries};

const ROLE: &str = "static-roles/app";

/// Returns a mount with the static role `app`, which is rotated every hour.
async fn mount_with_static_role(upstream: &Upstream) -> TestMount {
    let mount = mount_configured(upstream, json!({})).await;
    assert_accepted(mount.write(ROLE, json!({"permissions": "read", "rotation_period": "1h"})).await);
    mount
}

async fn static_creds(mount: &TestMount) -> Value {
    data(mount.read("static-creds/app").await.unwrap())
}

async fn token(mount: &TestMount) -> String {
    static_creds(mount).await["token"].as_str().unwrap().to_owned()
}

async fn rotate(mount: &TestMount) {
    assert_accepted(mount.write("rotate-role/app", json!({})).await);
}

fn stored(mount: &TestMount, key: &str) -> Option<Value> {
    mount.storage().entry(key).map(|entry| serde_json::from_slice(&entry.value).unwrap())
}

/// Returns the names of the tokens that static roles keep.
pub(crate) fn kept(mount: &TestMount) -> Vec<String> {
    let keys = mount.storage().keys().into_iter().filter(|key| key.starts_with("static-roles/"));
    let mut names = Vec::new();
    for role in keys.filter_map(|key| stored(mount, &key)) {
        let credentials = [&role["current"], &role["previous"]];
        names.extend(
            credentials
                .iter()
                .filter_map(|credential| credential["entry"]["order"]["name"].as_str().map(str::to_owned)),
        );
    }
    names
}

/// Returns the names of live tokens that neither a static role nor a write-ahead log entry knows.
fn untracked(upstream: &Upstream, mount: &TestMount) -> Vec<String> {
    let mut known = kept(mount);
    known.extend(
        wal_entries(mount)
            .iter()
            .filter_map(|key| stored(mount, key))
            .filter_map(|entry| entry["data"]["order"]["name"].as_str().map(str::to_owned)),
    );
    upstream.live().into_iter().map(|token| token.name).filter(|name| !known.contains(name)).collect()
}

/// Asserts that exactly the tokens of the static roles are live.
#[track_caller]
fn assert_only_kept_tokens(upstream: &Upstream, mount: &TestMount, what: &str) {
    let mut live: Vec<_> = upstream.live().into_iter().map(|token| token.name).collect();
    let mut kept = kept(mount);
    live.sort();
    kept.sort();
    assert_eq!((live, wal_entries(mount).len()), (kept, 0), "{what}");
}

#[tokio::test]
async fn a_static_role_mints_its_token_when_it_is_written() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    let minted = upstream.issued().remove(0);
    assert!(minted.name.starts_with("vault-app-"), "{}", minted.name);
    assert_eq!(minted.permissions, ["read"]);
    assert_eq!(minted.ttl, Duration::from_hours(2 + 24), "two periods, and a day for an outage");

    let response = mount.read("static-creds/app").await.unwrap().unwrap();
    assert!(response.secret.is_none(), "no lease");
    let mut creds = data(Some(response));
    let ttl = creds["ttl"].as_u64().unwrap();
    assert!((3590..=3600).contains(&ttl), "{ttl}");
    let rotated = creds["last_vault_rotation"].clone();
    rotated.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    creds.as_object_mut().unwrap().retain(|name, _| !["ttl", "last_vault_rotation"].contains(&&**name));
    assert_eq!(creds, json!({"token": minted.token, "permissions": ["read"], "rotation_period": 3600}));

    assert_eq!(
        data(mount.read(ROLE).await.unwrap()),
        json!({
            "config": "default", "permissions": ["read"], "ttl": 0, "rotation_period": 3600,
            "last_vault_rotation": rotated,
        })
    );
    assert_eq!(data(mount.list("static-roles/").await.unwrap()), json!({"keys": ["app"]}));
    assert!(mount.storage().entry(ROLE).unwrap().seal_wrap, "its entry contains the token");
    assert_only_kept_tokens(&upstream, &mount, "created");
}

#[tokio::test]
async fn the_previous_token_stays_valid_until_the_next_rotation() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    let mut tokens = vec![token(&mount).await];
    for _ in 0..3 {
        rotate(&mount).await;
        tokens.push(token(&mount).await);
        let accepted: Vec<_> = tokens.iter().filter(|token| upstream.accepts(token)).collect();
        assert_eq!(accepted, tokens.iter().rev().take(2).rev().collect::<Vec<_>>());
        assert_only_kept_tokens(&upstream, &mount, "rotated");
    }
    assert_accepted(mount.delete(ROLE).await);
    assert!(upstream.live().is_empty());
    assert!(mount.read(ROLE).await.unwrap().is_none());
    assert!(read_error(&mount, "static-creds/app").await.contains("no static role \"app\""));
    assert_only_kept_tokens(&upstream, &mount, "deleted");
    assert_accepted(mount.delete(ROLE).await);
}

#[tokio::test]
async fn an_invalid_static_role_is_refused_before_a_token_is_minted() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    for (fields, expected) in [
        (json!({}), "rotation_period or rotation_schedule is required"),
        (json!({"rotation_period": "59s"}), "at least 60s"),
        (json!({"rotation_period": "1h", "rotation_schedule": "0 3 * * SAT"}), "exclude each other"),
        (json!({"rotation_period": "1h", "rotation_window": "2h"}), "rotation_schedule only"),
        (json!({"rotation_schedule": "0 3 * * SAT", "rotation_window": "59m"}), "at least 3600s"),
        (json!({"rotation_schedule": "0 3 * *"}), "five fields"),
        (json!({"rotation_period": "1h", "ttl": "119m"}), "ttl must be at least 7200s"),
        (json!({"rotation_period": "1h", "permissions": ""}), "permissions is required"),
        (json!({"rotation_period": "1h", "parameters": "user=ada"}), "user"),
        (json!({"rotation_period": "1h", "config": "missing"}), "no connection \"missing\""),
    ] {
        let mut role = json!({"permissions": "read"});
        role.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let error = error_message(mount.write(ROLE, role).await);
        assert!(error.contains(expected), "{fields}: {error}");
    }
    assert!(
        error_message(mount.patch(ROLE, json!({"ttl": 0})).await).contains("no static role \"app\" to patch")
    );
    assert!(
        error_message(mount.write("rotate-role/app", json!({})).await).contains("no static role \"app\"")
    );
    assert!(error_message(mount.write("static-roles/a/b", json!({})).await).contains("cannot be the name"));
    assert!(upstream.requests().is_empty());
    assert_eq!(mount.storage().keys(), ["config", "roles/developer"]);
}

#[tokio::test]
async fn a_change_applies_from_the_next_rotation_on() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    let before = token(&mount).await;
    let response = mount.patch(ROLE, json!({"permissions": "read,write"})).await.unwrap().unwrap();
    assert!(response.warnings[0].contains("rotate-role/app"), "{:?}", response.warnings);
    assert_accepted(
        mount.patch(ROLE, json!({"rotation_schedule": "0 3 * * SAT", "rotation_window": "2h"})).await,
    );
    let creds = static_creds(&mount).await;
    assert_eq!((&creds["token"], &creds["permissions"]), (&json!(before), &json!(["read"])));
    assert_eq!(
        (&creds["rotation_schedule"], &creds["rotation_window"], creds.get("rotation_period")),
        (&json!("0 3 * * SAT"), &json!(7200), None)
    );
    rotate(&mount).await;
    assert_eq!(static_creds(&mount).await["permissions"], json!(["read", "write"]));
    assert_eq!(upstream.issued()[1].ttl, Duration::from_hours(24 * 15), "two weeks, and a day");
    assert!(error_message(mount.patch(ROLE, json!({"ttl": "13d"})).await).contains("ttl must be at least"));
}

#[tokio::test]
async fn a_token_that_ends_before_the_rotation_after_the_next_is_refused_and_revoked() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let soon = (jiff::Timestamp::now() + Duration::from_mins(90)).to_string();
    upstream.fail_next(Operation::Mint, 1, Fault::ExpiresAt(soon));
    let role = json!({"permissions": "read", "rotation_period": "1h"});
    let error = error_message(mount.write(ROLE, role.clone()).await);
    assert!(
        error.contains("the service grants a token until") && error.contains("rotation_period"),
        "{error}"
    );
    assert!(upstream.live().is_empty());
    assert_only_kept_tokens(&upstream, &mount, "refused");

    // A role that exists keeps it: the token that it replaces ends even earlier.
    assert_accepted(mount.write(ROLE, role).await);
    let soon = (jiff::Timestamp::now() + Duration::from_mins(90)).to_string();
    upstream.fail_next(Operation::Mint, 1, Fault::ExpiresAt(soon));
    rotate(&mount).await;
    assert!(upstream.accepts(&token(&mount).await));
}

#[tokio::test]
async fn a_standby_reads_the_token_and_changes_nothing() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    let requests = upstream.requests().len();
    mount.system().set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
    mount.storage().fail_on(StorageCall::Put, "", "cannot write to readonly storage");
    mount.storage().fail_on(StorageCall::Delete, "", "cannot write to readonly storage");
    assert!(upstream.accepts(&token(&mount).await));
    let role = json!({"permissions": "read", "rotation_period": "1h"});
    for result in [
        mount.write("rotate-role/app", json!({})).await,
        mount.write(ROLE, json!({"ttl": "30h"})).await,
        mount.write("static-roles/new", role).await,
        mount.delete(ROLE).await,
    ] {
        assert_eq!(error_message(result), "cannot write to readonly storage");
    }
    assert_eq!(upstream.requests().len(), requests, "nothing was sent");
}

#[tokio::test]
async fn tokens_of_another_account_are_kept_until_they_can_be_revoked() {
    let (upstream, other) = (Upstream::start().await, Upstream::start().await);
    let mount = mount_with_static_role(&upstream).await;
    configure(&mount, &other, json!({})).await;
    rotate(&mount).await;
    assert!(other.accepts(&token(&mount).await));
    let response = mount.write("rotate-role/app", json!({})).await.unwrap().unwrap();
    assert!(response.warnings[0].contains("not revoked yet"), "{:?}", response.warnings);
    assert!(error_message(mount.rollback().await).contains("may be live"));
    assert_eq!((upstream.live().len(), other.live().len(), wal_entries(&mount).len()), (1, 2, 1));

    configure(&mount, &upstream, json!({})).await;
    mount.rollback().await.unwrap();
    assert_eq!((upstream.live().len(), other.live().len(), wal_entries(&mount).len()), (0, 2, 0));
}

#[tokio::test]
async fn a_deleted_role_is_revoked_once_the_service_is_back() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    rotate(&mount).await;
    upstream.fail(Operation::Revoke, Fault::Status(400));
    let response = mount.delete(ROLE).await.unwrap().unwrap();
    assert!(response.warnings[0].contains("not revoked yet"), "{:?}", response.warnings);
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (2, 2));
    error_message(mount.rollback().await);
    upstream.heal();
    mount.rollback().await.unwrap();
    assert_only_kept_tokens(&upstream, &mount, "deleted");
}

#[tokio::test]
async fn a_role_that_is_deleted_while_it_is_rotated_leaves_no_token() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    upstream.fail_next(Operation::Mint, 1, Fault::Withheld);
    let delete = async {
        upstream.wait_withheld(1).await;
        let deleted = mount.delete(ROLE);
        let heal = async {
            // The deletion waits for the lock of the role.
            tokio::task::yield_now().await;
            upstream.heal();
        };
        tokio::join!(deleted, heal).0
    };
    let (rotated, deleted) = tokio::join!(mount.write("rotate-role/app", json!({})), delete);
    assert_accepted(rotated);
    assert_accepted(deleted);
    assert_eq!(upstream.issued().len(), 2);
    assert_only_kept_tokens(&upstream, &mount, "deleted");
}

#[tokio::test]
async fn simultaneous_requests_wait_for_each_other() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let role = || json!({"permissions": "read", "rotation_period": "1h"});
    let (first, second) = tokio::join!(mount.write(ROLE, role()), mount.write(ROLE, role()));
    assert_accepted(first);
    assert_accepted(second);
    assert_eq!(upstream.issued().len(), 1, "the second write is an update");

    let request = || mount.write("rotate-role/app", json!({}));
    let (first, second, third) = tokio::join!(request(), request(), request());
    for rotated in [first, second, third] {
        assert_accepted(rotated);
    }
    assert_eq!(upstream.issued().len(), 4);
    assert!(upstream.accepts(&token(&mount).await));
    assert_only_kept_tokens(&upstream, &mount, "rotated three times");
}

#[tokio::test]
async fn a_rollback_during_a_rotation_does_not_revoke_the_new_token() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    upstream.fail_next(Operation::Mint, 1, Fault::Withheld);
    let roll_back = async {
        upstream.wait_withheld(1).await;
        let mut rollback = std::pin::pin!(mount.rollback());
        // It waits for the rotation. Without that, it would find the new token and revoke it within this time.
        let early = tokio::time::timeout(Duration::from_millis(300), &mut rollback).await;
        upstream.heal();
        match early {
            Ok(result) => result,
            Err(_) => rollback.await,
        }
    };
    let (rotated, rolled_back) = tokio::join!(mount.write("rotate-role/app", json!({})), roll_back);
    assert_accepted(rotated);
    rolled_back.unwrap();
    assert_eq!(upstream.live().len(), 2);
    assert!(upstream.accepts(&token(&mount).await));
    assert_only_kept_tokens(&upstream, &mount, "rotated");
}

#[tokio::test]
async fn the_tokens_of_a_mount_that_is_removed_are_revoked() {
    let upstream = Upstream::start().await;
    let mount = mount_with_static_role(&upstream).await;
    rotate(&mount).await;
    assert_eq!(upstream.live().len(), 2);
    mount.system().update(|host| host.tainted = true);
    mount.request(logical::Operation::Rollback, "", Map::new()).await.unwrap();
    assert_only_kept_tokens(&upstream, &mount, "removed");
    assert!(upstream.live().is_empty());
}

#[tokio::test]
async fn static_roles_are_listed_in_pages() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    assert!(
        mount.list("static-roles/").await.unwrap().unwrap().data.unwrap_or_default().get("keys").is_none()
    );
    for name in ["a", "b", "c"] {
        let role = json!({"permissions": "read", "rotation_period": "1h"});
        assert_accepted(mount.write(&format!("static-roles/{name}"), role).await);
    }
    let page = json!({"after": "a", "limit": 1}).as_object().unwrap().clone();
    let listed = mount.request(logical::Operation::List, "static-roles/", page).await.unwrap();
    assert_eq!(data(listed)["keys"], json!(["b"]));
}

#[tokio::test]
async fn a_static_role_of_a_described_api_returns_its_outputs_and_no_permissions() {
    let (hub, _api, mount) = crate::described::hub().await;
    let role = json!({"parameters": {"user": "ada", "scopes": "read:users"}, "rotation_period": "1d"});
    assert_accepted(mount.write(ROLE, role).await);
    rotate(&mount).await;
    rotate(&mount).await;
    let creds = static_creds(&mount).await;
    assert!(creds["token"].as_str().unwrap().starts_with("secret-of-"), "{creds}");
    assert_eq!(creds.get("permissions"), None);
    assert_eq!(hub.lock().tokens.len(), 2);
    assert_accepted(mount.delete(ROLE).await);
    assert!(hub.lock().tokens.is_empty());
}

/// A new process with the storage of a mount, as after a failover.
async fn restarted(mount: &TestMount) -> TestMount {
    use vault_plugin::logical::Storage as _;
    let restarted = TestMount::new(engine()).await.unwrap();
    for entry in mount.storage().keys().iter().filter_map(|key| mount.storage().entry(key)) {
        restarted.storage().put(entry).await.unwrap();
    }
    restarted
}
