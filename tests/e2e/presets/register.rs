//! `register --preset`.

use std::fs;

use harness::{Credential, Output, Program, TokenApi, TokenServer, VaultServer};
use serde_json::json;

use crate::lab::{BINARY, NAME};

#[tokio::test]
async fn one_command_registers_the_plugin_for_a_preset_up_to_a_credential_that_works() {
    let service = TokenServer::start(TokenApi::Verdaccio).await;
    let vault = VaultServer::start_new().await;
    let program = Program::new(BINARY).vault(&vault);
    fs::write(program.home().join("key"), service.admin_key()).unwrap();
    let directory = vault.plugin_directory().display().to_string();
    let endpoint = format!("api_endpoint={}", service.endpoint());
    let register = async |config: &[&str]| -> Output {
        let plugin =
            ["register", NAME, "--plugin-dir", &directory, "--mount", "npm", "--preset", "verdaccio"];
        let role = ["--role", "app:parameters.readonly=true", "--smoke", "creds/app"];
        let config = config.iter().flat_map(|pair| ["--config", *pair]);
        program.run(plugin.into_iter().chain(config).chain(role)).await
    };

    let output = register(&[&endpoint, "api_key=@key"]).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    for flag in ["--config parameters.username=USERNAME", "--config accept_orphans=true"] {
        assert!(output.stderr.contains(flag), "{output:?}");
    }
    assert_eq!(vault.request("GET", "sys/mounts/npm", None).await.status, 400, "nothing is mounted");

    let username = format!("parameters.username={}", service.account());
    let config = [&endpoint, "api_key=@key", &username, "parameters.longest_life=29d", "accept_orphans=true"];
    register(&config).await.success();
    assert!(service.list().await.is_empty(), "the smoke test has revoked its token");
    let issued = vault.request("GET", "npm/creds/app", None).await.success();
    let credential =
        Credential { name: String::new(), secret: issued["data"]["token"].as_str().unwrap().to_owned() };
    assert!(service.token_works(&credential).await, "{}", vault.logs());
    let revocation = json!({"lease_id": issued["lease_id"], "sync": true});
    vault.request("PUT", "sys/leases/revoke", Some(revocation)).await.success();
    assert!(!service.token_works(&credential).await);

    let again = register(&config).await;
    assert!(!again.stderr.contains("[1/"), "{again:?}");
    again.success();
}
