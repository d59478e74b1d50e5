//! The policy that an operator needs on the server. Manifests print it, and errors quote the rule of a request that was denied.
//!
//! The crate `deployment` has the same table for the RBAC of a cluster.

use serde::Serialize;
use vault_api::catalog::PluginType;

use crate::consumer::{AUTH_PREFIX, CANARY_MOUNT_PREFIX, Consumer, RELOAD_PATH};
use crate::goal::CANARY_NAME_SUFFIX;

/// A rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyRule {
    /// The path, which can contain wildcards.
    pub path: String,
    /// The capabilities.
    pub capabilities: &'static [&'static str],
    /// The purpose of the rule.
    pub reason: &'static str,
}

/// Returns the rules that `register`, `upgrade`, `rollback`, `gc`, `status` and `doctor` need for one plugin on its mounts. No other
/// capability is needed.
pub fn policy_rules(kind: PluginType, name: &str, mounts: &[Consumer]) -> Vec<PolicyRule> {
    let rule = |path: &str, capabilities, reason| PolicyRule { path: path.to_owned(), capabilities, reason };
    let mut rules = vec![
        rule("sys/config/state/sanitized", &["read"], "find the plugin directory of the servers"),
        rule("sys/capabilities-self", &["update"], "check the capabilities below before anything changes"),
        rule("sys/mounts", &["read"], "read the mounts and their running versions"),
        rule("sys/auth", &["read"], "the same for auth mounts"),
        rule("sys/plugins/catalog", &["read"], "list the registered versions"),
        rule(
            &format!("sys/plugins/catalog/{kind}/{name}"),
            &["create", "read", "update", "delete", "sudo"],
            "register and deregister versions; the server requires sudo for its catalog",
        ),
        rule(
            "sys/plugins/catalog/+/+",
            &["read", "sudo"],
            "find files that other plugins use, before a file is removed or an image is replaced",
        ),
        rule(
            "sys/namespaces",
            &["list"],
            "list the namespaces that share the catalog: their mounts are moved too, and need the versions that they run",
        ),
        rule(
            "+/sys/namespaces",
            &["list"],
            "list their child namespaces; a deeper level needs a rule with one more `+/`",
        ),
        rule("+/sys/mounts", &["read"], "read the mounts of these namespaces"),
        rule("+/sys/auth", &["read"], "read their auth mounts"),
        rule("+/+/sys/namespaces", &["list"], "the same, one level deeper"),
        rule("+/+/sys/mounts", &["read"], "the same, one level deeper"),
        rule("+/+/sys/auth", &["read"], "the same, one level deeper"),
        rule(
            "sys/ha-status",
            &["read"],
            "find the other nodes that need the binary, if the server is not on Kubernetes",
        ),
        rule(
            "sys/storage/raft/configuration",
            &["read"],
            "find nodes that are down and need the binary too, and their votes if autopilot does not report them",
        ),
        rule("sys/plugins/pins", &["read", "list"], "read the pinned versions"),
        rule(
            &format!("sys/plugins/pins/{kind}/{name}"),
            &["create", "read", "update", "delete", "sudo"],
            "move an existing pin",
        ),
        rule(RELOAD_PATH, &["create", "update", "sudo"], "start the new version"),
        rule(
            &format!("sys/plugins/catalog/{kind}/{name}{CANARY_NAME_SUFFIX}"),
            &["create", "read", "update", "delete", "sudo"],
            "register the canary plugin while a pin holds the other mounts",
        ),
        rule("sys/step-down", &["create", "update", "sudo"], "test a failover on request"),
        rule(
            "sys/storage/raft/autopilot/state",
            &["read"],
            "check that every node has a vote, before the next restart or step-down",
        ),
        rule("sys/leases/count", &["read"], "check for irrevocable leases"),
        rule(
            "sys/leases/lookup",
            &["create", "update"],
            "verify that the smoke test's credential has a lease",
        ),
        rule("sys/leases/renew", &["create", "update"], "verify that the lease can be renewed"),
        rule("sys/leases/revoke", &["create", "update"], "revoke the smoke test's credential"),
    ];
    if kind != PluginType::Database {
        rules.extend(canary_rules(kind, name));
    }
    if kind == PluginType::Auth {
        rules.push(rule(
            "identity/entity/id/+",
            &["read", "delete"],
            "remove the entity of the login at the canary mount; an entity with another name is left alone",
        ));
    }
    for consumer in mounts {
        let consumer = consumer.clone().of_kind(kind);
        for rule in consumer_rules(&consumer).into_iter().chain(namespace_rules(&consumer)) {
            // Mounts of one namespace share rules.
            if rules.iter().all(|known| known.path != rule.path) {
                rules.push(rule);
            }
        }
    }
    rules
}

/// The rules for the canary mount. A connection needs none: the server verifies a new version before it closes the previous connection.
fn canary_rules(kind: PluginType, name: &str) -> [PolicyRule; 2] {
    let (enable, below) = match kind {
        PluginType::Auth => (format!("sys/auth/{CANARY_MOUNT_PREFIX}{name}-*"), AUTH_PREFIX),
        PluginType::Secret | PluginType::Database => {
            (format!("sys/mounts/{CANARY_MOUNT_PREFIX}{name}-*"), "")
        }
    };
    let capabilities: &[&str] = match kind {
        PluginType::Auth => &["create", "read", "update", "delete", "sudo"],
        PluginType::Secret | PluginType::Database => &["create", "read", "update", "delete"],
    };
    [
        PolicyRule { path: enable, capabilities, reason: "create and remove the canary mount" },
        PolicyRule {
            path: format!("{below}{CANARY_MOUNT_PREFIX}{name}-*"),
            capabilities: &["create", "read", "update", "list"],
            reason: "smoke-test it",
        },
    ]
}

/// The rules for a consumer that the goal names.
fn consumer_rules(consumer: &Consumer) -> Vec<PolicyRule> {
    let rule = |path: String, capabilities, reason| PolicyRule { path, capabilities, reason };
    let path = consumer.as_str().trim_end_matches('/');
    match consumer.kind() {
        PluginType::Secret => vec![
            rule(
                consumer.mount_api_path(),
                &["create", "read", "update"],
                "mount the plugin; unmounting is not needed and not permitted",
            ),
            rule(consumer.tune_api_path(), &["create", "read", "update"], "move the mount"),
            rule(
                format!("{path}/*"),
                &["create", "read", "update", "list"],
                "configure the engine and read the smoke test's credential",
            ),
        ],
        PluginType::Auth => vec![
            rule(
                consumer.mount_api_path(),
                &["create", "read", "update", "sudo"],
                "mount the plugin; unmounting is not needed and not permitted",
            ),
            rule(
                consumer.tune_api_path().trim_end_matches("/tune").to_owned(),
                &["read"],
                "read what the mount runs",
            ),
            rule(consumer.tune_api_path(), &["create", "read", "update"], "move the mount"),
            rule(format!("{path}/*"), &["create", "read", "update", "list"], "configure the auth method"),
        ],
        PluginType::Database => vec![
            rule(consumer.join("config"), &["list"], "list the connections"),
            rule(path.to_owned(), &["create", "read", "update"], "move the connection"),
            rule(consumer.reset_path(), &["create", "update"], "open the connection again under a pin"),
            rule(consumer.join("creds/*"), &["read"], "read the smoke test's credential"),
        ],
    }
}

/// The rules for the namespace of a consumer, if it is not that of the client: the server does not apply those of the parent there.
fn namespace_rules(consumer: &Consumer) -> Vec<PolicyRule> {
    let namespace = consumer.namespace();
    if namespace.is_empty() {
        return Vec::new();
    }
    let rule = |path: &str, capabilities, reason| PolicyRule {
        path: format!("{namespace}{path}"),
        capabilities,
        reason,
    };
    vec![
        rule(RELOAD_PATH, &["create", "update", "sudo"], "start the new version in this namespace"),
        rule("sys/leases/lookup", &["create", "update"], "the same as above, in this namespace"),
        rule("sys/leases/renew", &["create", "update"], "the same as above, in this namespace"),
        rule("sys/leases/revoke", &["create", "update"], "the same as above, in this namespace"),
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_path_has_one_rule() {
        let mounts = ["custom".parse().expect("a path"), "team/custom".parse().expect("a path")];
        let rules = policy_rules(PluginType::Secret, "custom-plugin", &mounts);
        let paths: BTreeSet<&str> = rules.iter().map(|rule| rule.path.as_str()).collect();
        assert_eq!(paths.len(), rules.len());
        assert!(paths.contains("sys/mounts/team/custom/tune"));
        let in_child =
            ["custom", "other"].map(|mount| mount.parse::<Consumer>().expect("a path").in_namespace("team"));
        let in_child = policy_rules(PluginType::Secret, "custom-plugin", &in_child);
        let paths: BTreeSet<&str> = in_child.iter().map(|rule| rule.path.as_str()).collect();
        assert_eq!(paths.len(), in_child.len());
        for path in ["team/sys/mounts/custom/tune", "team/custom/*", "team/sys/plugins/reload/backend"] {
            assert!(paths.contains(path), "{path}");
        }
        let auth = policy_rules(PluginType::Auth, "jwt", &["jwt".parse().expect("a path")]);
        let needs_sudo =
            |path: &str| auth.iter().any(|rule| rule.path == path && rule.capabilities.contains(&"sudo"));
        assert!(needs_sudo("sys/auth/jwt") && !needs_sudo("sys/mounts/auth/jwt/tune"));
    }
}
