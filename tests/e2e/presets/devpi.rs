//! devpi, which has no preset, because the response to a mint contains no id.

use harness::{TokenApi, TokenServer};
use serde_json::json;

use super::{PluginMount, error_of};

#[tokio::test]
async fn long_a_404_in_html_from_devpi_does_not_count_as_a_revoked_token() {
    let service = TokenServer::start(TokenApi::Devpi).await;
    let user = service.account();
    let login = json!({"user": user, "password": service.admin_key()});
    let login = service.request("POST", "/+login").json(&login).send().await.success();
    // The call sends a name, but devpi expects an id. So devpi does not find the token.
    let api = json!({
        "name": "devpi",
        "auth": {"basic": {"user": user, "password": "{api_key}"}},
        "mint": {
            "post": format!("/{user}/+token-create"),
            "json": {"allowed": ["upload"], "expires": "{expires.epoch}"},
            "token": "/result/token",
        },
        "revoke": {"delete": format!("/{user}/+tokens/{{name}}"), "gone": {"status": [404]}},
        "recovery": "none",
    });
    let mount = PluginMount::start().await;
    let config = json!({
        "api": api.to_string(), "api_endpoint": service.endpoint(), "api_key": login["result"]["password"],
        "accept_orphans": true, "request_timeout": "60s",
    });
    mount.write("config", &config).await.success();
    mount.write("roles/app", &json!({"parameters": {}})).await.success();
    let leased = mount.issue().await;
    assert!(service.token_works(&leased.credential("")).await, "{}", service.logs());
    let error = error_of(mount.revoke(&leased).await);
    assert!(error.contains("status 404 Not Found comes from something before the service"), "{error}");
    assert!(service.token_works(&leased.credential("")).await);
    assert_eq!(mount.leases().await.len(), 1, "the lease must still exist");
}
