//! Keycloak: clients, and OAuth 2.0 access tokens.

use harness::{Credential, TokenApi, TokenServer};
use serde_json::{Value, json};

use super::{PluginMount, Setup, WRONG_KEY, error_of, refused_with};

const VERSION: &str = "Keycloak 26.7.3";

const TOKEN_PATH: &str = "/realms/master/protocol/openid-connect/token";
const REVOKE_PATH: &str = "/realms/master/protocol/openid-connect/revoke";

fn oauth2_config(service: &TokenServer, client: &Credential) -> Value {
    json!({
        "api_endpoint": service.endpoint(), "api_key": client.secret, "accept_orphans": true,
        "parameters": {"client_id": client.name, "token_path": TOKEN_PATH, "revoke_path": REVOKE_PATH},
    })
}

#[tokio::test]
async fn long_clients_of_keycloak_are_issued_renewed_and_revoked_by_vault() {
    let service = TokenServer::start(TokenApi::Keycloak).await;
    let setup = Setup {
        preset: "keycloak-client",
        proven: VERSION.to_owned(),
        config: json!({
            "api_endpoint": service.endpoint(), "api_key": service.admin_key(),
            "parameters": {"client_id": service.account()},
        }),
        role: json!({}),
        name: "client_id",
    };
    setup.prove(&service, Some(&refused_with(401))).await;
}

#[tokio::test]
async fn long_access_tokens_of_keycloak_are_issued_and_revoked_and_an_error_with_status_200_is_not_a_revocation()
 {
    let service = TokenServer::start(TokenApi::Keycloak).await;
    let client = service.issue("app").await.credential;
    let mount = PluginMount::start().await;
    let preset = mount.read("presets/oauth2").await.success();
    assert!(preset["data"]["evidence"].as_str().unwrap().contains(VERSION), "{preset}");
    let mut config = oauth2_config(&service, &client);
    config["preset"] = json!("oauth2");
    let role = json!({"permissions": ["openid"], "ttl": "30m"});
    let mut wrong = config.clone();
    wrong["api_key"] = json!(WRONG_KEY);
    mount.write("config", &wrong).await.success();
    mount.write("roles/app", &role).await.success();
    let refused = error_of(mount.read("creds/app").await);
    assert!(refused.contains(&refused_with(401)), "{refused}");

    mount.write("config", &config).await.success();
    let leased = mount.issue().await;
    // The lifetime of an access token at Keycloak.
    assert!((1..=60).contains(&leased.duration), "{}", leased.duration);
    let Credential { secret: token, .. } = leased.credential("");
    assert!(service.access_token_works(&token).await);
    mount.revoke(&leased).await.success();
    assert!(!service.access_token_works(&token).await);

    // Keycloak responds to the revocation of an unknown token with status 200 and an error.
    let mut api = preset["data"]["api"].clone();
    api["revoke"]["form"]["token"] = json!("{name}");
    let mut config = oauth2_config(&service, &client);
    config["api"] = json!(api.to_string());
    mount.write("config", &config).await.success();
    let leased = mount.issue().await;
    let error = error_of(mount.revoke(&leased).await);
    assert!(error.contains("the response contains an error although its status is a success"), "{error}");
    assert!(service.access_token_works(&leased.credential("").secret).await);
    assert_eq!(mount.leases().await.len(), 1, "the lease must still exist");
}
