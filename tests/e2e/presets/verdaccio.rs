//! Verdaccio.

use harness::{TokenApi, TokenServer};
use serde_json::{Value, json};

use super::Setup;

pub(super) fn setup(service: &TokenServer) -> Setup {
    let package: Value = serde_json::from_str(include_str!("../../servers/verdaccio/package.json")).unwrap();
    Setup {
        preset: "verdaccio",
        proven: format!("Verdaccio {}", package["dependencies"]["verdaccio"].as_str().unwrap()),
        config: json!({
            "api_endpoint": service.endpoint(), "api_key": service.admin_key(), "accept_orphans": true,
            "parameters": {"username": service.account(), "longest_life": "29d"},
        }),
        role: json!({}),
        name: "",
    }
}

#[tokio::test]
async fn tokens_of_verdaccio_are_issued_renewed_and_revoked_by_vault_also_after_it_was_down() {
    let mut service = TokenServer::start(TokenApi::Verdaccio).await;
    let mount = setup(&service).prove(&service, Some("the response contains no account")).await;

    let checked = mount.read("check").await.success();
    assert_eq!(checked["data"]["account"], service.account());
    let leased = mount.issue().await;
    service.kill().await;
    assert!(mount.revoke(&leased).await.status >= 400);
    assert_eq!(mount.leases().await.len(), 1, "the lease must still exist");
    service.restart().await;
    assert!(service.token_works(&leased.credential("")).await);
    mount.revoke(&leased).await.success();
    assert!(!service.token_works(&leased.credential("")).await);
}
