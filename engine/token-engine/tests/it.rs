//! The engine on storage in memory, against a token service over real HTTP.

use std::task::Poll;
use std::time::Duration;

use harness::{Certificate, Fault, Moment, Operation, Upstream};
use serde_json::{Value, json};
use token_engine::engine;
use vault_plugin::logical::{Error, ReplicationState, Response};
use vault_plugin::testing::{Mount, StorageCall};

/// A mount configured for a service, with the role `developer`.
async fn mounted(upstream: &Upstream, more: Value) -> Mount {
    let mount = Mount::new(engine()).await.expect("the engine mounts");
    configure(&mount, upstream, more).await;
    let role = json!({"permissions": "read, write", "ttl": "1h", "max_ttl": "1d"});
    accepted(mount.write("roles/developer", role).await);
    mount
}

async fn configure(mount: &Mount, upstream: &Upstream, more: Value) {
    let mut config = json!({
        "api_endpoint": format!("{}/", upstream.endpoint()), "api_key": upstream.api_key(), "request_timeout": 5,
    });
    config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    accepted(mount.write("config", config).await);
}

#[track_caller]
fn accepted(answer: Result<Option<Response>, Error>) {
    let answer = answer.expect("no refusal");
    assert_eq!(answer.as_ref().and_then(Response::error_text), None);
}

/// The text of a refusal, whether it is an error or an error response (status 400).
#[track_caller]
fn refusal(answer: Result<Option<Response>, Error>) -> String {
    match answer {
        Err(error) => error.to_string(),
        Ok(answer) => answer.expect("a refusal").error_text().expect("a refusal").to_owned(),
    }
}

async fn creds(mount: &Mount) -> Response {
    mount.read("creds/developer").await.expect("a token").expect("a token")
}

async fn refused(mount: &Mount, path: &str) -> String {
    refusal(mount.read(path).await)
}

fn data(response: Option<Response>) -> Value {
    Value::Object(response.expect("an answer").data.expect("data"))
}

fn wal(mount: &Mount) -> Vec<String> {
    mount.storage().keys().into_iter().filter(|key| key.starts_with("wal/")).collect()
}

#[tokio::test]
async fn a_token_is_read_renewed_and_revoked() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    let leased = creds(&mount).await;

    let minted = upstream.issued().remove(0);
    assert_eq!(data(Some(leased.clone())), json!({"token": minted.token, "permissions": ["read", "write"]}));
    assert!(minted.name.starts_with("vault-developer-"), "{}", minted.name);
    assert_eq!(minted.permissions, ["read", "write"]);
    assert_eq!(minted.ttl, Duration::from_hours(24), "it has to outlive every renewal");
    let lease = &leased.secret.as_ref().unwrap().lease;
    assert_eq!((lease.ttl, lease.max_ttl), (Duration::from_hours(1), Duration::from_hours(24)));
    assert_eq!(wal(&mount), Vec::<String>::new());

    let renewed = mount.renew(&leased).await.unwrap().unwrap();
    assert_eq!(renewed.secret.unwrap().lease.ttl, Duration::from_hours(1));
    assert!(upstream.requests_for(Operation::Renew).is_empty());

    mount.revoke(&leased).await.unwrap();
    assert!(upstream.live().is_empty());
    mount.revoke(&leased).await.expect("a host may ask twice");
}

#[tokio::test]
async fn a_service_that_renews_is_asked_to() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({"renew_upstream": true})).await;
    let leased = creds(&mount).await;
    assert_eq!(upstream.issued()[0].ttl, Duration::from_hours(1));

    mount.renew(&leased).await.unwrap();
    assert_eq!(upstream.issued()[0].renewals, 1);
}

#[tokio::test]
async fn a_lease_keeps_its_terms_when_the_role_changes() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    let leased = creds(&mount).await;
    mount.write("roles/developer", json!({"ttl": 60})).await.unwrap();
    let renewed = mount.renew(&leased).await.unwrap().unwrap();
    assert_eq!(renewed.secret.unwrap().lease.ttl, Duration::from_hours(1));
}

#[tokio::test]
async fn the_configuration_shows_a_hash_of_the_key_and_is_seal_wrapped() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    let shown = data(mount.read("config").await.unwrap());
    assert_eq!(shown["api_endpoint"], upstream.endpoint());
    assert_eq!(shown["api_key_sha256"].as_str().unwrap().len(), 64);
    assert!(!shown.to_string().contains(&upstream.api_key()));
    assert!(mount.storage().entry("config").unwrap().seal_wrap);

    mount.patch("config", json!({"request_timeout": null})).await.unwrap();
    assert_eq!(data(mount.read("config").await.unwrap())["request_timeout"], 30);
    mount.delete("config").await.unwrap();
    assert!(mount.read("config").await.unwrap().is_none());
}

#[tokio::test]
async fn roles_are_written_listed_and_deleted() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    mount.write("roles/admin", json!({"permissions": ["all"], "ttl": "90m"})).await.unwrap();
    assert_eq!(data(mount.list("roles/").await.unwrap()), json!({"keys": ["admin", "developer"]}));
    let shown = data(mount.read("roles/admin").await.unwrap());
    assert_eq!(shown, json!({"permissions": ["all"], "ttl": 5400, "max_ttl": 0}));
    mount.patch("roles/admin", json!({"max_ttl": "2h"})).await.unwrap();
    assert_eq!(data(mount.read("roles/admin").await.unwrap())["max_ttl"], 7200);
    mount.delete("roles/admin").await.unwrap();
    assert!(mount.read("roles/admin").await.unwrap().is_none());
}

#[tokio::test]
async fn a_role_takes_durations_as_vault_does_and_refuses_the_rest() {
    let mount = Mount::new(engine()).await.unwrap();
    for (given, seconds) in
        [(json!("1d"), 86_400), (json!("90m"), 5400), (json!("90"), 90), (json!(1.5), 1), (json!(60), 60)]
    {
        accepted(mount.write("roles/r", json!({"permissions": "read", "ttl": given})).await);
        assert_eq!(data(mount.read("roles/r").await.unwrap())["ttl"], seconds, "{given}");
    }
    for (given, field) in [
        (json!({"permissions": "read", "ttl": -1}), "ttl"),
        (json!({"permissions": "read", "ttl": "soon"}), "ttl"),
        (json!({"permissions": "read", "ttl": 0}), "ttl"),
        (json!({"permissions": "read", "ttl": "2h", "max_ttl": "1h"}), "max_ttl"),
        (json!({"permissions": " , "}), "permissions"),
        (json!({"permissions": {"read": true}}), "permissions"),
        (json!({}), "permissions"),
    ] {
        let error = refusal(mount.write("roles/new", given.clone()).await);
        assert!(error.contains(field), "{given}: {error}");
    }
    assert!(mount.read("roles/new").await.unwrap().is_none(), "a refused write changes nothing");
    assert!(matches!(mount.read("roles/a/b").await, Err(Error::UnsupportedPath)));
}

#[tokio::test]
async fn a_slow_service_is_given_up_and_its_token_revoked_by_rollback() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({"request_timeout": "1s"})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::Slow(Duration::from_secs(2)));
    let error = refused(&mount, "creds/developer").await;
    assert!(error.contains("request_timeout"), "{error}");
    assert_eq!(wal(&mount).len(), 1);
    mount.rollback().await.unwrap();
    assert_eq!((upstream.live().len(), wal(&mount).len()), (0, 0));
}

#[tokio::test]
async fn what_is_missing_is_named_with_its_cure() {
    let mount = Mount::new(engine()).await.unwrap();
    assert!(refused(&mount, "creds/developer").await.contains("vault write"));
    let upstream = Upstream::start().await;
    configure(&mount, &upstream, json!({})).await;
    assert!(refused(&mount, "creds/nobody").await.contains("\"nobody\""));
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_standby_refuses_before_the_service_is_asked() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    mount.system().set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
    assert_eq!(refused(&mount, "creds/developer").await, "cannot write to readonly storage");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn whatever_storage_call_fails_no_token_is_left_unknown() {
    for call in [StorageCall::Get, StorageCall::Put, StorageCall::Delete] {
        for prefix in ["config", "roles/", "wal/"] {
            let upstream = Upstream::start().await;
            let mount = mounted(&upstream, json!({})).await;
            mount.storage().fail_on(call, prefix, "disk full");
            let answered = mount.read("creds/developer").await;
            mount.storage().heal();
            match answered {
                Ok(leased) => mount.revoke(&leased.unwrap()).await.map(drop).unwrap(),
                Err(error) => assert!(error.to_string().contains("disk full"), "{error}"),
            }
            assert!(upstream.live().is_empty(), "{call:?} of {prefix}");
            mount.rollback().await.unwrap();
            assert_eq!(wal(&mount), Vec::<String>::new(), "{call:?} of {prefix}");
        }
    }
}

#[tokio::test]
async fn a_token_that_can_neither_be_leased_nor_revoked_is_left_to_rollback() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    mount.storage().fail_on(StorageCall::Delete, "wal/", "disk full");
    upstream.fail(Operation::Revoke, Fault::Status(500));
    refused(&mount, "creds/developer").await;
    assert_eq!((upstream.live().len(), wal(&mount).len()), (1, 1));

    mount.storage().heal();
    upstream.heal();
    mount.rollback().await.unwrap();
    assert_eq!((upstream.live().len(), upstream.issued().len(), wal(&mount).len()), (0, 1, 0));
}

#[tokio::test]
async fn a_mint_whose_answer_is_lost_is_revoked_by_rollback() {
    for fault in [Fault::BrokenJson, Fault::DropConnection(Moment::AfterWork)] {
        let upstream = Upstream::start().await;
        let mount = mounted(&upstream, json!({})).await;
        upstream.fail(Operation::Mint, fault.clone());
        let error = refused(&mount, "creds/developer").await;
        assert_eq!((upstream.live().len(), wal(&mount).len()), (1, 1), "{fault:?}");
        assert!(!error.contains(&upstream.issued()[0].token), "{error}");
        upstream.heal();
        mount.rollback().await.unwrap();
        assert_eq!(
            (upstream.live().len(), upstream.issued().len(), wal(&mount).len()),
            (0, 1, 0),
            "{fault:?}"
        );
    }
}

#[tokio::test]
async fn a_refused_mint_leaves_nothing_and_says_why_without_the_key() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    for (fault, expected) in [
        (Fault::Status(401), "api_key"),
        (Fault::Status(403), "api_key"),
        (Fault::Status(400), "status 400"),
        (Fault::HtmlNotFound, "api_endpoint"),
        (Fault::Redirect, "redirects to 127.0.0.1:"),
    ] {
        upstream.fail_next(Operation::Mint, 1, fault.clone());
        let error = refused(&mount, "creds/developer").await;
        assert!(error.contains(expected), "{fault:?}: {error}");
        assert!(!error.contains(&upstream.api_key()) && !error.contains("elsewhere"), "{error}");
        assert_eq!(wal(&mount).len(), 0, "{fault:?}");
    }
    assert!(upstream.issued().is_empty());
}

#[tokio::test]
async fn a_failure_that_may_have_minted_keeps_its_entry() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::Status(500));
    assert!(refused(&mount, "creds/developer").await.contains("status 500"));
    assert_eq!(wal(&mount).len(), 1);

    // A key that is refused now says nothing of what was done before.
    upstream.fail_next(Operation::Mint, 1, Fault::Status(401));
    let _ = mount.rollback().await;
    assert_eq!(wal(&mount).len(), 1);
    mount.rollback().await.unwrap();
    assert_eq!((upstream.live().len(), wal(&mount).len()), (0, 0));
}

#[tokio::test]
async fn a_busy_service_is_asked_again_with_the_same_key() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    upstream.fail_next(Operation::Mint, 1, Fault::StatusWithRetryAfter(429, Duration::from_secs(1)));
    upstream.fail_next(Operation::Mint, 1, Fault::Status(503));
    creds(&mount).await;
    let requests = upstream.requests_for(Operation::Mint);
    let keys: Vec<_> = requests.iter().map(|request| request.headers["idempotency-key"].clone()).collect();
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]));

    upstream.fail_next(Operation::Mint, 1, Fault::StatusWithRetryAfter(429, Duration::from_hours(1)));
    assert!(refused(&mount, "creds/developer").await.contains("asks to wait 3600s"));
}

#[tokio::test]
async fn only_the_service_itself_can_say_that_a_token_is_gone() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    let leased = creds(&mount).await;

    upstream.fail_next(Operation::Revoke, 1, Fault::HtmlNotFound);
    let error = mount.revoke(&leased).await.unwrap_err().to_string();
    assert!(error.contains("proxy"), "{error}");

    let other = Upstream::start().await;
    configure(&mount, &other, json!({})).await;
    let error = mount.revoke(&leased).await.unwrap_err().to_string();
    assert!(error.contains(&upstream.endpoint()), "{error}");

    configure(&mount, &upstream, json!({})).await;
    upstream.fail_next(Operation::Revoke, 1, Fault::JsonNotFound);
    mount.revoke(&leased).await.unwrap();
}

#[tokio::test]
async fn a_lease_stays_while_the_configuration_is_gone() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    let leased = creds(&mount).await;
    mount.delete("config").await.unwrap();
    assert!(mount.revoke(&leased).await.unwrap_err().to_string().contains("configuration"));
    configure(&mount, &upstream, json!({})).await;
    mount.revoke(&leased).await.unwrap();
    assert!(upstream.live().is_empty());
}

#[tokio::test]
async fn a_new_key_is_used_at_once() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    creds(&mount).await;
    upstream.rotate_api_key("key-2");
    assert!(refused(&mount, "creds/developer").await.contains("api_key"));
    mount.write("config", json!({"api_key": "key-2"})).await.unwrap();
    creds(&mount).await;
}

#[tokio::test]
async fn a_certificate_is_checked_against_ca_cert() {
    let upstream = Upstream::builder().tls(Certificate::Valid).start().await;
    let mount = mounted(&upstream, json!({"ca_cert": upstream.ca_pem()})).await;
    creds(&mount).await;

    let stranger = Upstream::builder().tls(Certificate::Valid).start().await;
    configure(&mount, &upstream, json!({"ca_cert": stranger.ca_pem()})).await;
    let error = refused(&mount, "creds/developer").await;
    assert!(error.contains("certificate is not trusted"), "{error}");
    assert_eq!(wal(&mount).len(), 0);

    let error = refusal(mount.write("config", json!({"ca_cert": "no pem"})).await);
    assert!(error.contains("ca_cert holds no certificate"), "{error}");
}

#[tokio::test]
async fn a_service_that_is_down_is_named_and_leaves_no_entry() {
    let mut upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    upstream.go_down().await;
    let error = refused(&mount, "creds/developer").await;
    assert!(error.contains(&upstream.endpoint()) && error.contains("no connection"), "{error}");
    assert_eq!(wal(&mount).len(), 0);
}

#[tokio::test]
async fn a_request_dropped_at_any_moment_leaves_no_token_without_a_record() {
    let upstream = Upstream::start().await;
    let mount = mounted(&upstream, json!({})).await;
    for steps in 0.. {
        if steps_of(steps, mount.read("creds/developer")).await.is_some() {
            assert_eq!(upstream.live().len(), 1);
            return;
        }
        // Either it was announced, or it is being given back.
        mount.rollback().await.expect("the log is rolled back");
        harness::eventually("no token is live", async || upstream.live().is_empty().then_some(())).await;
    }
}

/// What a future answers if it does so within so many steps; it is dropped after them.
async fn steps_of<T>(steps: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut left = steps;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
