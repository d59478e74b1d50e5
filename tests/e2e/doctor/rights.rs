//! With which rights doctor sees everything, and that what it cannot see is said.

use std::fmt::Write as _;

use harness::{Doctor, Program};
use rollout::{ServerRight, server_rights};
use serde_json::{Value, json};

use super::{Server, on_shared_server};
use crate::lab::{BINARY, NAME};

impl Server {
    async fn allow(&self, rights: &[ServerRight]) {
        let mut policy = String::new();
        for ServerRight { path, capabilities, .. } in rights {
            let _ = writeln!(policy, "path {path:?} {{ capabilities = {capabilities:?} }}");
        }
        self.lab
            .vault
            .api("PUT", "sys/policies/acl/operator", Some(json!({"policy": policy})))
            .await
            .success();
    }

    /// A doctor with the rights of the policy.
    async fn operator(&self) -> Doctor {
        let body = json!({"policies": ["operator"]});
        let created = self.lab.vault.api("POST", "auth/token/create", Some(body)).await.success();
        let token = created["auth"]["client_token"].as_str().unwrap().to_owned();
        Doctor::new(BINARY, &[], &[], |program: Program| {
            program.vault(&self.lab.vault).env("VAULT_TOKEN", &*token)
        })
    }
}

/// Everything that doctor reads.
fn all_rights() -> Vec<ServerRight> {
    server_rights(vault_api::catalog::PluginType::Secret, NAME, &["custom".parse().unwrap()])
}

#[test]
fn what_a_token_may_not_read_is_reported_as_not_seen() {
    on_shared_server(async |server| {
        let whole = all_rights();
        server.allow(&whole).await;
        let operator = server.operator().await;
        operator.is_healthy().await;
        for (path, what) in [
            ("sys/config/state/sanitized", "the server's plugin directory"),
            ("sys/plugins/catalog", "sys/plugins/catalog"),
            ("sys/plugins/pins", "sys/plugins/pins"),
            ("sys/mounts", "sys/mounts"),
            ("sys/leases/count", "leases that could not be revoked"),
        ] {
            let without: Vec<ServerRight> =
                whole.iter().filter(|right| right.path != path).cloned().collect();
            server.allow(&without).await;
            let directory = server.directory().display().to_string();
            let output = operator.run(&["--plugin-dir", &directory]).await;
            let document: Value = serde_json::from_str(&output.stdout).unwrap();
            assert_eq!(document["healthy"], false, "without {path}: {document:#}");
            assert_eq!(document["findings"], json!([]), "without {path}");
            let not_seen = document["not_seen"].as_array().unwrap();
            assert!(not_seen.iter().any(|item| item["what"] == what), "without {path}: {document:#}");
        }
    });
}

#[test]
fn vtp_901_a_token_may_not_change_the_catalog() {
    on_shared_server(async |server| {
        let entry = format!("sys/plugins/catalog/secret/{NAME}");
        let mut without_sudo = all_rights();
        for right in without_sudo.iter_mut().filter(|right| right.path == entry) {
            right.capabilities = &["create", "read", "update", "delete"];
        }
        server.allow(&without_sudo).await;
        let operator = server.operator().await;
        let findings = operator.finds(&["VTP-901"], &[]).await;
        let cure = findings[0]["cure"].as_str().unwrap();
        assert!(cure.contains("create, update, delete and sudo on sys/plugins/catalog/*"), "{cure}");
        server.allow(&all_rights()).await;
        operator.is_healthy().await;
    });
}
