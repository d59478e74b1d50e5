//! Events of the engine, as a subscriber of a real Vault receives them. The Vault of the tests delivers them as Vault Enterprise does.

use harness::{Program, Stream, eventually};
use serde_json::{Value, json};

use crate::lab::{Lab, NAME};

/// The Vault of the tests is not Vault Enterprise, so by default the engine sends it no events.
async fn send_events(lab: &Lab) {
    let always = json!({"send_events": "always"});
    lab.vault.request("POST", "custom/config", Some(always)).await.success();
}

#[tokio::test]
async fn a_subscriber_of_vault_sees_tokens_that_are_issued_and_revoked() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    send_events(&lab).await;
    let cli = Program::new(lab.vault.cli_binary()).vault(&lab.vault);
    let mut subscriber = cli.start(["events", "subscribe", "token-engine/*"]);
    // The subscription has started once the first event arrives.
    let lease = eventually("the subscriber sees a token", async || {
        let lease = lab.read_credential("custom").await["lease_id"].as_str().unwrap().to_owned();
        let seen = subscriber.output_so_far(Stream::Stdout);
        seen.contains("token-engine/creds-create").then_some(lease)
    })
    .await;
    let mut seen = async |event_type: &str| -> Value {
        let line = subscriber.wait_for(Stream::Stdout, event_type).await;
        serde_json::from_str(&line).unwrap()
    };
    let issued = seen("token-engine/creds-create").await;
    lab.vault.cli(["lease", "revoke", "-sync", &lease]).await.success();
    let revoked = seen("token-engine/creds-revoke").await;

    let data = &issued["data"];
    assert_eq!(data["plugin_info"]["plugin"], NAME, "{issued:#}");
    let metadata = &data["event"]["metadata"];
    let minted = lab.upstream.issued();
    assert!(minted.iter().any(|token| metadata["token_name"] == *token.name), "{issued:#}");
    let expected = json!({
        "path": "custom/creds/developer", "operation": "read", "modified": "false", "name": "developer", "connection": "default",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(metadata[name], *value, "{name} in {issued:#}");
    }
    assert_eq!(revoked["data"]["event"]["metadata"]["operation"], "revoke", "{revoked:#}");
    assert_eq!(revoked["data"]["event"]["metadata"]["path"], "custom/creds/developer", "{revoked:#}");

    let all = subscriber.output_so_far(Stream::Stdout);
    for secret in minted.into_iter().map(|token| token.token).chain([lab.upstream.api_key()]) {
        assert!(!all.contains(&secret), "{all}");
    }
    subscriber.kill().await;
}

#[tokio::test]
async fn a_host_without_events_serves_without_a_word_about_them() {
    let lab = Lab::openbao().await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    send_events(&lab).await;
    let lease = lab.read_credential("custom").await["lease_id"].as_str().unwrap().to_owned();
    lab.vault.cli(["lease", "revoke", "-sync", &lease]).await.success();
    lab.read_credential("custom").await;
    assert_eq!(lab.upstream.live().len(), 1);
    let logs = lab.vault.logs();
    assert!(!logs.contains("cannot send event") && !logs.contains("token-engine/creds"), "{logs}");
}
