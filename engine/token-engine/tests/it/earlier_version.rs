//! Compatibility with version 0.1.0: its storage and leases can be read, and the default description sends the same requests.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::time::Duration;

use harness::{Operation, Upstream};
use serde_json::{Value, json};
use token_engine::engine;
use vault_plugin::logical::{Storage as _, StorageEntry};
use vault_plugin::testing::TestMount;

use crate::{creds, data, mount_configured, wal_entries};

/// The storage of version 0.1.0. ENDPOINT, KEY and NOW are placeholders for values of the test.
const STORED: &str = include_str!("stored/version_0_1_0.json");

async fn mount_with_stored(upstream: &Upstream) -> TestMount {
    let mount = TestMount::new(engine()).await.unwrap();
    let text = STORED
        .replace("ENDPOINT", &upstream.endpoint())
        .replace("KEY", &upstream.api_key())
        .replace("\"NOW\"", &jiff::Timestamp::now().as_second().to_string());
    let stored: BTreeMap<String, Value> = serde_json::from_str(&text).unwrap();
    for (key, value) in stored {
        let value = serde_json::to_vec(&value).unwrap();
        mount.storage().put(StorageEntry { key, value, seal_wrap: false }).await.unwrap();
    }
    mount
}

#[tokio::test]
async fn stored_configuration_roles_and_entries_are_read_as_they_were_written() {
    let upstream = Upstream::start().await;
    let mount = mount_with_stored(&upstream).await;
    let config = data(mount.read("config").await.unwrap());
    assert_eq!((&config["request_timeout"], &config["account"]), (&json!(5), &json!("team-a")));
    assert_eq!(config.get("preset"), None, "the default one is not shown");
    assert_eq!(data(mount.list("config/").await.unwrap())["keys"], json!(["default"]));
    let role = data(mount.read("roles/developer").await.unwrap());
    assert_eq!(role, json!({"permissions": ["read", "write"], "ttl": 3600, "max_ttl": 86400}));
    creds(&mount).await;

    // One request without a response, which is repeated with its bytes, and one token with a known id.
    assert_eq!(wal_entries(&mount).len(), 2);
    mount.rollback().await.unwrap();
    assert_eq!(wal_entries(&mount).len(), 0);
    let replayed = upstream.requests_for(Operation::Mint).pop().unwrap();
    assert_eq!(replayed.body, br#"{"name":"vault-developer-1","permissions":["read"],"ttl":86400}"#[..]);
    assert_eq!(replayed.headers["idempotency-key"], "key-1");
    let deleted = upstream.requests_for(Operation::Revoke);
    assert!(deleted.iter().any(|request| request.path.ends_with("/tokens/tok%2F2")), "{deleted:?}");
}

#[tokio::test]
async fn the_records_of_the_default_contract_are_those_of_the_earlier_version() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let stored: Value = serde_json::from_slice(&mount.storage().entry("config").unwrap().value).unwrap();
    let keys: Vec<&String> = stored.as_object().unwrap().keys().collect();
    let expected = [
        "account",
        "api_endpoint",
        "api_key",
        "ca_cert",
        "idempotency_window",
        "metrics_prefix",
        "renew_upstream",
        "request_timeout",
        "tls_skip_verify",
    ];
    assert_eq!(keys, expected);
    let leased = creds(&mount).await;
    let lease = leased.secret.unwrap().internal_data;
    let keys: Vec<&String> = lease.keys().filter(|key| *key != "secret_type").collect();
    let expected =
        ["api_endpoint", "id", "max_ttl", "name", "renew_upstream", "revocation_path", "role", "run", "ttl"];
    assert_eq!(keys, expected);
}

#[tokio::test]
async fn a_request_of_the_default_contract_has_the_same_headers_and_bytes_as_before() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({"renew_upstream": true})).await;
    let leased = creds(&mount).await;
    mount.renew(&leased).await.unwrap();
    mount.revoke(&leased).await.unwrap();
    let minted = upstream.issued().pop().unwrap();
    let mint = upstream.requests_for(Operation::Mint).pop().unwrap();
    let body = format!(r#"{{"name":"{}","permissions":["read","write"],"ttl":3600}}"#, minted.name);
    assert_eq!(mint.body, body.as_bytes());
    assert_eq!(mint.headers["authorization"], format!("Bearer {}", upstream.api_key()));
    assert_eq!(mint.headers["content-type"], "application/json");
    assert!(mint.path.ends_with("/tokens"), "{}", mint.path);
    let renew = upstream.requests_for(Operation::Renew).pop().unwrap();
    assert_eq!(renew.body, br#"{"ttl":3600}"#[..]);
    let revoke = upstream.requests_for(Operation::Revoke).pop().unwrap();
    assert!(revoke.body.is_empty() && !revoke.headers.contains_key("content-type"));
    assert_eq!(minted.ttl, Duration::from_hours(1));
}
