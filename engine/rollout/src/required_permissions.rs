//! What whoever rolls plugins out must be allowed: in the cluster by RBAC, and on the server by a policy.
//!
//! One table each, as data. The manifests print them, and a refused request is answered with the row that would have
//! allowed it.

use serde::Serialize;
use vault_api::catalog::PluginType;

use crate::goal::CANARY_NAME_SUFFIX;
use crate::mount_path::{CANARY_MOUNT_PREFIX, MountPath};

/// What an account of the cluster may do in the namespace of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RbacRule {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Resource, with its subresource.
    pub resource: &'static str,
    /// Verbs.
    pub verbs: &'static [&'static str],
    /// On which objects.
    pub on: RuleScope,
    /// What it is for.
    pub reason: &'static str,
}

/// The objects that a right extends to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleScope {
    /// All of the namespace: they are looked for, or new.
    All,
    /// Only the StatefulSet of the servers.
    StatefulSet,
}

/// What a token may do on a path of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyRule {
    /// As policies write it.
    pub path: String,
    /// As policies write them.
    pub capabilities: &'static [&'static str],
    /// What it is for.
    pub reason: &'static str,
}

/// Everything that `register`, `upgrade`, `rollback`, `gc`, `status` and `doctor` do in a cluster, and nothing else.
pub const RBAC_RULES: &[RbacRule] = &[
    RbacRule {
        group: "",
        resource: "pods",
        verbs: &["get", "list"],
        on: RuleScope::All,
        reason: "find the servers and read their state",
    },
    RbacRule {
        group: "",
        resource: "pods/eviction",
        verbs: &["create"],
        on: RuleScope::All,
        reason: "restart OpenBao standbys that keep running the old version, within the disruption budgets",
    },
    RbacRule {
        group: "",
        resource: "pods",
        verbs: &["delete"],
        on: RuleScope::All,
        reason: "restart a pod that is not ready during a rollback, if a disruption budget forbids its eviction",
    },
    RbacRule {
        group: "",
        resource: "pods/log",
        verbs: &["get"],
        on: RuleScope::All,
        reason: "search the servers' logs for known errors (`doctor --logs`)",
    },
    // A websocket starts with a GET, which servers before 1.35 take for the verb; later ones ask for `create` as well.
    RbacRule {
        group: "",
        resource: "pods/exec",
        verbs: &["create", "get"],
        on: RuleScope::All,
        reason: "inspect the plugin directory and copy binaries into it",
    },
    RbacRule {
        group: "",
        resource: "pods/portforward",
        verbs: &["create", "get"],
        on: RuleScope::All,
        reason: "connect to each server without a service",
    },
    RbacRule {
        group: "",
        resource: "pods/ephemeralcontainers",
        verbs: &["patch"],
        on: RuleScope::All,
        reason: "access the plugin directory of a pod whose image has no shell, and test that an image can be pulled",
    },
    RbacRule {
        group: "apps",
        resource: "statefulsets",
        verbs: &["get", "list"],
        on: RuleScope::All,
        reason: "find out what restores the plugins after a restart",
    },
    RbacRule {
        group: "apps",
        resource: "statefulsets",
        verbs: &["patch"],
        on: RuleScope::StatefulSet,
        reason: "set the image with the new version for the next restart",
    },
    RbacRule {
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["create", "get", "update"],
        on: RuleScope::All,
        reason: "lock out a second operator",
    },
];

/// What `register`, `upgrade`, `rollback`, `gc`, `status` and `doctor` ask of a server about one plugin on its mounts, and nothing
/// else.
pub fn policy_rules(kind: PluginType, name: &str, mounts: &[MountPath]) -> Vec<PolicyRule> {
    let right = |path: &str, capabilities, reason| PolicyRule { path: path.to_owned(), capabilities, reason };
    let mut rights = vec![
        right("sys/config/state/sanitized", &["read"], "find the plugin directory of the servers"),
        right("sys/capabilities-self", &["update"], "check the capabilities below before anything changes"),
        right("sys/mounts", &["read"], "read the mounts and their running versions"),
        right("sys/plugins/catalog", &["read"], "list the registered versions"),
        right(
            &format!("sys/plugins/catalog/{kind}/{name}"),
            &["create", "read", "update", "delete", "sudo"],
            "register and deregister versions; the server requires sudo for its catalog",
        ),
        right(
            "sys/plugins/catalog/+/+",
            &["read", "sudo"],
            "find files that other plugins use, before a file is removed or an image is replaced",
        ),
        right(
            "sys/namespaces",
            &["list"],
            "list the namespaces that share the catalog, before a version is removed",
        ),
        right(
            "+/sys/namespaces",
            &["list"],
            "list their child namespaces; a deeper level needs a rule with one more `+/`",
        ),
        right("+/sys/mounts", &["read"], "read the mounts of these namespaces"),
        right("+/+/sys/namespaces", &["list"], "the same, one level deeper"),
        right("+/+/sys/mounts", &["read"], "the same, one level deeper"),
        right(
            "sys/ha-status",
            &["read"],
            "find the other nodes that need the binary, if the server is not on Kubernetes",
        ),
        right(
            "sys/storage/raft/configuration",
            &["read"],
            "find nodes that are down and need the binary too, and their votes if autopilot does not report them",
        ),
        right("sys/plugins/pins", &["read", "list"], "read the pinned versions"),
        right(
            &format!("sys/plugins/pins/{kind}/{name}"),
            &["create", "read", "update", "delete", "sudo"],
            "move an existing pin",
        ),
        right("sys/plugins/reload/backend", &["create", "update", "sudo"], "start the new version"),
        right(
            &format!("sys/plugins/catalog/{kind}/{name}{CANARY_NAME_SUFFIX}"),
            &["create", "read", "update", "delete", "sudo"],
            "register the canary plugin while a pin holds the other mounts",
        ),
        right(
            &format!("sys/mounts/{CANARY_MOUNT_PREFIX}{name}-*"),
            &["create", "read", "update", "delete"],
            "create and remove the canary mount",
        ),
        right(&format!("{CANARY_MOUNT_PREFIX}{name}-*"), &["create", "read", "update", "list"], "try it"),
        right("sys/step-down", &["create", "update", "sudo"], "test a failover on request"),
        right(
            "sys/storage/raft/autopilot/state",
            &["read"],
            "check that every node has a vote, before the next restart or step-down",
        ),
        right("sys/leases/count", &["read"], "check for irrevocable leases"),
        right(
            "sys/leases/lookup",
            &["create", "update"],
            "verify that the smoke test's credential has a lease",
        ),
        right("sys/leases/renew", &["create", "update"], "verify that the lease can be renewed"),
        right("sys/leases/revoke", &["create", "update"], "revoke the smoke test's credential"),
    ];
    for mount in mounts {
        let path = mount.as_str().trim_end_matches('/');
        rights.push(right(
            &format!("sys/mounts/{path}"),
            &["create", "read", "update"],
            "mount the plugin; unmounting is not needed and not permitted",
        ));
        rights.push(right(
            &format!("sys/mounts/{path}/tune"),
            &["create", "read", "update"],
            "move the mount",
        ));
        rights.push(right(
            &format!("{path}/*"),
            &["create", "read", "update", "list"],
            "configure the engine and read the smoke test's credential",
        ));
    }
    rights
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn nothing_is_a_wildcard_and_nothing_reads_secrets_of_the_cluster() {
        for right in RBAC_RULES {
            assert!(!right.resource.contains('*') && !right.verbs.contains(&"*"), "{right:?}");
            assert!(right.resource != "secrets" && !right.resource.starts_with("configmaps"), "{right:?}");
        }
    }

    #[test]
    fn a_path_is_named_once() {
        let mounts = ["custom".parse().expect("a path"), "team/custom".parse().expect("a path")];
        let rights = policy_rules(PluginType::Secret, "custom-plugin", &mounts);
        let paths: BTreeSet<&str> = rights.iter().map(|right| right.path.as_str()).collect();
        assert_eq!(paths.len(), rights.len());
        assert!(paths.contains("sys/mounts/team/custom/tune"));
    }
}
