//! What the engine says about its API. The end-to-end test `register` compares it with the responses of a real Vault.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use serde_json::Value;
use token_engine::engine;
use vault_plugin::logical::{Map, Operation};
use vault_plugin::testing::TestMount;

async fn document() -> Value {
    let mount = TestMount::new(engine()).await.unwrap();
    let help = mount.request(Operation::Help, "", Map::new()).await.unwrap().unwrap();
    help.data.unwrap()["openapi"].clone()
}

/// Returns each operation with its path and method.
fn operations(document: &Value) -> Vec<(String, Value)> {
    let paths = document["paths"].as_object().unwrap();
    let each = paths.iter().flat_map(|(path, item)| {
        let methods = ["get", "post", "patch", "delete"].into_iter();
        methods.filter_map(move |method| Some((format!("{method} {path}"), item.get(method)?.clone())))
    });
    each.collect()
}

#[track_caller]
fn assert_sentence(place: &str, text: &Value) {
    let text = text.as_str().unwrap_or_default();
    assert!(text.ends_with('.') && text.starts_with(char::is_uppercase), "{place}: {text:?} is no sentence");
    assert!(!text.contains("Default "), "{place}: {text:?}: a default is an attribute of its field");
}

#[tokio::test]
async fn every_path_and_every_field_is_described_by_sentences() {
    let document = document().await;
    for (path, item) in document["paths"].as_object().unwrap() {
        assert_sentence(path, &item["description"]);
        for parameter in item["parameters"].as_array().into_iter().flatten() {
            assert_sentence(&format!("{path} {}", parameter["name"]), &parameter["description"]);
        }
    }
    for (place, operation) in operations(&document) {
        assert_sentence(&place, &operation["summary"]);
        let body = &operation["requestBody"]["content"]["application/json"]["schema"]["properties"];
        for (name, field) in body.as_object().into_iter().flatten() {
            assert_sentence(&format!("{place} {name}"), &field["description"]);
        }
    }
}

#[tokio::test]
async fn every_operation_declares_its_responses() {
    for (place, operation) in operations(&document().await) {
        let responses = operation["responses"].as_object().unwrap();
        for (status, response) in responses {
            assert_sentence(&format!("{place} {status}"), &response["description"]);
            let fields = &response["content"]["application/json"]["schema"]["properties"];
            for (name, field) in fields.as_object().into_iter().flatten() {
                assert_sentence(&format!("{place} {status} {name}"), &field["description"]);
            }
        }
        let has_fields = responses.values().any(|response| response.get("content").is_some());
        // The metrics are text, and a change returns nothing but warnings.
        let reads = place.starts_with("get ") && place != "get /metrics";
        assert!(!reads || has_fields, "{place} declares no field of its response");
    }
}

#[tokio::test]
async fn a_default_is_an_attribute_of_its_field() {
    let document = document().await;
    let config =
        &document["paths"]["/config"]["post"]["requestBody"]["content"]["application/json"]["schema"];
    for (field, default) in [
        ("request_timeout", Value::from("30s")),
        ("idempotency_window", "24h".into()),
        ("tls_skip_verify", false.into()),
        ("metrics_prefix", "custom_plugin".into()),
        ("preset", "tokens".into()),
        ("send_events", "auto".into()),
    ] {
        assert_eq!(config["properties"][field]["default"], default, "{field}");
    }
    let mount = TestMount::new(engine()).await.unwrap();
    let help = mount.request(Operation::Help, "roles/developer", Map::new()).await.unwrap().unwrap();
    let help = help.data.unwrap()["help"].as_str().unwrap().to_owned();
    assert!(help.contains("Specifies the TTL of a lease. Defaults to 1h."), "{help}");
}
