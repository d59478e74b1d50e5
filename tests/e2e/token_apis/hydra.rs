//! Ory Hydra.

use harness::{TokenApi, TokenServer};
use serde_json::Value;

use super::revoked_credential;

#[tokio::test]
async fn long_a_client_of_hydra_works_until_it_is_deleted() {
    let (server, id) = revoked_credential(TokenApi::Hydra).await;
    let again = server.revoke(&id).await;
    assert_eq!((again.status, again.body["error"].is_string()), (404, true), "{again:?}");
}

#[tokio::test]
async fn long_an_access_token_of_hydra_is_invalid_once_it_is_revoked_or_its_client_is_deleted() {
    let server = TokenServer::start(TokenApi::Hydra).await;
    let issued = server.issue("app").await;
    let oauth = |path: &str| {
        let request = server.public_request("POST", &format!("/oauth2/{path}"));
        request.basic(&issued.credential.name, &issued.credential.secret)
    };
    let grant = async || {
        let form = [("grant_type", "client_credentials")];
        let granted = oauth("token").form(&form).send().await.success();
        granted["access_token"].as_str().unwrap().to_owned()
    };
    let (first, second) = (grant().await, grant().await);
    assert!(server.access_token_works(&first).await);
    for _ in 0..2 {
        let revoked = oauth("revoke").form(&[("token", &first)]).send().await;
        assert_eq!((revoked.status, revoked.body), (200, Value::Null));
        assert!(!server.access_token_works(&first).await);
    }
    assert!(server.access_token_works(&second).await);
    server.revoke(&issued.id).await.success();
    assert!(!server.access_token_works(&second).await);
    assert_eq!(server.list().await, []);
}
