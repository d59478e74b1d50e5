//! OpenStack Keystone.

use harness::{Credential, TokenApi, TokenServer};
use serde_json::{Value, json};

use super::{Setup, pinned_version, refused_with};

pub(super) async fn setup(service: &TokenServer) -> Setup {
    let (login, _) = log_in(service).await;
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

/// Logs in as the administrator. Returns the response and the token.
async fn log_in(service: &TokenServer) -> (Value, String) {
    let domain = json!({"id": "default"});
    let login = service.request("POST", "/v3/auth/tokens").json(&json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": service.account(), "domain": domain, "password": service.admin_key(),
        }}},
        "scope": {"project": {"name": "apps", "domain": domain}},
    }}));
    let (login, token) = login.send_for_header("X-Subject-Token").await;
    (login.success(), token)
}

#[tokio::test]
async fn application_credentials_of_keystone_are_issued_renewed_and_revoked_by_vault() {
    let service = TokenServer::start(TokenApi::Keystone).await;
    let setup = setup(&service).await;
    let mount = setup.prove(&service, Some(&refused_with(401))).await;

    let (login, token) = log_in(&service).await;
    let user_id = login["token"]["user"]["id"].as_str().unwrap();
    let unrestricted =
        json!({"application_credential": {"name": "admin", "secret": "first-secret", "unrestricted": true}});
    let created = service.request("POST", &format!("/v3/users/{user_id}/application_credentials"));
    let created = created.header("X-Auth-Token", &token).json(&unrestricted).send().await.success();
    let id = created["application_credential"]["id"].as_str().unwrap().to_owned();
    let connection = json!({
        "preset": "keystone-app-cred", "api_endpoint": service.endpoint(), "api_key": "first-secret",
        "parameters": {"user_id": user_id, "application_credential_id": id},
    });
    mount.write("config/unrestricted", &connection).await.success();
    mount.write("roles/app", &json!({"config": "unrestricted"})).await.success();
    let shown = mount.read("presets/keystone-app-cred").await.success();
    assert!(shown["data"]["evidence"].as_str().unwrap().contains(&setup.proven), "{shown}");
    let old_key = Credential { name: id, secret: "first-secret".to_owned() };
    let old_key_works = async || service.token_works(&old_key).await;
    mount.prove_rotation(&service, setup.name, "rotate-root/unrestricted", old_key_works).await;
    let left = service.list().await;
    assert_eq!(left.len(), 1, "{left:?}");
    let config = mount.read("config/unrestricted").await.success();
    assert_eq!(
        config["data"]["parameters"]["application_credential_id"], left[0].id,
        "the id changes with the key"
    );
}
