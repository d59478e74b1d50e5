//! Safety of tokens: a mount only changes the tokens of its leases, and never loses one.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::{Duration, SystemTime};

use harness::{Fault, Operation, Upstream};
use serde_json::{Value, json};
use vault_plugin::logical::{Error, Response, Storage as _, StorageEntry};
use vault_plugin::testing::TestMount;

use crate::{
    assert_accepted, configure, creds, data, error_message, mount_configured, poll_steps, read_error,
    wal_entries,
};

/// Renews a lease with this increment.
async fn renewed_by(
    mount: &TestMount,
    leased: &Response,
    increment: Duration,
) -> vault_plugin::logical::LeaseOptions {
    let mut leased = leased.clone();
    leased.secret.as_mut().unwrap().lease.increment = increment;
    mount.renew(&leased).await.unwrap().unwrap().secret.unwrap().lease
}

fn stored(mount: &TestMount, key: &str) -> Value {
    serde_json::from_slice(&mount.storage().entry(key).unwrap().value).unwrap()
}

/// Changes a stored value without the engine.
pub(crate) async fn edit_stored(mount: &TestMount, key: &str, change: impl FnOnce(&mut Value)) {
    let entry = mount.storage().entry(key).unwrap();
    let mut value = stored(mount, key);
    change(&mut value);
    let value = serde_json::to_vec(&value).unwrap();
    mount.storage().put(StorageEntry { value, ..entry }).await.unwrap();
}

/// Returns a mount with a token whose response was lost, and the id of its write-ahead log entry.
pub(crate) async fn mint_with_lost_response(upstream: &Upstream, config: Value) -> (TestMount, String) {
    let mount = mount_configured(upstream, config).await;
    upstream.fail_next(Operation::Mint, 1, Fault::BrokenJson);
    read_error(&mount, "creds/developer").await;
    let [entry] = &wal_entries(&mount)[..] else { panic!("one entry") };
    assert_eq!(upstream.live().len(), 1);
    let entry = entry.clone();
    (mount, entry)
}

fn text(error: Error) -> String {
    error.to_string()
}

#[tokio::test]
async fn a_lease_never_revokes_or_renews_a_token_of_another_service_with_the_same_id() {
    let with_sequential_ids = || Upstream::builder().sequential_ids().start();
    let (upstream, other) = (with_sequential_ids().await, with_sequential_ids().await);
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let leased = creds(&mount).await;
    configure(&mount, &other, json!({})).await;
    creds(&mount).await;
    assert_eq!(upstream.issued()[0].id, other.issued()[0].id, "both services assign the same ids");

    let requests_before = other.requests().len();
    for error in
        [text(mount.revoke(&leased).await.unwrap_err()), text(mount.renew(&leased).await.unwrap_err())]
    {
        assert!(error.contains(&upstream.endpoint()), "where the token is: {error}");
        assert!(
            error.contains(&format!("api_endpoint={}", upstream.endpoint())),
            "what to configure: {error}"
        );
    }
    assert_eq!(other.requests().len(), requests_before, "nothing was sent");
    assert_eq!((upstream.live().len(), other.live().len()), (1, 1));

    configure(&mount, &upstream, json!({})).await;
    mount.revoke(&leased).await.unwrap();
    assert_eq!((upstream.live().len(), other.live().len()), (0, 1));
}

#[tokio::test]
async fn a_lease_never_revokes_a_token_of_another_account() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"account": "team-a"})).await;
    let leased = creds(&mount).await;
    let requests_before = upstream.requests().len();
    for account in ["team-b", ""] {
        configure(&mount, &upstream, json!({"account": account})).await;
        let error = text(mount.revoke(&leased).await.unwrap_err());
        assert!(error.contains("account=team-a"), "what to configure: {error}");
    }
    assert_eq!(upstream.requests().len(), requests_before, "nothing was sent");
    configure(&mount, &upstream, json!({"account": "team-a"})).await;
    mount.revoke(&leased).await.unwrap();
    assert!(upstream.live().is_empty());
}

#[tokio::test]
async fn leases_survive_a_new_key_and_a_later_name_of_the_account() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let (first, second) = (creds(&mount).await, creds(&mount).await);
    upstream.rotate_api_key("another");
    mount.write("config", json!({"api_key": "another"})).await.unwrap();
    mount.revoke(&first).await.unwrap();
    mount.write("config", json!({"account": "team-a"})).await.unwrap();
    mount.revoke(&second).await.unwrap();
    assert!(upstream.live().is_empty());
}

#[tokio::test]
async fn a_renewal_requests_the_ttl_that_vault_will_grant() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let leased = creds(&mount).await;
    for (increment, granted) in [(0, 3600), (1800, 1800), (7200, 7200), (10 * 86_400, 86_400)] {
        let lease = renewed_by(&mount, &leased, Duration::from_secs(increment)).await;
        let request = upstream.requests_for(Operation::Renew).pop().unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["ttl"], granted, "for an increment of {increment} s");
        assert!(
            lease.max_ttl >= Duration::from_secs(granted),
            "for an increment of {increment} s: {lease:?}"
        );
    }
}

#[tokio::test]
async fn no_increment_makes_a_lease_outlive_its_token() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let mut leased = creds(&mount).await;
    let ten_minutes = Duration::from_mins(10);
    // Vault counts the maximum TTL from the issue time.
    leased.secret.as_mut().unwrap().lease.issue_time = Some(SystemTime::now() - Duration::from_hours(2));
    let soon = (jiff::Timestamp::now() + ten_minutes).to_string();
    upstream.fail_next(Operation::Renew, 1, Fault::ExpiresAt(soon));
    let lease = renewed_by(&mount, &leased, Duration::from_hours(2)).await;
    assert!(lease.ttl <= ten_minutes, "{lease:?}");
    let end = Duration::from_hours(2) + ten_minutes + Duration::from_secs(1);
    assert!(lease.max_ttl <= end, "the increment is capped to the remaining lifetime: {lease:?}");
}

#[tokio::test]
async fn a_rollback_sends_the_exact_bytes_of_the_entry() {
    let upstream = Upstream::start().await;
    let (mount, entry) = mint_with_lost_response(&upstream, json!({})).await;
    // Another release may encode the fields differently.
    edit_stored(&mount, &entry, |entry| {
        let body = entry["data"]["order"]["body"].as_str().unwrap().replace('{', "{ ");
        entry["data"]["order"]["body"] = body.into();
    })
    .await;
    mount.rollback().await.unwrap();
    let sent: Vec<_> =
        upstream.requests_for(Operation::Mint).into_iter().map(|request| request.body).collect();
    assert_eq!(sent[1], String::from_utf8(sent[0].clone().into()).unwrap().replace('{', "{ ").into_bytes());
    assert!(
        !mount
            .storage()
            .entry(&entry)
            .is_some_and(|entry| { String::from_utf8_lossy(&entry.value).contains(&upstream.api_key()) })
    );
}

#[tokio::test]
async fn an_entry_is_seal_wrapped_and_contains_no_key() {
    let upstream = Upstream::start().await;
    let (mount, entry) = mint_with_lost_response(&upstream, json!({})).await;
    let entry = mount.storage().entry(&entry).unwrap();
    assert!(entry.seal_wrap);
    assert!(!String::from_utf8(entry.value).unwrap().contains(&upstream.api_key()));
}

#[tokio::test]
async fn a_rejected_replay_closes_no_entry_and_is_reported() {
    for status in [400, 409, 422] {
        let upstream = Upstream::start().await;
        let (mount, _) = mint_with_lost_response(&upstream, json!({})).await;
        let name = upstream.issued()[0].name.clone();
        upstream.fail_next(Operation::Mint, 1, Fault::Status(status));
        let error = error_message(mount.rollback().await);
        assert!(error.contains(&name) && error.contains(&upstream.endpoint()), "{status}: {error}");
        assert!(error.contains("until"), "how long it may live: {error}");
        assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (1, 1), "{status}");
        mount.rollback().await.unwrap();
        assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0), "{status}");
    }
}

#[tokio::test]
async fn a_replay_is_not_sent_if_the_service_may_have_forgotten_the_key() {
    let upstream = Upstream::start().await;
    let (mount, entry) = mint_with_lost_response(&upstream, json!({"idempotency_window": "1h"})).await;
    let requests_before = upstream.requests().len();
    edit_stored(&mount, &entry, |entry| {
        entry["data"]["planned_at"] = (entry["data"]["planned_at"].as_i64().unwrap() - 3700).into();
    })
    .await;
    let error = error_message(mount.rollback().await);
    assert!(error.contains("idempotency_window"), "{error}");
    assert_eq!(
        upstream.requests().len(),
        requests_before,
        "another token would have been minted and revoked"
    );
    assert_eq!(wal_entries(&mount).len(), 1);
}

#[tokio::test]
async fn an_entry_whose_token_must_have_expired_is_closed_without_a_call_to_the_service() {
    let upstream = Upstream::start().await;
    let (mount, entry) = mint_with_lost_response(&upstream, json!({})).await;
    let requests_before = upstream.requests().len();
    edit_stored(&mount, &entry, |entry| {
        let life = entry["data"]["order"]["ttl"].as_i64().unwrap();
        entry["data"]["planned_at"] = (entry["data"]["planned_at"].as_i64().unwrap() - life - 3600).into();
    })
    .await;
    mount.rollback().await.unwrap();
    assert_eq!((upstream.requests().len(), wal_entries(&mount).len()), (requests_before, 0));
}

#[tokio::test]
async fn a_lease_without_a_valid_token_is_rejected_before_anything_is_sent() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let leased = creds(&mount).await;
    for (field, value) in [("id", ""), ("revocation_path", "tokens?all"), ("revocation_path", "../tokens")] {
        let mut edited = leased.clone();
        edited.secret.as_mut().unwrap().internal_data.insert(field.to_owned(), value.into());
        let error = mount.revoke(&edited).await.unwrap_err().to_string();
        assert!(
            error.contains("cannot read") || error.contains("not below api_endpoint"),
            "{field}: {error}"
        );
    }
    assert!(upstream.requests_for(Operation::Revoke).is_empty());
}

#[tokio::test]
async fn a_service_without_idempotency_keys_is_not_called_twice() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"idempotency_window": 0})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::Status(503));
    read_error(&mount, "creds/developer").await;
    assert_eq!(upstream.requests_for(Operation::Mint).len(), 1);
    error_message(mount.rollback().await);
    assert_eq!(upstream.requests_for(Operation::Mint).len(), 1);
    assert_eq!(wal_entries(&mount).len(), 1);
}

#[tokio::test]
async fn a_token_that_is_not_issued_has_an_entry_until_it_is_revoked() {
    // Counts the steps after which the entry is deleted and the response is not yet returned.
    let mut windows = 0;
    for steps in 0.. {
        let upstream = Upstream::start().await;
        let mount = mount_configured(&upstream, json!({})).await;
        upstream.fail(Operation::Revoke, Fault::Withheld);
        if poll_steps(steps, mount.read("creds/developer")).await.is_some() {
            assert!(steps > 3, "the log, the service, the log twice");
            assert!(windows <= 1, "after {windows} steps an exit of the process would lose a token");
            return;
        }
        // Simulates a kill of the process at this moment.
        windows += usize::from(upstream.live().len() > wal_entries(&mount).len());
        let is_planned =
            wal_entries(&mount).iter().any(|entry| stored(&mount, entry)["data"]["state"] == "planned");
        if !upstream.live().is_empty() && !is_planned {
            upstream.wait_withheld(1).await;
            assert_eq!(wal_entries(&mount).len(), 1, "while it is revoked, cancelled after {steps} steps");
        }
        upstream.heal();
    }
}

/// Without idempotency keys, such a token could not be found by its request.
#[tokio::test]
async fn no_token_is_issued_before_its_record_says_how_it_is_revoked() {
    let mut states = Vec::new();
    for steps in 0.. {
        let upstream = Upstream::start().await;
        let mount = mount_configured(&upstream, json!({})).await;
        if poll_steps(steps, mount.read("creds/developer")).await.is_some() {
            break;
        }
        // Simulates a kill of the process at this moment.
        let entries = wal_entries(&mount);
        states.extend(entries.first().map(|entry| stored(&mount, entry)["data"]["state"].clone()));
    }
    let last = states.last().expect("there was an entry");
    assert!(last["minted"]["revocation"]["id"].is_string(), "{states:?}");
}

#[tokio::test]
async fn a_token_with_a_known_id_is_revoked_without_another_mint() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::ExpiresAt("2001-01-01T00:00:00Z".to_owned()));
    upstream.fail_next(Operation::Revoke, 1, Fault::Status(400));
    read_error(&mount, "creds/developer").await;
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (1, 1));
    mount.rollback().await.unwrap();
    assert_eq!(upstream.requests_for(Operation::Mint).len(), 1);
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0));
}

#[tokio::test]
async fn concurrent_writes_do_not_overwrite_each_others_fields() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    for round in 0..50 {
        let (key, timeout) = (format!("key-{round}"), 1 + round);
        let (one, other) = tokio::join!(
            mount.write("config", json!({"api_key": key})),
            mount.write("config", json!({"request_timeout": timeout})),
        );
        one.unwrap();
        other.unwrap();
        let config = stored(&mount, "config");
        assert_eq!((&config["api_key"], &config["request_timeout"]), (&json!(key), &json!(timeout)));

        let (one, other) = tokio::join!(
            mount.write("roles/developer", json!({"ttl": 60 + round})),
            mount.write("roles/developer", json!({"max_ttl": 7200 + round})),
        );
        one.unwrap();
        other.unwrap();
        let role = data(mount.read("roles/developer").await.unwrap());
        assert_eq!((&role["ttl"], &role["max_ttl"]), (&json!(60 + round), &json!(7200 + round)));
    }
}

#[tokio::test]
async fn the_status_of_the_service_is_kept_for_the_caller() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"idempotency_window": 0})).await;
    for (fault, expected) in [(429, 429), (502, 502), (503, 503)] {
        upstream.fail_next(Operation::Mint, 1, Fault::StatusWithRetryAfter(fault, Duration::from_hours(1)));
        match mount.read("creds/developer").await {
            Err(Error::Coded { status, .. }) => assert_eq!(status, expected),
            other => panic!("for {fault}: {other:?}"),
        }
    }
    for fault in [400, 422] {
        upstream.fail_next(Operation::Mint, 1, Fault::Status(fault));
        let response = mount.read("creds/developer").await.expect("an error response, which is status 400");
        assert!(response.unwrap().error_text().unwrap().contains("check the role's permissions"));
    }
}

#[tokio::test]
async fn a_write_warns_about_insecure_and_ineffective_settings() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    for (path, fields, warning) in [
        ("config", json!({"api_endpoint": "http://tokens.example.com"}), "unencrypted"),
        (
            "config",
            json!({"api_endpoint": "https://tokens.example.com", "tls_skip_verify": true}),
            "tls_skip_verify",
        ),
        ("roles/developer", json!({"ttl": "40d", "max_ttl": 0}), "ttl is 3456000s"),
        ("roles/developer", json!({"ttl": "1h", "max_ttl": "40d"}), "max_lease_ttl"),
    ] {
        let response = mount.write(path, fields.clone()).await.unwrap().expect("a response");
        let warnings =
            response.warnings.iter().filter(|text| !text.contains("only while config has this connection"));
        let warnings: Vec<_> = warnings.collect();
        assert!(warnings.len() == 1 && warnings[0].contains(warning), "{fields}: {response:?}");
    }
    assert_eq!(mount.write("roles/developer", json!({"max_ttl": "1d"})).await.unwrap(), None);
    configure(&mount, &upstream, json!({"tls_skip_verify": false})).await;
}

#[tokio::test]
async fn a_token_without_an_account_belongs_to_the_first_configured_account_of_its_key() {
    let upstream = Upstream::start().await;
    let (mount, _) = mint_with_lost_response(&upstream, json!({})).await;
    let leased = creds(&mount).await;
    let requests_before = upstream.requests().len();
    assert_accepted(mount.write("config", json!({"account": "team-a"})).await);
    assert_accepted(mount.write("config", json!({"account": "team-b", "api_key": "key-b"})).await);
    // The other account of the service has tokens with the same ids.
    let key_a = upstream.api_key();
    upstream.rotate_api_key("key-b");
    for error in [text(mount.revoke(&leased).await.unwrap_err()), error_message(mount.rollback().await)] {
        assert!(error.contains("account=team-a"), "what to configure: {error}");
    }
    assert_eq!((upstream.requests().len(), upstream.live().len()), (requests_before, 2), "nothing was sent");

    upstream.rotate_api_key(&key_a);
    assert_accepted(mount.write("config", json!({"account": "team-a", "api_key": key_a})).await);
    mount.revoke(&leased).await.unwrap();
    mount.rollback().await.unwrap();
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0));
}

#[tokio::test]
async fn the_account_of_the_current_key_is_configured_before_another_one() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let leased = creds(&mount).await;
    let error = error_message(mount.write("config", json!({"account": "team-b", "api_key": "key-b"})).await);
    assert!(error.contains("account of the present api_key"), "{error}");
    mount.revoke(&leased).await.expect("nothing was changed");

    // A configuration that is written again after its deletion has no record of the existing leases.
    let leased = creds(&mount).await;
    mount.delete("config").await.unwrap();
    configure(&mount, &upstream, json!({"account": "team-b"})).await;
    let error = text(mount.revoke(&leased).await.unwrap_err());
    assert!(error.contains(r#"account="""#), "{error}");
    configure(&mount, &upstream, json!({"account": ""})).await;
    mount.revoke(&leased).await.unwrap();
}

#[tokio::test]
async fn a_write_that_changes_the_connection_of_leases_warns_how_to_revoke_them() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let warnings = async |fields: Value| {
        mount.write("config", fields).await.unwrap().map(|response| response.warnings).unwrap_or_default()
    };
    assert_eq!(warnings(json!({"account": "team-a"})).await, Vec::<String>::new());
    let old = format!("{}, account team-a", upstream.endpoint());
    for fields in [
        json!({"account": "team-b"}),
        json!({"api_endpoint": "https://tokens.example.com", "account": "team-a"}),
    ] {
        let warnings_of_write = warnings(fields.clone()).await;
        let [warning] = &warnings_of_write[..] else { panic!("{fields}: {warnings_of_write:?}") };
        assert!(warning.contains(&old) && warning.contains("vault lease revoke -prefix"), "{warning}");
        configure(&mount, &upstream, json!({"account": "team-a"})).await;
    }
    assert_eq!(warnings(json!({"api_key": "key-2"})).await, Vec::<String>::new());
}
