//! JupyterHub.

use harness::{TokenApi, TokenServer};
use serde_json::json;

use super::revoked_credential;

#[tokio::test]
async fn a_token_of_jupyterhub_works_until_it_is_revoked() {
    let (server, id) = revoked_credential(TokenApi::JupyterHub).await;
    let again = server.revoke(&id).await;
    assert_eq!((again.status, &again.body["status"]), (404, &json!(404)));
}

#[tokio::test]
async fn jupyterhub_reuses_the_id_of_a_revoked_token_so_that_a_repeated_revocation_revokes_the_next_one() {
    let server = TokenServer::start(TokenApi::JupyterHub).await;
    let first = server.issue("first").await;
    server.revoke(&first.id).await.success();
    let second = server.issue("second").await;
    assert_eq!(second.id, first.id);
    assert_eq!(server.list().await[0].name, "second", "the tokens differ by name");
    server.revoke(&first.id).await.success();
    assert!(!server.token_works(&second.credential).await);
}
