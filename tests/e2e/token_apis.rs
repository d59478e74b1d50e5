//! Real token services over plain HTTP: the behavior of their APIs that a description depends on.

mod devpi;
mod gitea;
mod hydra;
mod jupyterhub;
mod keycloak;
mod keystone;
mod verdaccio;

use harness::{TokenApi, TokenServer};

/// Starts a service, and verifies that a credential works until it is revoked, also after a kill of the service. Returns the service and the
/// id of the credential.
async fn revoked_credential(api: TokenApi) -> (TokenServer, String) {
    let mut server = TokenServer::start(api).await;
    assert_eq!(server.list().await, []);

    let issued = server.issue("first").await;
    let other = server.issue("second").await;
    assert!(server.token_works(&issued.credential).await, "{}", server.logs());
    let mut listed: Vec<String> = server.list().await.into_iter().map(|listed| listed.id).collect();
    listed.sort();
    let mut expected = [issued.id.clone(), other.id.clone()];
    expected.sort();
    assert_eq!(listed, expected);

    server.kill().await;
    server.restart().await;
    assert!(server.token_works(&issued.credential).await, "{}", server.logs());

    server.revoke(&issued.id).await.success();
    assert!(!server.token_works(&issued.credential).await);
    assert!(server.token_works(&other.credential).await, "only the first was revoked");
    server.revoke(&other.id).await.success();
    assert_eq!(server.list().await, []);
    assert!(!server.token_works(&other.credential).await);
    (server, issued.id)
}
