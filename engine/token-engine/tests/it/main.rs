//! The engine on in-memory storage, with a token service over real HTTP.

mod api_description;
mod bad_responses;
mod certificates;
mod cost;
mod described;
mod earlier_version;
mod events;
mod fake_api;
mod harbor;
mod info;
mod interleavings;
mod key_api;
mod lost_responses;
mod metrics;
mod names;
mod orphans;
mod outage;
mod rotation;
mod service_faults;
mod static_roles;
mod storage_faults;
mod token_safety;

use std::task::Poll;
use std::time::Duration;

use harness::{Operation, Upstream};
use serde_json::{Value, json};
use token_engine::engine;
use vault_plugin::framework::WAL_PREFIX;
use vault_plugin::logical::{Error, Product, ReplicationState, Response, Storage as _, StorageEntry};
use vault_plugin::testing::{StorageCall, TestMount};

/// Returns a mount that is configured for a service, with the role `developer`.
async fn mount_configured(upstream: &Upstream, more: Value) -> TestMount {
    let mount = TestMount::new(engine()).await.expect("the engine mounts");
    configure(&mount, upstream, more).await;
    let role = json!({"permissions": "read, write", "ttl": "1h", "max_ttl": "1d"});
    assert_accepted(mount.write("roles/developer", role).await);
    mount
}

async fn configure(mount: &TestMount, upstream: &Upstream, more: Value) {
    let mut config = json!({
        "api_endpoint": format!("{}/", upstream.endpoint()), "api_key": upstream.api_key(), "request_timeout": 5,
    });
    config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    assert_accepted(mount.write("config", config).await);
}

#[track_caller]
fn assert_accepted(result: Result<Option<Response>, Error>) {
    let response = result.expect("no error");
    assert_eq!(response.as_ref().and_then(Response::error_text), None);
}

/// Returns the message of an error or an error response (status 400).
#[track_caller]
fn error_message(result: Result<Option<Response>, Error>) -> String {
    match result {
        Err(error) => error.to_string(),
        Ok(response) => {
            response.expect("an error response").error_text().expect("an error response").to_owned()
        }
    }
}

async fn creds(mount: &TestMount) -> Response {
    mount.read("creds/developer").await.expect("a token").expect("a token")
}

async fn read_error(mount: &TestMount, path: &str) -> String {
    error_message(mount.read(path).await)
}

fn data(response: Option<Response>) -> Value {
    Value::Object(response.expect("a response").data.expect("data"))
}

fn wal_entries(mount: &TestMount) -> Vec<String> {
    mount.storage().keys().into_iter().filter(|key| key.starts_with(WAL_PREFIX)).collect()
}

#[tokio::test]
async fn a_token_is_read_renewed_and_revoked() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let leased = creds(&mount).await;

    let minted = upstream.issued().remove(0);
    assert_eq!(data(Some(leased.clone())), json!({"token": minted.token, "permissions": ["read", "write"]}));
    assert!(minted.name.starts_with("vault-developer-"), "{}", minted.name);
    assert_eq!(minted.permissions, ["read", "write"]);
    assert_eq!(minted.ttl, Duration::from_hours(24), "the token must outlive every renewal");
    let lease = &leased.secret.as_ref().unwrap().lease;
    assert_eq!((lease.ttl, lease.max_ttl), (Duration::from_hours(1), Duration::from_hours(24)));
    assert_eq!(wal_entries(&mount), Vec::<String>::new());

    let renewed = mount.renew(&leased).await.unwrap().unwrap();
    assert_eq!(renewed.secret.unwrap().lease.ttl, Duration::from_hours(1));
    assert!(upstream.requests_for(Operation::Renew).is_empty());

    mount.revoke(&leased).await.unwrap();
    assert!(upstream.live().is_empty());
    mount.revoke(&leased).await.expect("a host may revoke twice");
}

#[tokio::test]
async fn a_token_is_renewed_at_a_service_that_supports_it() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let leased = creds(&mount).await;
    assert_eq!(upstream.issued()[0].ttl, Duration::from_hours(1));

    mount.renew(&leased).await.unwrap();
    assert_eq!(upstream.issued()[0].renewals, 1);
}

#[tokio::test]
async fn an_invalid_configuration_is_rejected_and_the_previous_one_is_kept() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let read_config = async || {
        let mut config = data(mount.read("config").await.unwrap());
        // The salt changes each time. The read of credentials at the end shows that the key is the same.
        config.as_object_mut().unwrap().remove("api_key_sha256");
        config
    };
    let before = read_config().await;
    for (fields, expected) in [
        (json!({"api_endpoint": ""}), "api_endpoint is required"),
        (json!({"api_endpoint": "tokens"}), "absolute URL"),
        (json!({"api_endpoint": "ftp://tokens.example.com"}), "http:// or https://"),
        (json!({"api_endpoint": "https://u:hunter2@tokens.example.com"}), "user or password"),
        (json!({"api_endpoint": ["https://a", "https://b"]}), "api_endpoint"),
        (json!({"api_endpoint": {"url": "https://a"}}), "api_endpoint"),
        (json!({"api_key": ""}), "api_key is required"),
        (json!({"api_key": "hunter2\n"}), "line break"),
        (json!({"api_key": ["hunter2"]}), "api_key"),
        (json!({"tls_skip_verify": "perhaps"}), "tls_skip_verify"),
        (json!({"request_timeout": "0s"}), "request_timeout"),
        (json!({"request_timeout": "2m"}), "request_timeout"),
        (json!({"request_timeout": -1}), "request_timeout"),
        (json!({"request_timeout": "soon"}), "request_timeout"),
        (json!({"ca_cert": "no pem"}), "ca_cert holds no certificate"),
    ] {
        let error = error_message(mount.write("config", fields.clone()).await);
        assert!(error.contains(expected), "{fields}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
        assert_eq!(read_config().await, before, "{fields}");
    }
    creds(&mount).await;
}

#[tokio::test]
async fn a_lease_keeps_its_terms_when_the_role_changes() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let leased = creds(&mount).await;
    mount.write("roles/developer", json!({"ttl": 60})).await.unwrap();
    let renewed = mount.renew(&leased).await.unwrap().unwrap();
    assert_eq!(renewed.secret.unwrap().lease.ttl, Duration::from_hours(1));
}

#[tokio::test]
async fn the_configuration_shows_a_hash_of_the_key_and_is_seal_wrapped() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let config = data(mount.read("config").await.unwrap());
    assert_eq!(config["api_endpoint"], upstream.endpoint());
    assert!(config["api_key_sha256"].as_str().unwrap().starts_with("sha256:"), "{config}");
    assert!(!config.to_string().contains(&upstream.api_key()));
    assert!(mount.storage().entry("config").unwrap().seal_wrap);

    mount.patch("config", json!({"request_timeout": null})).await.unwrap();
    assert_eq!(data(mount.read("config").await.unwrap())["request_timeout"], 30);
    mount.delete("config").await.unwrap();
    assert!(mount.read("config").await.unwrap().is_none());
}

#[tokio::test]
async fn roles_are_written_listed_and_deleted() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    mount.write("roles/admin", json!({"permissions": ["all"], "ttl": "90m"})).await.unwrap();
    assert_eq!(data(mount.list("roles/").await.unwrap()), json!({"keys": ["admin", "developer"]}));
    let config = data(mount.read("roles/admin").await.unwrap());
    assert_eq!(config, json!({"permissions": ["all"], "ttl": 5400, "max_ttl": 0}));
    mount.patch("roles/admin", json!({"max_ttl": "2h"})).await.unwrap();
    assert_eq!(data(mount.read("roles/admin").await.unwrap())["max_ttl"], 7200);
    mount.delete("roles/admin").await.unwrap();
    assert!(mount.read("roles/admin").await.unwrap().is_none());
}

#[tokio::test]
async fn a_role_accepts_durations_like_vault_and_rejects_the_rest() {
    let mount = TestMount::new(engine()).await.unwrap();
    for (fields, seconds) in
        [(json!("1d"), 86_400), (json!("90m"), 5400), (json!("90"), 90), (json!(1.5), 1), (json!(60), 60)]
    {
        assert_accepted(mount.write("roles/r", json!({"permissions": "read", "ttl": fields})).await);
        assert_eq!(data(mount.read("roles/r").await.unwrap())["ttl"], seconds, "{fields}");
    }
    for (fields, field) in [
        (json!({"permissions": "read", "ttl": -1}), "ttl"),
        (json!({"permissions": "read", "ttl": "soon"}), "ttl"),
        (json!({"permissions": "read", "ttl": 0}), "ttl"),
        (json!({"permissions": "read", "ttl": "2h", "max_ttl": "1h"}), "max_ttl"),
        (json!({"permissions": " , "}), "permissions"),
        (json!({"permissions": {"read": true}}), "permissions"),
        (json!({}), "permissions"),
    ] {
        let error = error_message(mount.write("roles/new", fields.clone()).await);
        assert!(error.contains(field), "{fields}: {error}");
    }
    assert!(mount.read("roles/new").await.unwrap().is_none(), "a rejected write changes nothing");
    for name in ["a/b", "../config", "entwickler-ö", "-a", "a b"] {
        let role = json!({"permissions": "read"});
        for response in
            [mount.write(&format!("roles/{name}"), role).await, mount.read(&format!("creds/{name}")).await]
        {
            assert!(error_message(response).contains("cannot be the name of a role"), "{name}");
        }
    }
    assert_eq!(mount.storage().keys(), ["roles/r"], "a rejected write changes nothing");
}

#[tokio::test]
async fn roles_are_listed_in_pages() {
    let mount = TestMount::new(engine()).await.unwrap();
    for name in ["a", "b", "c", "d"] {
        assert_accepted(mount.write(&format!("roles/{name}"), json!({"permissions": "read"})).await);
    }
    for (page, expected) in [
        (json!({"limit": 2}), json!(["a", "b"])),
        (json!({"limit": "2", "after": "b"}), json!(["c", "d"])),
        (json!({"after": "bb"}), json!(["c", "d"])),
        (json!({"after": "c", "limit": 5}), json!(["d"])),
        (json!({"limit": 0}), json!(["a", "b", "c", "d"])),
        (json!({"limit": -1}), json!(["a", "b", "c", "d"])),
    ] {
        let fields = page.as_object().unwrap().clone();
        let listed = mount.request(vault_plugin::logical::Operation::List, "roles/", fields).await.unwrap();
        assert_eq!(data(listed)["keys"], expected, "{page}");
    }
    let fields = json!({"limit": "many"}).as_object().unwrap().clone();
    let response = mount.request(vault_plugin::logical::Operation::List, "roles/", fields).await;
    assert!(error_message(response).contains("limit"));
    let past_the_end = json!({"after": "d"}).as_object().unwrap().clone();
    let listed = mount.request(vault_plugin::logical::Operation::List, "roles/", past_the_end).await.unwrap();
    assert_eq!(listed.unwrap().data.unwrap_or_default().get("keys"), None);
}

#[tokio::test]
async fn a_missing_configuration_or_role_is_reported_with_the_fix() {
    let mount = TestMount::new(engine()).await.unwrap();
    assert!(read_error(&mount, "creds/developer").await.contains("vault write"));
    let upstream = Upstream::start().await;
    configure(&mount, &upstream, json!({})).await;
    assert!(read_error(&mount, "creds/missing").await.contains("\"missing\""));
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_role_is_written_atomically() {
    for product in [Product::Vault, Product::OpenBao] {
        let mount = TestMount::for_product(product, engine()).await.unwrap();
        assert_accepted(mount.write("roles/developer", json!({"permissions": "read"})).await);
        assert_accepted(mount.patch("roles/developer", json!({"ttl": 60})).await);
        let role = data(mount.read("roles/developer").await.unwrap());
        assert_eq!(role, json!({"permissions": ["read"], "ttl": 60, "max_ttl": 0}));

        error_message(mount.write("roles/developer", json!({"ttl": 0})).await);
        mount.storage().fail_on(StorageCall::Put, "roles/", "disk full");
        assert!(
            error_message(mount.patch("roles/developer", json!({"ttl": 90})).await).contains("disk full")
        );
        assert_eq!(data(mount.read("roles/developer").await.unwrap()), role);
        assert_eq!(mount.storage().open_transactions(), 0);
    }
}

#[tokio::test]
async fn a_standby_rejects_a_read_before_it_calls_the_service() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    mount.system().set_replication_state(ReplicationState::PERFORMANCE_STANDBY);
    mount.storage().fail_on(StorageCall::Put, "", "cannot write to readonly storage");
    assert_eq!(read_error(&mount, "creds/developer").await, "cannot write to readonly storage");
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn a_change_by_another_node_is_read() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    creds(&mount).await;
    // Like replication, which bypasses the engine.
    let put = async |key: &str, change: &dyn Fn(&mut Value)| {
        let entry = mount.storage().entry(key).unwrap();
        let mut value = serde_json::from_slice(&entry.value).unwrap();
        change(&mut value);
        let value = serde_json::to_vec(&value).unwrap();
        mount.storage().put(StorageEntry { value, ..entry }).await.unwrap();
        mount.invalidate(key).await;
    };
    upstream.rotate_api_key("another");
    put("config", &|config| config["api_key"] = "another".into()).await;
    put("roles/developer", &|role| role["ttl"] = 60.into()).await;
    let lease = creds(&mount).await.secret.unwrap().lease;
    assert_eq!(lease.ttl, Duration::from_secs(60));
}

#[tokio::test]
async fn a_lease_is_kept_while_the_configuration_is_missing() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let leased = creds(&mount).await;
    mount.delete("config").await.unwrap();
    assert!(mount.revoke(&leased).await.unwrap_err().to_string().contains("configuration"));
    configure(&mount, &upstream, json!({})).await;
    mount.revoke(&leased).await.unwrap();
    assert!(upstream.live().is_empty());
}

#[tokio::test]
async fn a_new_key_is_used_immediately() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    creds(&mount).await;
    upstream.rotate_api_key("key-2");
    assert!(read_error(&mount, "creds/developer").await.contains("api_key"));
    mount.write("config", json!({"api_key": "key-2"})).await.unwrap();
    creds(&mount).await;
}

#[tokio::test]
async fn a_request_that_is_dropped_at_any_time_leaves_no_token_without_a_record() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    for steps in 0.. {
        if poll_steps(steps, mount.read("creds/developer")).await.is_some() {
            assert_eq!(upstream.live().len(), 1);
            return;
        }
        // Either the token has a write-ahead log entry, or it is being revoked.
        mount.rollback().await.expect("the log is rolled back");
        harness::eventually("no token is live", async || upstream.live().is_empty().then_some(())).await;
    }
}

/// Polls a future up to `steps` times, and drops it if it has not completed.
async fn poll_steps<T>(steps: usize, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    let mut remaining = steps;
    std::future::poll_fn(|context| {
        if remaining == 0 {
            return Poll::Ready(None);
        }
        remaining -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
