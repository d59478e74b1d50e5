//! Keycloak.

use harness::{ApiRequest, Credential, TokenApi, TokenServer};
use serde_json::{Value, json};

use super::revoked_credential;

const OAUTH: &str = "/realms/master/protocol/openid-connect";

fn oauth(server: &TokenServer, credential: &Credential, path: &str) -> ApiRequest {
    let request = server.request("POST", &format!("{OAUTH}/{path}"));
    request.basic(&credential.name, &credential.secret)
}

#[tokio::test]
async fn long_a_client_of_keycloak_works_until_it_is_deleted() {
    let (server, id) = revoked_credential(TokenApi::Keycloak).await;
    let again = server.revoke(&id).await;
    assert_eq!((again.status, &again.body["error"]), (404, &json!("Could not find client")));
}

#[tokio::test]
async fn long_keycloak_responds_to_the_revocation_of_an_unknown_token_with_success_and_an_error() {
    let server = TokenServer::start(TokenApi::Keycloak).await;
    let client = server.issue("app").await.credential;
    let form = [("grant_type", "client_credentials"), ("scope", "openid")];
    let granted = oauth(&server, &client, "token").form(&form).send().await.success();
    let token = granted["access_token"].as_str().unwrap();
    assert!(server.access_token_works(token).await);
    for _ in 0..2 {
        let revoked = oauth(&server, &client, "revoke").form(&[("token", token)]).send().await;
        assert_eq!((revoked.status, revoked.body), (200, Value::Null));
        assert!(!server.access_token_works(token).await);
    }
    let unknown = oauth(&server, &client, "revoke").form(&[("token", "junk")]).send().await;
    assert_eq!((unknown.status, &unknown.body["error"]), (200, &json!("invalid_token")));
}
