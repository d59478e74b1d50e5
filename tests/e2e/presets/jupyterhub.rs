//! JupyterHub.

use harness::{Credential, TokenApi, TokenServer};
use serde_json::json;

use super::{Setup, error_of, pinned_version, refused_with};

pub(super) fn setup(service: &TokenServer) -> Setup {
    let version = pinned_version(include_str!("../../servers/jupyterhub/requirements.txt"), "jupyterhub");
    Setup {
        preset: "jupyterhub",
        proven: format!("JupyterHub {version}"),
        config: json!({"api_endpoint": service.endpoint(), "api_key": service.admin_key()}),
        role: json!({"parameters": {"user": service.account()}}),
        name: "",
    }
}

#[tokio::test]
async fn tokens_of_jupyterhub_are_issued_renewed_and_revoked_by_vault() {
    let service = TokenServer::start(TokenApi::JupyterHub).await;
    let mount = setup(&service).prove(&service, Some(&refused_with(403))).await;

    // The token of a service is part of the configuration of the hub, and cannot be rotated.
    let error = error_of(mount.write("rotate-root", &json!({})).await);
    assert!(error.contains("cannot create another key") && error.contains(&refused_with(403)), "{error}");
    assert_eq!(mount.read("check").await.status, 200, "the key still works");

    let admin = service.request("POST", "/hub/api/users/operator/tokens");
    let admin = admin.header("Authorization", &format!("token {}", service.admin_key()));
    let admin = admin.json(&json!({"note": "admin"})).send().await.success();
    mount.write("config", &json!({"api_key": admin["token"]})).await.success();
    let old_key: Credential = admin["token"].as_str().unwrap().into();
    mount.prove_rotation(&service, "", "rotate-root", async || service.token_works(&old_key).await).await;
    let keys = service.request("GET", "/hub/api/users/operator/tokens");
    let keys = keys.header("Authorization", &format!("token {}", service.admin_key())).send().await.success();
    assert_eq!(keys["api_tokens"].as_array().unwrap().len(), 1, "{keys}");
}

#[tokio::test]
async fn a_revocation_does_not_revoke_a_token_that_reuses_the_id_of_a_revoked_one() {
    let service = TokenServer::start(TokenApi::JupyterHub).await;
    let mount = setup(&service).mount(&service, None).await;
    let leased = mount.issue().await;
    let ids = service.list().await;
    service.revoke(&ids[0].id).await.success();
    let other = service.issue("of-another-user").await;
    assert_eq!(other.id, ids[0].id);

    mount.revoke(&leased).await.success();
    assert!(service.token_works(&other.credential).await);
    assert!(mount.leases().await.is_empty());
}
