//! Behavior of the embedded server without a request: leases expire. And the permissions of tokens.

use std::time::Duration;

use dev_vault::ServerOptions;
use harness::{Fault, Operation, SecretScan, eventually};
use serde_json::{Value, json};
use vault_api::logical::{LogicalData, LogicalResponse, Read, Write};
use vault_api::{CallError, Client};

use crate::lab::{Lab, assert_snapshot, send_raw};

async fn read(client: &Client, path: &str) -> Result<Option<LogicalResponse>, CallError> {
    client.send(&Read { path: path.to_owned() }).await
}

async fn write(client: &Client, path: &str, data: Value) -> Result<LogicalResponse, CallError> {
    let data = LogicalData(data.as_object().cloned().unwrap());
    client.send(&Write { path: path.to_owned(), data }).await
}

#[tokio::test]
async fn a_lease_that_ends_is_revoked_and_given_up_after_six_attempts() {
    let options = ServerOptions { revoke_retry_base: Duration::from_millis(1), ..ServerOptions::default() };
    let lab = Lab::with_options(options).await;
    let upstream = &lab.upstream;
    lab.program.run(["register", "-f", "plugin.yaml"]).await.success();
    let client = lab.client(None);
    write(&client, "custom/roles/short", json!({"permissions": "read", "ttl": 1})).await.unwrap();
    let smoked = upstream.requests_for(Operation::Revoke).len();

    let ended = read(&client, "custom/creds/short").await.unwrap().unwrap();
    upstream.wait_all_revoked().await;
    eventually("a lease that was revoked is gone", async || {
        let lookup = json!({"lease_id": ended.lease_id});
        write(&client, "sys/leases/lookup", lookup).await.err()
    })
    .await;

    upstream.fail(Operation::Revoke, Fault::Status(500));
    let stuck = read(&client, "custom/creds/short").await.unwrap().unwrap();
    let given_up = eventually("the lease is given up", async || {
        let (_, leases) = send_raw(&client, "GET", "sys/leases?type=irrevocable", Value::Null).await;
        let leases = leases["data"].clone();
        (leases["lease_count"] == 1).then_some(leases)
    })
    .await;
    assert_eq!(given_up["leases"][0]["lease_id"], stuck.lease_id, "{given_up:?}");
    assert_eq!(upstream.requests_for(Operation::Revoke).len() - smoked, 1 + 6);
    assert_eq!(upstream.live().len(), 1);

    upstream.heal();
    lab.program.run(["creds", "revoke", &stuck.lease_id]).await.success();
    assert_eq!(upstream.live(), []);
    let (_, left) = send_raw(&client, "GET", "sys/leases?type=irrevocable", Value::Null).await;
    assert_eq!(left["data"]["lease_count"], 0);
}

#[tokio::test]
async fn a_policy_grants_its_paths_and_no_more() {
    let lab = Lab::with_registered_plugin().await;
    let root = lab.client(None);
    let policy = r#"path "custom/creds/developer" { capabilities = ["read"] }"#;
    write(&root, "sys/policies/acl/reader", json!({"policy": policy})).await.unwrap();
    let create = json!({"id": "reader-token", "policies": ["reader"], "ttl": "1h"});
    write(&root, "auth/token/create", create).await.unwrap();

    let reader = lab.client(Some("reader-token"));
    assert!(read(&reader, "custom/creds/developer").await.unwrap().is_some());
    for refused in ["custom/config", "custom/roles/developer", "sys/mounts"] {
        let error = read(&reader, refused).await.unwrap_err().to_string();
        assert!(error.contains("403") && error.contains("permission denied"), "{refused}: {error}");
    }
    let program = harness::Program::new(crate::lab::BINARY)
        .env("VAULT_ADDR", lab.vault.address())
        .env("VAULT_TOKEN", "reader-token");
    program.run(["creds", "get", "custom/creds/developer"]).await.success();
    assert_snapshot("status without permission", &lab.snapshot_text(&program.run(["status"]).await));
    let reload = program.run(["reload", "--mount", "custom"]).await;
    assert_snapshot("reload without permission", &lab.snapshot_text(&reload));
}

#[tokio::test]
async fn the_audit_log_shows_every_request_and_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let audit = directory.path().join("audit.log");
    let options = ServerOptions { audit: Some(audit.clone()), ..ServerOptions::default() };
    let lab = Lab::with_options(options).await;
    let upstream = &lab.upstream;
    lab.program.run(["register", "-f", "plugin.yaml"]).await.success();
    let got = lab.program.run(["creds", "get", "custom/creds/developer", "--output", "json"]).await.json();

    let lines = std::fs::read_to_string(&audit).unwrap();
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |kind: &str, path: &str| {
        lines
            .iter()
            .filter(|line| line["type"] == kind && line["request"]["path"] == path)
            .cloned()
            .collect::<Vec<_>>()
    };
    // One of them is from the smoke test.
    for path in ["custom/creds/developer", "custom/config"] {
        assert!(!of("request", path).is_empty(), "{path}");
        assert_eq!(of("request", path).len(), of("response", path).len(), "{path}");
    }
    let last = of("response", "custom/creds/developer").pop().unwrap();
    assert_eq!(last["response"]["secret"]["lease_id"], got["lease_id"]);
    assert!(last["response"]["data"]["token"].as_str().unwrap().starts_with("hmac-sha256:"), "{last}");
    let issued = upstream.issued().into_iter();
    let scan = SecretScan::new()
        .add_secret("the api key", upstream.api_key())
        .add_secret("the root token", lab.vault.root_token());
    issued.fold(scan, |scan, token| scan.add_secret("a token", token.token)).assert_no_secret_below(&audit);
}
