//! The permissions that an operator needs in a cluster.
//!
//! The manifests print this table, and the error of a forbidden request names the row that would allow it.

use serde::Serialize;

/// A permission of an account in the namespace of the servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RbacRule {
    /// API group; empty for the core.
    pub group: &'static str,
    /// Resource, with its subresource.
    pub resource: &'static str,
    /// Verbs.
    pub verbs: &'static [&'static str],
    /// The objects.
    pub on: RuleScope,
    /// Purpose.
    pub reason: &'static str,
}

/// The objects that a permission applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleScope {
    /// All objects of the namespace, because they are searched or created.
    All,
    /// The StatefulSet of the servers.
    StatefulSet,
}

/// The permissions that `register`, `upgrade`, `rollback`, `gc`, `status` and `doctor` require in a cluster, and no others.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_wildcard_and_nothing_reads_secrets_of_the_cluster() {
        for rule in RBAC_RULES {
            assert!(!rule.resource.contains('*') && !rule.verbs.contains(&"*"), "{rule:?}");
            assert!(rule.resource != "secrets" && !rule.resource.starts_with("configmaps"), "{rule:?}");
        }
    }
}
