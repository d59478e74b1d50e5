//! JupyterHub.

use harness::{TokenApi, TokenServer};
use serde_json::json;

use super::{Setup, pinned_version, refused_with};

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
    setup(&service).prove(&service, Some(&refused_with(403))).await;
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
