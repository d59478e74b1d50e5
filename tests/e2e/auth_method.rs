//! An auth method on our SDK at real servers, Vault and OpenBao: its tokens are the server's, and so is what holds them to
//! their role.

use std::fs;

use harness::{Output, Product, Program, VaultServer, build};
use serde_json::{Value, json};

use crate::lab::BINARY;

const SERVERS: [Product; 2] = [Product::Vault, Product::OpenBao];

#[tokio::test]
async fn a_ticket_lets_its_holder_in_once_with_what_the_role_gives() {
    for product in SERVERS {
        let door = AuthMethodServer::start(product).await;
        door.set_role(&["token_policies=reader", "token_ttl=1h", "token_max_ttl=2h", "token_num_uses=5"])
            .await;
        let ticket = door.ticket("ann").await;

        let held = door.look_up(&token(door.log_in(&ticket).await)).await;
        assert_eq!(held["display_name"], "door-ann");
        assert_eq!(held["policies"], json!(["default", "reader"]));
        assert_eq!(held["meta"], json!({"role": "guest"}));
        assert_eq!((&held["creation_ttl"], &held["num_uses"]), (&json!(3600), &json!(5)));
        assert_eq!((&held["path"], &held["renewable"]), (&json!("auth/door/login"), &json!(true)));

        let again = door.log_in(&ticket).await;
        assert_eq!(again.code, Some(2), "{again:?}");
        assert!(again.stderr.contains("Code: 403"), "{again:?}");
    }
}

#[tokio::test]
async fn who_logs_in_twice_is_the_same_to_the_server() {
    for product in SERVERS {
        let door = AuthMethodServer::start(product).await;
        door.set_role(&["token_ttl=1h", "alias_metadata=team=blue"]).await;
        let first = door.look_up(&door.login_token().await).await["entity_id"].clone();
        let second = door.look_up(&door.login_token().await).await["entity_id"].clone();
        assert_eq!(first, second);

        let entity = format!("identity/entity/id/{}", first.as_str().unwrap());
        let entity = door.server.request("GET", &entity, None).await.success();
        let aliases = entity["data"]["aliases"].as_array().unwrap();
        assert_eq!(aliases.len(), 1, "{entity}");
        assert_eq!((&aliases[0]["name"], &aliases[0]["mount_path"]), (&json!("ann"), &json!("auth/door/")));
        // OpenBao does not keep it.
        let noted = if product == Product::Vault { json!({"team": "blue"}) } else { Value::Null };
        assert_eq!(aliases[0]["custom_metadata"], noted);
    }
}

#[tokio::test]
async fn a_token_is_renewed_by_the_role_as_it_is_now_and_not_once_its_policies_have_changed() {
    for product in SERVERS {
        let door = AuthMethodServer::start(product).await;
        door.set_role(&["token_policies=reader", "token_ttl=1h"]).await;
        let token = door.login_token().await;

        door.set_role(&["token_ttl=30m"]).await;
        let renewed = door.renew(&token).await.json();
        assert_eq!(renewed["auth"]["lease_duration"], 1800, "{renewed}");
        // What the server had noted of the token is still there.
        let held = door.look_up(&token).await;
        assert_eq!(
            (&held["meta"], &held["policies"]),
            (&json!({"role": "guest"}), &json!(["default", "reader"]))
        );
        door.renew(&token).await.success();

        door.set_role(&["token_policies=reader,writer"]).await;
        let refused = door.renew(&token).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        let why = "the policies of the role have changed: log in again";
        assert!(refused.stderr.contains(why), "{}", refused.stderr);
        door.server.cli(["token", "revoke", &token]).await.success();
    }
}

#[tokio::test]
async fn a_batch_token_and_one_for_a_network_are_what_the_server_makes_of_the_role() {
    for product in SERVERS {
        let door = AuthMethodServer::start(product).await;
        door.set_role(&["token_type=batch", "token_ttl=1m"]).await;
        assert_eq!(door.look_up(&door.login_token().await).await["type"], "batch");

        door.set_role(&["token_type=service", "token_bound_cidrs=10.0.0.0/8"]).await;
        let elsewhere = door.log_in(&door.ticket("ann").await).await;
        assert!(elsewhere.stderr.contains("permission denied"), "{elsewhere:?}");
        door.set_role(&["token_bound_cidrs=127.0.0.1"]).await;
        assert_eq!(door.look_up(&door.login_token().await).await["bound_cidrs"], json!(["127.0.0.1"]));
    }
}

#[tokio::test]
async fn a_quota_for_a_role_holds_its_logins() {
    for product in SERVERS {
        let door = AuthMethodServer::start(product).await;
        door.set_role(&["token_ttl=1m"]).await;
        let second = door.ticket("ben").await;
        let quota = json!({"path": "auth/door/", "role": "guest", "rate": 1, "interval": "1h"});
        door.server.request("POST", "sys/quotas/rate-limit/door", Some(quota)).await.success();

        door.login_token().await;
        let refused = door.log_in(&second).await;
        assert!(refused.stderr.contains("429"), "{refused:?}");
    }
}

/// A server on which our example of an auth method is enabled at `door`.
struct AuthMethodServer {
    server: VaultServer,
}

impl AuthMethodServer {
    async fn start(product: Product) -> AuthMethodServer {
        let server = VaultServer::builder().product(product).start().await;
        let description = server.directory().join("doorman.yaml");
        let text = format!(
            "plugin: {{name: doorman, type: auth, binary: {}}}\ndeployment: {{local: {{plugin_dir: {}}}}}\n",
            build::prebuilt_example("doorman").display(),
            server.plugin_directory().display(),
        );
        fs::write(&description, text).unwrap();
        let registered = Program::new(BINARY).vault(&server);
        registered.run(["register", "-f", description.to_str().unwrap(), "--yes"]).await.success();
        server.cli(["auth", "enable", "-path=door", "doorman"]).await.success();
        AuthMethodServer { server }
    }

    async fn set_role(&self, settings: &[&str]) {
        let line = ["write", "auth/door/roles/guest"].into_iter().chain(settings.iter().copied());
        self.server.cli(line).await.success();
    }

    async fn ticket(&self, name: &str) -> String {
        let name = format!("name={name}");
        self.server.cli(["write", "-field=ticket", "auth/door/tickets/guest", &name]).await.success()
    }

    /// Logs in as who has nothing but a ticket.
    async fn log_in(&self, ticket: &str) -> Output {
        let stranger = Program::new(self.server.cli_binary()).env("VAULT_ADDR", self.server.address());
        stranger.run(["write", "-format=json", "auth/door/login", &format!("ticket={ticket}")]).await
    }

    /// The token of a login with a new ticket.
    async fn login_token(&self) -> String {
        token(self.log_in(&self.ticket("ann").await).await)
    }

    /// As an operator does, so that it is no use of the token.
    async fn look_up(&self, token: &str) -> Value {
        let token = json!({"token": token});
        let found = self.server.request("POST", "auth/token/lookup", Some(token)).await.success();
        found["data"].clone()
    }

    async fn renew(&self, token: &str) -> Output {
        self.server.cli(["token", "renew", "-format=json", token]).await
    }
}

fn token(login: Output) -> String {
    login.json()["auth"]["client_token"].as_str().unwrap().to_owned()
}
