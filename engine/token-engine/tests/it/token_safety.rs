//! What a mount must never do to tokens that are not those of its leases, and never lose of those that are.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

use std::time::{Duration, SystemTime};

use harness::{Fault, Operation, Upstream};
use serde_json::{Value, json};
use vault_plugin::logical::{Error, Response, Storage as _, StorageEntry};
use vault_plugin::testing::TestMount;

use crate::{
    assert_accepted, configure, creds, data, mount_configured, poll_steps, read_refusal, refusal_message,
    wal_entries,
};

/// A renewal for which the caller asks this much.
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

/// What is stored at a key, changed past the engine.
pub(crate) async fn edit_stored(mount: &TestMount, key: &str, change: impl FnOnce(&mut Value)) {
    let entry = mount.storage().entry(key).unwrap();
    let mut value = stored(mount, key);
    change(&mut value);
    let value = serde_json::to_vec(&value).unwrap();
    mount.storage().put(StorageEntry { value, ..entry }).await.unwrap();
}

/// A mount with one token that its service has issued, and whose answer was lost: only the write-ahead log knows it.
pub(crate) async fn mint_with_lost_response(upstream: &Upstream, config: Value) -> (TestMount, String) {
    let mount = mount_configured(upstream, config).await;
    upstream.fail_next(Operation::Mint, 1, Fault::BrokenJson);
    read_refusal(&mount, "creds/developer").await;
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
    let counting = || Upstream::builder().sequential_ids().start();
    let (upstream, other) = (counting().await, counting().await);
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let leased = creds(&mount).await;
    configure(&mount, &other, json!({})).await;
    creds(&mount).await;
    assert_eq!(upstream.issued()[0].id, other.issued()[0].id, "services count alike");

    let asked = other.requests().len();
    for error in
        [text(mount.revoke(&leased).await.unwrap_err()), text(mount.renew(&leased).await.unwrap_err())]
    {
        assert!(error.contains(&upstream.endpoint()), "where the token is: {error}");
        assert!(
            error.contains(&format!("api_endpoint={}", upstream.endpoint())),
            "what to configure: {error}"
        );
    }
    assert_eq!(other.requests().len(), asked, "nothing was sent");
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
    let asked = upstream.requests().len();
    for account in ["team-b", ""] {
        configure(&mount, &upstream, json!({"account": account})).await;
        let error = text(mount.revoke(&leased).await.unwrap_err());
        assert!(error.contains("account=team-a"), "what to configure: {error}");
    }
    assert_eq!(upstream.requests().len(), asked, "nothing was sent");
    configure(&mount, &upstream, json!({"account": "team-a"})).await;
    mount.revoke(&leased).await.unwrap();
    assert!(upstream.live().is_empty());
}

#[tokio::test]
async fn a_new_key_strands_no_lease_and_neither_does_naming_the_account_later() {
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
async fn a_renewal_asks_the_service_for_what_vault_will_grant() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let leased = creds(&mount).await;
    for (asked, granted) in [(0, 3600), (1800, 1800), (7200, 7200), (10 * 86_400, 86_400)] {
        let lease = renewed_by(&mount, &leased, Duration::from_secs(asked)).await;
        let request = upstream.requests_for(Operation::Renew).pop().unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(body["ttl"], granted, "for an increment of {asked} s");
        assert!(lease.max_ttl >= Duration::from_secs(granted), "for an increment of {asked} s: {lease:?}");
    }
}

#[tokio::test]
async fn no_increment_makes_a_lease_outlive_what_the_service_gave() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let mut leased = creds(&mount).await;
    let ten_minutes = Duration::from_mins(10);
    // Vault counts the longest life from the time of issue.
    leased.secret.as_mut().unwrap().lease.issue_time = Some(SystemTime::now() - Duration::from_hours(2));
    let soon = (jiff::Timestamp::now() + ten_minutes).to_string();
    upstream.fail_next(Operation::Renew, 1, Fault::ExpiresAt(soon));
    let lease = renewed_by(&mount, &leased, Duration::from_hours(2)).await;
    assert!(lease.ttl <= ten_minutes, "{lease:?}");
    let end = Duration::from_hours(2) + ten_minutes + Duration::from_secs(1);
    assert!(lease.max_ttl <= end, "the increment is cut to what is left: {lease:?}");
}

#[tokio::test]
async fn a_rollback_sends_the_very_bytes_that_were_announced() {
    let upstream = Upstream::start().await;
    let (mount, entry) = mint_with_lost_response(&upstream, json!({})).await;
    // A release that names its fields differently announces so, and is rolled back by this one.
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
async fn an_entry_is_seal_wrapped_and_holds_no_key() {
    let upstream = Upstream::start().await;
    let (mount, entry) = mint_with_lost_response(&upstream, json!({})).await;
    let entry = mount.storage().entry(&entry).unwrap();
    assert!(entry.seal_wrap);
    assert!(!String::from_utf8(entry.value).unwrap().contains(&upstream.api_key()));
}

#[tokio::test]
async fn a_refusal_of_the_replay_closes_no_entry_and_is_said() {
    for status in [400, 409, 422] {
        let upstream = Upstream::start().await;
        let (mount, _) = mint_with_lost_response(&upstream, json!({})).await;
        let name = upstream.issued()[0].name.clone();
        upstream.fail_next(Operation::Mint, 1, Fault::Status(status));
        let error = refusal_message(mount.rollback().await);
        assert!(error.contains(&name) && error.contains(&upstream.endpoint()), "{status}: {error}");
        assert!(error.contains("until"), "how long it may live: {error}");
        assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (1, 1), "{status}");
        mount.rollback().await.unwrap();
        assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0), "{status}");
    }
}

#[tokio::test]
async fn a_replay_is_not_sent_when_the_service_may_have_forgotten_the_key() {
    let upstream = Upstream::start().await;
    let (mount, entry) = mint_with_lost_response(&upstream, json!({"idempotency_window": "1h"})).await;
    let asked = upstream.requests().len();
    edit_stored(&mount, &entry, |entry| {
        entry["data"]["planned_at"] = (entry["data"]["planned_at"].as_i64().unwrap() - 3700).into();
    })
    .await;
    let error = refusal_message(mount.rollback().await);
    assert!(error.contains("idempotency_window"), "{error}");
    assert_eq!(upstream.requests().len(), asked, "another token would have been minted and revoked");
    assert_eq!(wal_entries(&mount).len(), 1);
}

#[tokio::test]
async fn an_entry_whose_token_must_have_expired_is_closed_without_a_word_to_the_service() {
    let upstream = Upstream::start().await;
    let (mount, entry) = mint_with_lost_response(&upstream, json!({})).await;
    let asked = upstream.requests().len();
    edit_stored(&mount, &entry, |entry| {
        let life = entry["data"]["order"]["ttl"].as_i64().unwrap();
        entry["data"]["planned_at"] = (entry["data"]["planned_at"].as_i64().unwrap() - life - 3600).into();
    })
    .await;
    mount.rollback().await.unwrap();
    assert_eq!((upstream.requests().len(), wal_entries(&mount).len()), (asked, 0));
}

#[tokio::test]
async fn a_service_without_idempotency_keys_is_not_asked_twice() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"idempotency_window": 0})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::Status(503));
    read_refusal(&mount, "creds/developer").await;
    assert_eq!(upstream.requests_for(Operation::Mint).len(), 1);
    refusal_message(mount.rollback().await);
    assert_eq!(upstream.requests_for(Operation::Mint).len(), 1);
    assert_eq!(wal_entries(&mount).len(), 1);
}

#[tokio::test]
async fn a_token_that_is_given_back_has_its_record_until_it_is_gone() {
    // Moments in which the entry has just been deleted, and the answer is all that is left to send.
    let mut windows = 0;
    for steps in 0.. {
        let upstream = Upstream::start().await;
        let mount = mount_configured(&upstream, json!({})).await;
        upstream.fail(Operation::Revoke, Fault::Withheld);
        if poll_steps(steps, mount.read("creds/developer")).await.is_some() {
            assert!(steps > 3, "the log, the service, the log twice");
            assert!(windows <= 1, "{windows} moments in which the end of the process would lose a token");
            return;
        }
        // As if the process were killed at this moment.
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

#[tokio::test]
async fn a_token_is_revoked_by_its_record_and_not_by_another_mint_once_its_id_is_known() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::ExpiresAt("2001-01-01T00:00:00Z".to_owned()));
    upstream.fail_next(Operation::Revoke, 1, Fault::Status(400));
    read_refusal(&mount, "creds/developer").await;
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (1, 1));
    mount.rollback().await.unwrap();
    assert_eq!(upstream.requests_for(Operation::Mint).len(), 1);
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0));
}

#[tokio::test]
async fn two_writes_at_once_lose_no_field_of_each_other() {
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
async fn what_the_service_says_keeps_its_meaning_for_the_caller() {
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
        let answer = mount.read("creds/developer").await.expect("an error response, which is status 400");
        assert!(answer.unwrap().error_text().unwrap().contains("check the role's permissions"));
    }
}

#[tokio::test]
async fn what_is_dangerous_or_will_not_hold_is_said_when_it_is_written() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    for (path, written, warning) in [
        ("config", json!({"api_endpoint": "http://tokens.example.com"}), "unencrypted"),
        (
            "config",
            json!({"api_endpoint": "https://tokens.example.com", "tls_skip_verify": true}),
            "tls_skip_verify",
        ),
        ("roles/developer", json!({"ttl": "40d", "max_ttl": 0}), "ttl is 3456000s"),
        ("roles/developer", json!({"ttl": "1h", "max_ttl": "40d"}), "max_lease_ttl"),
    ] {
        let answer = mount.write(path, written.clone()).await.unwrap().expect("an answer");
        let said = answer.warnings.iter().filter(|said| !said.contains("only while config names that"));
        let said: Vec<_> = said.collect();
        assert!(said.len() == 1 && said[0].contains(warning), "{written}: {answer:?}");
    }
    assert_eq!(mount.write("roles/developer", json!({"max_ttl": "1d"})).await.unwrap(), None);
    configure(&mount, &upstream, json!({"tls_skip_verify": false})).await;
}

#[tokio::test]
async fn a_token_without_an_account_belongs_to_the_account_that_its_key_was_first_named_with() {
    let upstream = Upstream::start().await;
    let (mount, _) = mint_with_lost_response(&upstream, json!({})).await;
    let leased = creds(&mount).await;
    let asked = upstream.requests().len();
    assert_accepted(mount.write("config", json!({"account": "team-a"})).await);
    assert_accepted(mount.write("config", json!({"account": "team-b", "api_key": "key-b"})).await);
    // The service knows the same ids in the other account.
    let key_a = upstream.api_key();
    upstream.rotate_api_key("key-b");
    for error in [text(mount.revoke(&leased).await.unwrap_err()), refusal_message(mount.rollback().await)] {
        assert!(error.contains("account=team-a"), "what to configure: {error}");
    }
    assert_eq!((upstream.requests().len(), upstream.live().len()), (asked, 2), "nothing was sent");

    upstream.rotate_api_key(&key_a);
    assert_accepted(mount.write("config", json!({"account": "team-a", "api_key": key_a})).await);
    mount.revoke(&leased).await.unwrap();
    mount.rollback().await.unwrap();
    assert_eq!((upstream.live().len(), wal_entries(&mount).len()), (0, 0));
}

#[tokio::test]
async fn the_account_of_the_present_key_is_named_before_that_of_another() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let leased = creds(&mount).await;
    let error =
        refusal_message(mount.write("config", json!({"account": "team-b", "api_key": "key-b"})).await);
    assert!(error.contains("account of the present api_key"), "{error}");
    mount.revoke(&leased).await.expect("nothing was changed");

    // A configuration that is written anew knows nothing of the leases that are left.
    let leased = creds(&mount).await;
    mount.delete("config").await.unwrap();
    configure(&mount, &upstream, json!({"account": "team-b"})).await;
    let error = text(mount.revoke(&leased).await.unwrap_err());
    assert!(error.contains(r#"account="""#), "{error}");
    configure(&mount, &upstream, json!({"account": ""})).await;
    mount.revoke(&leased).await.unwrap();
}

#[tokio::test]
async fn a_write_that_leaves_the_connection_of_leases_says_how_they_are_revoked() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let warnings = async |written: Value| {
        mount.write("config", written).await.unwrap().map(|answer| answer.warnings).unwrap_or_default()
    };
    assert_eq!(warnings(json!({"account": "team-a"})).await, Vec::<String>::new());
    let old = format!("{}, account team-a", upstream.endpoint());
    for written in [
        json!({"account": "team-b"}),
        json!({"api_endpoint": "https://tokens.example.com", "account": "team-a"}),
    ] {
        let said = warnings(written.clone()).await;
        let [warning] = &said[..] else { panic!("{written}: {said:?}") };
        assert!(warning.contains(&old) && warning.contains("vault lease revoke -prefix"), "{warning}");
        configure(&mount, &upstream, json!({"account": "team-a"})).await;
    }
    assert_eq!(warnings(json!({"api_key": "key-2"})).await, Vec::<String>::new());
}
