//! The permissions with which doctor sees everything, and the report of what it cannot see.

use std::fmt::Write as _;

use harness::{DoctorRunner, Program};
use rollout::{PolicyRule, policy_rules};
use serde_json::{Value, json};

use super::{DoctoredServer, on_shared_server};
use crate::lab::{BINARY, NAME};

impl DoctoredServer {
    async fn allow(&self, rights: &[PolicyRule]) {
        let mut policy = String::new();
        for PolicyRule { path, capabilities, .. } in rights {
            let _ = writeln!(policy, "path {path:?} {{ capabilities = {capabilities:?} }}");
        }
        self.lab
            .vault
            .request("PUT", "sys/policies/acl/operator", Some(json!({"policy": policy})))
            .await
            .success();
    }

    /// A doctor with the permissions of the policy.
    async fn operator(&self) -> DoctorRunner {
        let body = json!({"policies": ["operator"]});
        let created = self.lab.vault.request("POST", "auth/token/create", Some(body)).await.success();
        let token = created["auth"]["client_token"].as_str().unwrap().to_owned();
        DoctorRunner::new(BINARY, &[], &[], |program: Program| {
            program.vault(&self.lab.vault).env("VAULT_TOKEN", &*token)
        })
    }
}

/// Everything that doctor reads.
fn all_policy_paths() -> Vec<PolicyRule> {
    policy_rules(vault_api::catalog::PluginType::Secret, NAME, &["custom".parse().unwrap()])
}

#[test]
fn what_a_token_may_not_read_is_reported_as_not_seen() {
    on_shared_server(async |server| {
        let whole = all_policy_paths();
        server.allow(&whole).await;
        let operator = server.operator().await;
        operator.assert_healthy().await;
        for (path, what) in [
            ("sys/config/state/sanitized", "the server's plugin directory"),
            ("sys/plugins/catalog", "sys/plugins/catalog"),
            ("sys/plugins/pins", "sys/plugins/pins"),
            ("sys/mounts", "sys/mounts"),
            ("sys/leases/count", "irrevocable leases"),
        ] {
            let without: Vec<PolicyRule> = whole.iter().filter(|right| right.path != path).cloned().collect();
            server.allow(&without).await;
            let directory = server.directory().display().to_string();
            let output = operator.run(&["--plugin-dir", &directory]).await;
            let document: Value = serde_json::from_str(&output.stdout).unwrap();
            assert_eq!(document["healthy"], false, "without {path}: {document:#}");
            assert_eq!(document["findings"], json!([]), "without {path}");
            let unobserved = document["unobserved"].as_array().unwrap();
            assert!(unobserved.iter().any(|item| item["subject"] == what), "without {path}: {document:#}");
        }
    });
}

#[test]
fn vtp_901_a_token_may_not_change_the_catalog() {
    on_shared_server(async |server| {
        let entry = format!("sys/plugins/catalog/secret/{NAME}");
        let mut without_sudo = all_policy_paths();
        for right in without_sudo.iter_mut().filter(|right| right.path == entry) {
            right.capabilities = &["create", "read", "update", "delete"];
        }
        server.allow(&without_sudo).await;
        let operator = server.operator().await;
        let findings = operator.assert_finds(&["VTP-901"], &[]).await;
        let cure = findings[0]["remediation"].as_str().unwrap();
        assert!(cure.contains("create, update, delete and sudo on sys/plugins/catalog/*"), "{cure}");
        server.allow(&all_policy_paths()).await;
        operator.assert_healthy().await;
    });
}
