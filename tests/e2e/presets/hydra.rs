//! Ory Hydra: clients, and OAuth 2.0 access tokens.

use harness::{TokenApi, TokenServer};
use serde_json::json;

use super::{PluginMount, Setup, WRONG_KEY, error_of, refused_with};

const VERSION: &str = "Ory Hydra 2.3.0";

#[tokio::test]
async fn long_clients_of_hydra_are_issued_renewed_and_revoked_by_vault() {
    let service = TokenServer::start(TokenApi::Hydra).await;
    let setup = Setup {
        preset: "hydra-client",
        proven: VERSION.to_owned(),
        // The admin API requires no key here.
        config: json!({"api_endpoint": service.endpoint(), "api_key": "any"}),
        role: json!({}),
        name: "client_id",
    };
    setup.prove(&service, None).await;
}

#[tokio::test]
async fn long_access_tokens_of_hydra_are_issued_and_revoked_by_vault() {
    let service = TokenServer::start(TokenApi::Hydra).await;
    let client = service.issue("app").await.credential;
    let mount = PluginMount::start().await;
    let preset = mount.read("presets/oauth2").await.success();
    assert!(preset["data"]["evidence"].as_str().unwrap().contains(VERSION), "{preset}");
    let config = |api_key: &str| {
        json!({
            "preset": "oauth2", "api_endpoint": service.public_endpoint(), "api_key": api_key, "accept_orphans": true,
            "parameters": {"client_id": client.name},
        })
    };
    mount.write("config", &config(WRONG_KEY)).await.success();
    mount.write("roles/app", &json!({"ttl": "30m"})).await.success();
    let refused = error_of(mount.read("creds/app").await);
    assert!(refused.contains(&refused_with(401)), "{refused}");

    mount.write("config", &config(&client.secret)).await.success();
    let (first, second) = (mount.issue().await, mount.issue().await);
    let works =
        async |leased: &super::Leased| service.access_token_works(&leased.credential("").secret).await;
    assert!(works(&first).await && works(&second).await);
    assert_eq!(mount.renew(&first).await, 1800);
    mount.revoke(&first).await.success();
    assert!(!works(&first).await && works(&second).await);
}
