//! The names of tokens at the service.

use harness::Upstream;
use serde_json::{Value, json};
use vault_plugin::logical::{Map, Operation, Request};
use vault_plugin::testing::TestMount;

use crate::described::hub;
use crate::fake_api::HUB_KEY;
use crate::{
    assert_accepted, configure, creds, data, error_message, mount_configured, read_error, wal_entries,
};

/// The API of the test service, whose names are labels of at most 60 letters.
const SHORT_NAMES: &str = r#"
name: short
help: Tokens with short names
unverified: a test
naming: {max_length: 60, dns_label: true}
auth: {headers: {Authorization: "Bearer {api_key}"}}
mint:
  post: /tokens
  headers: {Idempotency-Key: "{idempotency_key}"}
  json: {name: "{name}", permissions: "{permissions}", ttl: "{ttl.seconds}"}
  id: /id
  token: /token
revoke: {delete: "/tokens/{id}", gone: {status: [404]}}
recovery: {replay: {remembered_for: 24h}}
"#;

/// Reads a token as a user with this display name.
async fn creds_of(mount: &TestMount, display_name: &str) {
    let request = Request {
        display_name: display_name.to_owned(),
        ..Request::new(Operation::Read, "creds/developer", Map::new())
    };
    assert_accepted(mount.send(request).await);
}

#[tokio::test]
async fn a_role_names_its_tokens_after_the_caller() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let template = "v-{{.DisplayName}}-{{.RoleName | truncate 3}}-{{random 20}}";
    assert_accepted(mount.write("roles/developer", json!({"name_template": template})).await);
    assert_eq!(data(mount.read("roles/developer").await.unwrap())["name_template"], template);
    creds_of(&mount, "ldap-ada").await;
    let name = upstream.issued().pop().unwrap().name;
    assert!(name.starts_with("v-ldap-ada-dev-") && name.len() == 35, "{name}");

    assert_accepted(mount.patch("roles/developer", json!({"name_template": null})).await);
    creds_of(&mount, "ldap-ada").await;
    let name = upstream.issued().pop().unwrap().name;
    assert!(name.starts_with("vault-developer-"), "{name}");
    assert_eq!(data(mount.read("roles/developer").await.unwrap()).get("name_template"), None);
}

#[tokio::test]
async fn a_template_whose_names_are_not_unique_is_refused_when_it_is_written() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let before = data(mount.read("roles/developer").await.unwrap());
    for (template, expected) in [
        ("vault-{{.RoleName}}", "a name has only 0 random bits and needs 64"),
        ("{{.RoleName}}-{{randm 20}}", "did you mean random?"),
        (&"x".repeat(2000), "longer than 1024 bytes"),
    ] {
        let error = error_message(mount.write("roles/developer", json!({"name_template": template})).await);
        assert!(error.starts_with("name_template: ") && error.contains(expected), "{error}");
        assert_eq!(data(mount.read("roles/developer").await.unwrap()), before);
    }
    // The command line passes a file with its line break.
    assert_accepted(mount.write("roles/developer", json!({"name_template": "{{uuid}}\n"})).await);
    creds(&mount).await;
}

#[tokio::test]
async fn a_name_obeys_the_rules_of_the_api_of_its_connection() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let long = format!("{}{{{{random 20}}}}", "x".repeat(50));
    let connection =
        json!({"api": SHORT_NAMES, "api_endpoint": upstream.endpoint(), "api_key": upstream.api_key()});
    assert_accepted(mount.write("config/short", connection).await);
    let role = |template: &str| json!({"permissions": "read", "config": "short", "name_template": template});
    let error = error_message(mount.write("roles/short", role(&long)).await);
    assert!(error.contains("the API accepts 60"), "{error}");
    assert_accepted(
        mount.write("roles/short", role("CI.{{.RoleName}}.{{.DisplayName}}.{{random 20}}")).await,
    );
    let request =
        Request { display_name: "X".repeat(100), ..Request::new(Operation::Read, "creds/short", Map::new()) };
    mount.send(request).await.unwrap();
    let name = upstream.issued().pop().unwrap().name;
    assert_eq!(name.len(), 60, "{name}");
    assert!(
        name.starts_with("ci-short-x")
            && name
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-'),
        "{name}"
    );
}

#[tokio::test]
async fn a_template_that_no_longer_fits_after_a_change_of_the_connection_issues_no_token() {
    let upstream = Upstream::start().await;
    let mount = mount_configured(&upstream, json!({})).await;
    let template = format!("{}{{{{uuid}}}}", "x".repeat(100));
    assert_accepted(mount.write("roles/developer", json!({"name_template": template})).await);
    creds(&mount).await;
    configure(&mount, &upstream, json!({"api": SHORT_NAMES})).await;
    let error = read_error(&mount, "creds/developer").await;
    assert!(error.contains("name_template: ") && error.contains("the API accepts 60"), "{error}");
    assert_eq!((upstream.issued().len(), wal_entries(&mount).len()), (1, 0));
}

#[tokio::test]
async fn a_lost_token_is_found_by_the_name_of_its_template() {
    let (hub, _api, mount) = hub().await;
    let template = "{{.RoleName}}/{{uuid | uppercase}}";
    assert_accepted(mount.write("roles/developer", json!({"name_template": template})).await);
    hub.lock().lose_responses = 1;
    read_error(&mount, "creds/developer").await;
    let [entry] = &wal_entries(&mount)[..] else { panic!("one entry") };
    let stored: Value = serde_json::from_slice(&mount.storage().entry(entry).unwrap().value).unwrap();
    assert!(stored["data"]["order"]["name"].as_str().unwrap().starts_with("developer/"), "{stored}");
    mount.rollback().await.unwrap();
    assert_eq!((hub.lock().tokens.len(), wal_entries(&mount).len()), (0, 0));
    assert!(!stored.to_string().contains(HUB_KEY));
}
