//! Gitea.

use harness::{TokenApi, TokenServer};
use serde_json::json;

use super::revoked_credential;

#[tokio::test]
async fn long_a_token_of_gitea_works_until_it_is_revoked() {
    let (server, id) = revoked_credential(TokenApi::Gitea).await;
    let again = server.revoke(&id).await;
    assert_eq!((again.status, again.body["message"].is_string()), (404, true), "{again:?}");
}

#[tokio::test]
async fn long_gitea_rejects_a_second_token_with_the_same_name_and_revokes_by_name() {
    let server = TokenServer::start(TokenApi::Gitea).await;
    let issued = server.issue("unique").await;
    let path = format!("/api/v1/users/{}/tokens", server.account());
    let again = server.request("POST", &path).basic(server.account(), server.admin_key());
    let again = again.json(&json!({"name": "unique", "scopes": ["read:user"]})).send().await;
    assert_eq!(again.status, 400, "{again:?}");
    assert!(server.token_works(&issued.credential).await);
    assert_eq!(server.revoke("unique").await.status, 204);
    assert!(!server.token_works(&issued.credential).await);
    assert_eq!(server.list().await, []);
}
