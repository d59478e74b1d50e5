//! Gitea.

use harness::{TokenApi, TokenServer};
use serde_json::json;

use super::{Setup, error_of, refused_with};

const VERSION: &str = "1.26.0";

pub(super) fn setup(service: &TokenServer) -> Setup {
    Setup {
        preset: "gitea",
        proven: format!("Gitea {VERSION}"),
        config: json!({
            "api_endpoint": service.endpoint(), "api_key": service.admin_key(),
            "parameters": {"username": service.account()},
        }),
        role: json!({"permissions": ["read:user"]}),
        name: "",
    }
}

#[tokio::test]
async fn long_tokens_of_gitea_are_issued_renewed_and_revoked_by_vault() {
    let service = TokenServer::start(TokenApi::Gitea).await;
    let mount = setup(&service).prove(&service, Some(&refused_with(401))).await;

    let version = service.request("GET", "/api/v1/version").send().await.success();
    assert_eq!(version["version"], VERSION, "the server is the one of the preset");

    // A token has the scopes of the role, and no other.
    let leased = mount.issue().await;
    let token = leased.credential("").secret;
    let with_token = |method: &str, path: &str| {
        service.request(method, path).header("Authorization", &format!("token {token}"))
    };
    assert_eq!(with_token("GET", "/api/v1/user").send().await.status, 200);
    let repository = with_token("POST", "/api/v1/user/repos").json(&json!({"name": "other"}));
    assert_eq!(repository.send().await.status, 403);
    mount.revoke(&leased).await.success();

    mount.write("roles/app", &json!({"permissions": ["read:everything"], "ttl": "30m"})).await.success();
    let error = error_of(mount.read("creds/app").await);
    assert!(error.contains("status 400"), "{error}");
    assert!(service.list().await.is_empty() && mount.leases().await.is_empty());

    // The key is a password, which the API of its user cannot replace.
    let error = error_of(mount.write("rotate-root", &json!({})).await);
    assert!(error.contains("no call that creates another key"), "{error}");
    assert_eq!(mount.read("check").await.status, 200, "the key still works");
}
