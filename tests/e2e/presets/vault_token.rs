//! Tokens of another Vault or OpenBao.

use harness::{Credential, Product, Program, Storage, VaultServer};
use serde_json::{Value, json};

use super::{Service, Setup, refused_with};

/// The policy of the token of the connection: issue tokens with any policy, and revoke tokens.
const ADMIN_POLICY: &str = r#"
path "auth/token/create-orphan" { capabilities = ["update", "sudo"] }
path "auth/token/revoke-accessor" { capabilities = ["update"] }
"#;

/// A Vault or OpenBao whose tokens are issued.
pub(super) struct TokenStore {
    pub(super) vault: VaultServer,
    /// The accessors of the tokens that the plugin has not issued.
    others: Vec<String>,
    /// The accessor of the token of the connection.
    admin_accessor: String,
}

impl TokenStore {
    async fn start(product: Product) -> TokenStore {
        // The OpenBao of this test has no in-memory storage.
        let storage = if product == Product::Vault { Storage::Memory } else { Storage::Raft };
        let vault = VaultServer::builder().product(product).storage(storage).start().await;
        for (policy, rules) in
            [("issuer", ADMIN_POLICY), ("reader", r#"path "cubbyhole/*" { capabilities = ["read"] }"#)]
        {
            let body = json!({"policy": rules});
            vault.request("PUT", &format!("sys/policies/acl/{policy}"), Some(body)).await.success();
        }
        TokenStore { vault, others: Vec::new(), admin_accessor: String::new() }
    }

    /// Creates a token for the connection.
    async fn admin_token(&mut self) -> Value {
        let request = json!({"policies": ["issuer"], "ttl": "1h"});
        let created = self.vault.request("POST", "auth/token/create-orphan", Some(request)).await.success();
        self.others = self.accessors().await;
        created["auth"].clone()
    }

    async fn is_live(&self, token: &Value) -> bool {
        let looked_up = self.vault.request("POST", "auth/token/lookup", Some(json!({"token": token}))).await;
        assert!([200, 403].contains(&looked_up.status), "{looked_up:?}");
        looked_up.status == 200
    }

    async fn accessors(&self) -> Vec<String> {
        let mut listed = self.vault.request("LIST", "auth/token/accessors", None).await.success();
        serde_json::from_value(listed["data"]["keys"].take()).unwrap()
    }
}

impl Service for TokenStore {
    async fn accepts(&self, credential: &Credential) -> bool {
        let program = Program::new(self.vault.cli_binary()).vault(&self.vault);
        let program = program.env("VAULT_TOKEN", &credential.secret);
        let looked_up = program.run(["token", "lookup", "-format=json"]).await;
        match looked_up.code {
            Some(0) => {
                assert_eq!(looked_up.json()["data"]["policies"], json!(["default", "reader"]));
                true
            }
            _ => {
                assert!(looked_up.stderr.contains("permission denied"), "{looked_up:?}");
                false
            }
        }
    }

    async fn issued(&self) -> Vec<String> {
        self.accessors().await.into_iter().filter(|accessor| !self.others.contains(accessor)).collect()
    }

    async fn revoke_directly(&self, id: &str) {
        let request = json!({"accessor": id});
        self.vault.request("POST", "auth/token/revoke-accessor", Some(request)).await.success();
    }
}

/// Starts a product, called `name` in the preset, whose tokens are issued.
pub(super) async fn setup(product: Product, name: &str) -> (TokenStore, Setup) {
    let mut store = TokenStore::start(product).await;
    let admin = store.admin_token().await;
    let health = store.vault.request("GET", "sys/health", None).await.success();
    let setup = Setup {
        preset: "vault-token",
        proven: format!("{name} {}", health["version"].as_str().unwrap()),
        config: json!({
            "api_endpoint": store.vault.address(), "api_key": admin["client_token"], "accept_orphans": true,
        }),
        role: json!({"permissions": ["reader"]}),
        name: "",
    };
    store.admin_accessor = admin["accessor"].as_str().unwrap().to_owned();
    (store, setup)
}

#[tokio::test]
async fn tokens_of_another_vault_are_issued_renewed_and_revoked_and_outlive_the_key_that_issued_them() {
    let (mut store, setup) = setup(Product::Vault, "Vault").await;
    let mount = setup.prove(&store, Some(&refused_with(403))).await;
    let first_admin = store.admin_accessor.clone();
    let leased = mount.issue().await;
    let second_admin = store.admin_token().await;
    mount.write("config", &json!({"api_key": second_admin["client_token"]})).await.success();
    store.revoke_directly(&first_admin).await;
    assert!(store.accepts(&leased.credential("")).await);
    mount.revoke(&leased).await.success();
    assert!(!store.accepts(&leased.credential("")).await);

    let old_key = async || store.is_live(&second_admin["client_token"]).await;
    mount.prove_rotation(&store, "", "rotate-root", old_key).await;
    assert_eq!(store.accessors().await.len(), 2, "the root token and the last key");
}

#[tokio::test]
async fn tokens_of_an_openbao_are_issued_renewed_and_revoked_by_vault_and_the_key_is_rotated() {
    let (store, setup) = setup(Product::OpenBao, "OpenBao").await;
    let mount = setup.prove(&store, Some(&refused_with(403))).await;
    let key = setup.config["api_key"].clone();
    let old_key = async || store.is_live(&key).await;
    mount.prove_rotation(&store, "", "rotate-root", old_key).await;
    assert_eq!(store.accessors().await.len(), 2, "the root token and the last key");
}
