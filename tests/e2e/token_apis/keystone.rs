//! OpenStack Keystone.

use harness::{ApiRequest, Credential, TokenApi, TokenServer};
use serde_json::json;

use super::revoked_credential;

fn login(server: &TokenServer) -> ApiRequest {
    let domain = json!({"id": "default"});
    server.request("POST", "/v3/auth/tokens").json(&json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": server.account(), "domain": domain, "password": server.admin_key(),
        }}},
        "scope": {"project": {"name": "apps", "domain": domain}},
    }}))
}

#[tokio::test]
async fn an_application_credential_of_keystone_works_until_it_is_revoked() {
    let (server, id) = revoked_credential(TokenApi::Keystone).await;
    let again = server.revoke(&id).await;
    assert_eq!((again.status, &again.body["error"]["code"]), (404, &json!(404)));
}

#[tokio::test]
async fn keystone_returns_the_token_of_a_login_in_a_header_and_keeps_names_unique() {
    let server = TokenServer::start(TokenApi::Keystone).await;
    let (response, token) = login(&server).send_for_header("X-Subject-Token").await;
    let body = response.success();
    assert!(!body.to_string().contains(&token), "the token is only in the header");

    let path = format!("/v3/users/{}/application_credentials", body["token"]["user"]["id"].as_str().unwrap());
    let issue = || {
        let credential = json!({"application_credential": {
            "name": "unique", "secret": "chosen-by-the-client", "expires_at": "2100-01-01T00:00:00Z",
        }});
        server.request("POST", &path).header("X-Auth-Token", &token).json(&credential)
    };
    let issued = issue().send().await.success();
    let issued = &issued["application_credential"];
    assert_eq!(issued["expires_at"], "2100-01-01T00:00:00.000000", "UTC without an offset");
    let credential = Credential {
        name: issued["id"].as_str().unwrap().to_owned(),
        secret: "chosen-by-the-client".to_owned(),
    };
    assert!(server.token_works(&credential).await);
    assert_eq!(issue().send().await.status, 409);
    let by_name = server.request("GET", &format!("{path}?name=unique")).header("X-Auth-Token", &token);
    assert_eq!(by_name.send().await.success()["application_credentials"][0]["id"], issued["id"]);
}
