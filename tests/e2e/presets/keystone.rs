//! OpenStack Keystone.

use harness::{TokenApi, TokenServer};
use serde_json::json;

use super::{Setup, pinned_version, refused_with};

pub(super) async fn setup(service: &TokenServer) -> Setup {
    let domain = json!({"id": "default"});
    let login = service.request("POST", "/v3/auth/tokens").json(&json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": service.account(), "domain": domain, "password": service.admin_key(),
        }}},
        "scope": {"project": {"name": "apps", "domain": domain}},
    }}));
    let login = login.send().await.success();
    let version = pinned_version(include_str!("../../servers/keystone/requirements.txt"), "keystone");
    Setup {
        preset: "keystone",
        proven: format!("Keystone {version}"),
        config: json!({
            "api_endpoint": service.endpoint(), "api_key": service.admin_key(),
            "parameters": {"user_id": login["token"]["user"]["id"], "project_id": login["token"]["project"]["id"]},
        }),
        role: json!({"parameters": {"roles": r#"[{"name": "member"}]"#}}),
        name: "application_credential_id",
    }
}

#[tokio::test]
async fn application_credentials_of_keystone_are_issued_renewed_and_revoked_by_vault() {
    let service = TokenServer::start(TokenApi::Keystone).await;
    setup(&service).await.prove(&service, Some(&refused_with(401))).await;
}
