//! What whoever rolls plugins out must be allowed: in the cluster by RBAC, and on the server by a policy.
//!
//! One table each, as data. The manifests print them, and a refused request is answered with the row that would have
//! allowed it.

use serde::Serialize;
use vault_api::catalog::PluginType;

use crate::goal::CANARY_NAME_SUFFIX;
use crate::mount_path::{CANARY_MOUNT_PREFIX, MountPath};

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
    fn a_path_is_named_once() {
        let mounts = ["custom".parse().expect("a path"), "team/custom".parse().expect("a path")];
        let rights = policy_rules(PluginType::Secret, "custom-plugin", &mounts);
        let paths: BTreeSet<&str> = rights.iter().map(|right| right.path.as_str()).collect();
        assert_eq!(paths.len(), rights.len());
        assert!(paths.contains("sys/mounts/team/custom/tune"));
    }
}
