//! Verdaccio.

use harness::{Credential, TokenApi, TokenServer};
use serde_json::Value;

use super::revoked_credential;

#[tokio::test]
async fn a_token_of_verdaccio_works_until_it_is_revoked_and_revoking_an_unknown_one_succeeds() {
    let (server, id) = revoked_credential(TokenApi::Verdaccio).await;
    assert_eq!(server.revoke(&id).await.status, 200);
    assert_eq!(server.revoke("never-issued").await.status, 200);
}

#[tokio::test]
async fn verdaccio_responds_to_an_invalid_token_with_success_and_no_name() {
    let server = TokenServer::start(TokenApi::Verdaccio).await;
    let response = server.request("GET", "/-/whoami").bearer("rubbish").send().await;
    assert_eq!((response.status, &response.body["username"]), (200, &Value::Null));
    assert!(!server.token_works(&Credential::from("rubbish")).await);
}
