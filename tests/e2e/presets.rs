//! The presets with real services: a real Vault runs the plugin, and the tests verify the effects at the service.

mod devpi;
mod gitea;
mod hydra;
mod interrupted;
mod jupyterhub;
mod keycloak;
mod keystone;
mod register;
mod vault_token;
mod verdaccio;

use std::path::Path;

use harness::{ApiResponse, Credential, TokenServer, VaultServer, copy_program};
use rollout::Binary;
use serde_json::{Value, json};

use crate::lab::{BINARY, NAME};

const MOUNT: &str = "custom";

/// A key that no service accepts.
const WRONG_KEY: &str = "not-the-key";

/// A Vault with the plugin on one mount.
struct PluginMount {
    vault: VaultServer,
}

/// A leased credential.
struct Leased {
    lease_id: String,
    /// The duration of the lease in seconds.
    duration: i64,
    data: Value,
}

/// The configuration of a connection and a role.
struct Setup {
    preset: &'static str,
    /// The service and its version, as in the preset.
    proven: String,
    /// The fields of `config` except the preset.
    config: Value,
    /// The fields of the role except its TTLs.
    role: Value,
    /// The output that a client sends in addition to the token. Empty without one.
    name: &'static str,
}

/// Direct access to a service, without the plugin.
trait Service {
    async fn accepts(&self, credential: &Credential) -> bool;
    /// Returns the ids of the credentials that were issued and not revoked.
    async fn issued(&self) -> Vec<String>;
    async fn revoke_directly(&self, id: &str);
}

impl Service for TokenServer {
    async fn accepts(&self, credential: &Credential) -> bool {
        self.token_works(credential).await
    }

    async fn issued(&self) -> Vec<String> {
        self.list().await.into_iter().map(|listed| listed.id).collect()
    }

    async fn revoke_directly(&self, id: &str) {
        self.revoke(id).await.success();
    }
}

impl PluginMount {
    async fn start() -> PluginMount {
        let vault = VaultServer::builder().raw_storage().start().await;
        copy_program(BINARY, vault.plugin_directory().join(NAME));
        let sha256 = Binary::read(Path::new(BINARY), &mut |_, _| ()).unwrap().sha256;
        let mount = PluginMount { vault };
        let entry = json!({"sha256": sha256, "command": NAME});
        mount.system("POST", &format!("plugins/catalog/secret/{NAME}"), entry).await.success();
        mount.system("POST", &format!("mounts/{MOUNT}"), json!({"type": NAME})).await.success();
        mount
    }

    async fn system(&self, method: &str, path: &str, body: Value) -> ApiResponse {
        self.vault.request(method, &format!("sys/{path}"), Some(body)).await
    }

    async fn write(&self, path: &str, body: &Value) -> ApiResponse {
        self.vault.request("POST", &format!("{MOUNT}/{path}"), Some(body.clone())).await
    }

    async fn read(&self, path: &str) -> ApiResponse {
        self.vault.request("GET", &format!("{MOUNT}/{path}"), None).await
    }

    async fn delete(&self, path: &str) -> ApiResponse {
        self.vault.request("DELETE", &format!("{MOUNT}/{path}"), None).await
    }

    /// Returns the current credential of the static role `app`.
    async fn static_credential(&self, name: &str) -> Credential {
        let read = self.read("static-creds/app").await.success();
        assert_eq!((&read["lease_id"], &read["data"]["rotation_period"]), (&json!(""), &json!(3600)));
        credential(&read["data"], name)
    }

    async fn issue(&self) -> Leased {
        let mut issued = self.read("creds/app").await.success();
        Leased {
            lease_id: issued["lease_id"].as_str().unwrap().to_owned(),
            duration: issued["lease_duration"].as_i64().unwrap(),
            data: issued["data"].take(),
        }
    }

    /// Renews a lease, and returns its new duration.
    async fn renew(&self, leased: &Leased) -> i64 {
        let request = json!({"lease_id": leased.lease_id, "increment": leased.duration});
        let renewed = self.system("PUT", "leases/renew", request).await.success();
        renewed["lease_duration"].as_i64().unwrap()
    }

    async fn revoke(&self, leased: &Leased) -> ApiResponse {
        self.system("PUT", "leases/revoke", json!({"lease_id": leased.lease_id, "sync": true})).await
    }

    /// Rotates the key of a connection that the role uses. Verifies that the service no longer accepts the old key (`key_works` calls it with
    /// that key), that credentials are issued with the new one, and that a lease of a time before the rotation is revoked.
    async fn prove_rotation(
        &self,
        service: &impl Service,
        name: &str,
        path: &str,
        key_works: impl AsyncFn() -> bool,
    ) {
        let before = self.issue().await;
        assert!(key_works().await, "{}", self.vault.logs());
        self.write(path, &json!({})).await.success();
        assert!(!key_works().await, "the old key is revoked");

        let after = self.issue().await;
        for leased in [&before, &after] {
            assert!(service.accepts(&leased.credential(name)).await, "{}", self.vault.logs());
            self.revoke(leased).await.success();
            assert!(!service.accepts(&leased.credential(name)).await);
        }
        assert!(self.leases().await.is_empty());
        // The key can be rotated with the one that a rotation has created.
        self.write(path, &json!({})).await.success();
        let config = self.read(&path.replace("rotate-root", "config")).await.success();
        assert!(config["data"]["last_rotation"].is_string(), "{config}");
        let last = self.issue().await;
        self.revoke(&last).await.success();
        assert!(!service.accepts(&last.credential(name)).await);
    }

    async fn leases(&self) -> Vec<String> {
        let listed = self.vault.request("LIST", &format!("sys/leases/lookup/{MOUNT}/creds/app"), None).await;
        if listed.status == 404 {
            return Vec::new();
        }
        serde_json::from_value(listed.success()["data"]["keys"].take()).unwrap()
    }

    /// Asserts that the service rejects requests of the connection and the role because of the key, and that the errors do not contain the key.
    async fn assert_key_refused(&self, reason: &str) {
        for path in ["check", "creds/app"] {
            let error = error_of(self.read(path).await);
            assert!(error.contains(reason) && error.contains("set a valid api_key"), "{path}: {error}");
            assert!(!error.contains(WRONG_KEY), "{path}: {error}");
        }
    }
}

impl Leased {
    fn credential(&self, name: &str) -> Credential {
        credential(&self.data, name)
    }
}

/// Returns the credential of a response. `name` is the output that a client sends in addition to the token.
fn credential(data: &Value, name: &str) -> Credential {
    Credential {
        name: data[name].as_str().unwrap_or_default().to_owned(),
        secret: data["token"].as_str().unwrap().to_owned(),
    }
}

impl Setup {
    fn config(&self, api_key: Option<&str>) -> Value {
        let mut config = self.config.clone();
        config["preset"] = json!(self.preset);
        if let Some(api_key) = api_key {
            config["api_key"] = json!(api_key);
        }
        config
    }

    /// Writes the connection and the role to a new Vault. Tests a wrong key first, if `refusal` contains the expected reason.
    async fn mount(&self, service: &impl Service, refusal: Option<&str>) -> PluginMount {
        let mount = PluginMount::start().await;
        let shown = mount.read(&format!("presets/{}", self.preset)).await.success();
        let evidence = shown["data"]["evidence"].as_str().unwrap();
        assert!(evidence.contains(&self.proven), "{evidence}");

        let mut role = self.role.clone();
        role["ttl"] = json!("30m");
        role["max_ttl"] = json!("2h");
        if let Some(reason) = refusal {
            mount.write("config", &self.config(Some(WRONG_KEY))).await.success();
            mount.write("roles/app", &role).await.success();
            mount.assert_key_refused(reason).await;
            assert!(service.issued().await.is_empty());
        }
        mount.write("config", &self.config(None)).await.success();
        mount.write("roles/app", &role).await.success();
        assert_eq!(mount.read("check").await.success()["data"]["checked"], true);
        mount
    }

    /// Verifies at the service that a credential works from its issue, over a renewal, to its revocation. Then verifies that a lease can be
    /// revoked whose credential was already revoked directly.
    async fn prove(&self, service: &impl Service, refusal: Option<&str>) -> PluginMount {
        let mount = self.mount(service, refusal).await;
        let (first, second) = (mount.issue().await, mount.issue().await);
        assert_eq!(first.duration, 1800);
        assert_eq!(service.issued().await.len(), 2);
        let (one, other) = (first.credential(self.name), second.credential(self.name));
        assert!(service.accepts(&one).await && service.accepts(&other).await, "{}", mount.vault.logs());

        assert_eq!(mount.renew(&first).await, 1800);
        assert!(service.accepts(&one).await);
        mount.revoke(&first).await.success();
        assert!(!service.accepts(&one).await);
        assert!(service.accepts(&other).await, "only the first was revoked");

        let [left] = &service.issued().await[..] else { panic!("expected exactly one credential") };
        service.revoke_directly(left).await;
        assert!(!service.accepts(&other).await);
        mount.revoke(&second).await.success();
        assert!(service.issued().await.is_empty() && mount.leases().await.is_empty());
        self.prove_static_role(service, &mount).await;
        mount
    }

    /// Verifies at the service that the token of a static role works until the rotation after the next one, and that no token is left after
    /// the role is deleted.
    async fn prove_static_role(&self, service: &impl Service, mount: &PluginMount) {
        let mut role = self.role.clone();
        role["rotation_period"] = json!("1h");
        mount.write("static-roles/app", &role).await.success();
        let first = mount.static_credential(self.name).await;
        assert!(service.accepts(&first).await, "{}", mount.vault.logs());

        mount.write("rotate-role/app", &json!({})).await.success();
        let second = mount.static_credential(self.name).await;
        assert!(service.accepts(&second).await, "{}", mount.vault.logs());
        assert!(service.accepts(&first).await, "the previous one works until the next rotation");
        assert_eq!(service.issued().await.len(), 2);

        mount.write("rotate-role/app", &json!({})).await.success();
        let third = mount.static_credential(self.name).await;
        assert!(service.accepts(&third).await && service.accepts(&second).await, "{}", mount.vault.logs());
        assert!(!service.accepts(&first).await, "the one before the previous is revoked");

        mount.delete("static-roles/app").await.success();
        assert!(!service.accepts(&third).await && !service.accepts(&second).await);
        assert!(service.issued().await.is_empty() && mount.leases().await.is_empty());
    }
}

/// Returns the error of a connection whose key is rejected with this status.
fn refused_with(status: u16) -> String {
    format!("the key is refused (status {status} ")
}

/// Returns the errors of an unsuccessful response.
#[track_caller]
fn error_of(response: ApiResponse) -> String {
    assert!(response.status >= 400, "{response:?}");
    response.body["errors"].to_string()
}

/// Returns the version that a file of `tests/servers` pins, as `NAME==VERSION`.
#[track_caller]
fn pinned_version(requirements: &str, name: &str) -> String {
    let pinned = requirements.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("=="));
    pinned.unwrap().trim_end_matches([' ', '\\']).to_owned()
}
