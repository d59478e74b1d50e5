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
        reason: "find the servers, and see what state they are in",
    },
    RbacRule {
        group: "",
        resource: "pods/eviction",
        verbs: &["create"],
        on: RuleScope::All,
        reason: "restart a standby that goes on with the old version, as OpenBao's do, as far as disruption budgets allow it",
    },
    RbacRule {
        group: "",
        resource: "pods",
        verbs: &["delete"],
        on: RuleScope::All,
        reason: "restart one in a rollback that is not ready anyway, where a disruption budget forbids it",
    },
    RbacRule {
        group: "",
        resource: "pods/log",
        verbs: &["get"],
        on: RuleScope::All,
        reason: "find in the servers' logs what is known of failures (`doctor --logs`)",
    },
    // A websocket starts with a GET, which servers before 1.35 take for the verb; later ones ask for `create` as well.
    RbacRule {
        group: "",
        resource: "pods/exec",
        verbs: &["create", "get"],
        on: RuleScope::All,
        reason: "look into the plugin directory, and put binaries there",
    },
    RbacRule {
        group: "",
        resource: "pods/portforward",
        verbs: &["create", "get"],
        on: RuleScope::All,
        reason: "reach one server after the other, without a service",
    },
    RbacRule {
        group: "",
        resource: "pods/ephemeralcontainers",
        verbs: &["patch"],
        on: RuleScope::All,
        reason: "reach the plugin directory of a pod whose image has no shell, and see whether an image can be pulled",
    },
    RbacRule {
        group: "apps",
        resource: "statefulsets",
        verbs: &["get", "list"],
        on: RuleScope::All,
        reason: "see what brings the plugins back after a restart",
    },
    RbacRule {
        group: "apps",
        resource: "statefulsets",
        verbs: &["patch"],
        on: RuleScope::StatefulSet,
        reason: "name the image with the new version, for the next restart",
    },
    RbacRule {
        group: "coordination.k8s.io",
        resource: "leases",
        verbs: &["create", "get", "update"],
        on: RuleScope::All,
        reason: "hold off a second operator",
    },
];

/// What `register`, `upgrade`, `rollback`, `gc`, `status` and `doctor` ask of a server about one plugin on its mounts, and nothing
/// else.
pub fn policy_rules(kind: PluginType, name: &str, mounts: &[MountPath]) -> Vec<PolicyRule> {
    let right = |path: &str, capabilities, reason| PolicyRule { path: path.to_owned(), capabilities, reason };
    let mut rights = vec![
        right("sys/config/state/sanitized", &["read"], "where the servers look for plugins"),
        right(
            "sys/capabilities-self",
            &["update"],
            "whether the rest of this is there, before anything changes",
        ),
        right("sys/mounts", &["read"], "what is mounted, and what runs"),
        right("sys/plugins/catalog", &["read"], "what is registered"),
        right(
            &format!("sys/plugins/catalog/{kind}/{name}"),
            &["create", "read", "update", "delete", "sudo"],
            "register and deregister versions; the server protects its catalog with sudo",
        ),
        right(
            "sys/plugins/catalog/+/+",
            &["read", "sudo"],
            "which files other plugins have, before one is removed or an image takes the place of another",
        ),
        right("sys/namespaces", &["list"], "which namespaces share the catalog, before a version is removed"),
        right(
            "+/sys/namespaces",
            &["list"],
            "which are in those; a deeper level needs a rule with one more `+/`",
        ),
        right("+/sys/mounts", &["read"], "what is mounted in them"),
        right("+/+/sys/namespaces", &["list"], "the same, a level below"),
        right("+/+/sys/mounts", &["read"], "the same, a level below"),
        right(
            "sys/ha-status",
            &["read"],
            "which other nodes need the binary, where the server is not in Kubernetes",
        ),
        right(
            "sys/storage/raft/configuration",
            &["read"],
            "which nodes are down and need it too, and whether each has a vote where autopilot says nothing",
        ),
        right("sys/plugins/pins", &["read", "list"], "which versions are pinned"),
        right(
            &format!("sys/plugins/pins/{kind}/{name}"),
            &["create", "read", "update", "delete", "sudo"],
            "move a pin that is there",
        ),
        right("sys/plugins/reload/backend", &["create", "update", "sudo"], "start the new version"),
        right(
            &format!("sys/plugins/catalog/{kind}/{name}{CANARY_NAME_SUFFIX}"),
            &["create", "read", "update", "delete", "sudo"],
            "try a new version on a mount of its own, while a pin keeps the others where they are",
        ),
        right(
            &format!("sys/mounts/{CANARY_MOUNT_PREFIX}{name}-*"),
            &["create", "read", "update", "delete"],
            "make that mount, and remove it",
        ),
        right(&format!("{CANARY_MOUNT_PREFIX}{name}-*"), &["create", "read", "update", "list"], "try it"),
        right("sys/step-down", &["create", "update", "sudo"], "rehearse a failover, when asked to"),
        right(
            "sys/storage/raft/autopilot/state",
            &["read"],
            "whether every node has a vote, before the next one is restarted or another made active",
        ),
        right("sys/leases/count", &["read"], "whether the server has given up on leases"),
        right("sys/leases/lookup", &["create", "update"], "prove that a trial credential is leased"),
        right("sys/leases/renew", &["create", "update"], "prove that it can be renewed"),
        right("sys/leases/revoke", &["create", "update"], "take the trial credential back"),
    ];
    for mount in mounts {
        let path = mount.as_str().trim_end_matches('/');
        rights.push(right(
            &format!("sys/mounts/{path}"),
            &["create", "read", "update"],
            "mount the plugin; unmounting is not needed and not allowed",
        ));
        rights.push(right(
            &format!("sys/mounts/{path}/tune"),
            &["create", "read", "update"],
            "move the mount",
        ));
        rights.push(right(
            &format!("{path}/*"),
            &["create", "read", "update", "list"],
            "configure the engine, and read a trial credential",
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
