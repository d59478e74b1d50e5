//! Checks of the nodes, and of what happens to their plugin files when they restart.

use std::collections::BTreeSet;

use super::Check;
use super::finding::{Finding, FindingKind, Severity, VerifiedBy};
use crate::observed::Observed;
use crate::observed::deployment::{
    DeploymentKind, DeploymentObserved, PluginStorage, PodUpdateStrategy, Readiness,
};
use crate::observed::other_nodes::{NodeList, OtherNodes};
use crate::shell::shell_quote;

const NOT_READY: FindingKind = FindingKind {
    id: "VTP-801",
    title: "a node cannot be inspected",
    severity: Severity::Risk,
    consequence: "It is unknown whether this node could serve requests if it became active.",
    remediation: "Check the reason shown, and bring the node back.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::nodes::vtp_801_a_pod_that_does_not_start"),
};
const NODE_SEALED: FindingKind = FindingKind {
    id: "VTP-802",
    title: "the server of a node is sealed",
    severity: Severity::Risk,
    consequence: "It cannot take over when the active node fails.",
    remediation: "Run `vault operator unseal` in its pod. A server with auto-unseal unseals when its pod is recreated.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::nodes::vtp_802_the_server_of_a_pod_is_sealed"),
};
const LOST_AT_RESTART: FindingKind = FindingKind {
    id: "VTP-803",
    title: "a restart loses the plugins",
    severity: Severity::BreaksAtRestart,
    consequence: "A recreated pod has an empty plugin directory, and mounts return 404 when that pod becomes active.",
    remediation: "Fill the directory from an image with an init container (`vault-token-plugin manifests`), or put it on a persistent volume.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::plugin_storage::vtp_803_a_restart_loses_the_plugins"),
};
const IMAGE_INCOMPLETE: FindingKind = FindingKind {
    id: "VTP-804",
    title: "the image that fills the plugin directory lacks a registered version",
    severity: Severity::BreaksAtRestart,
    consequence: "A recreated pod does not have that version.",
    remediation: "Build an image of every registered version with `vault-token-plugin package`, and set it in the StatefulSet.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest(
        "doctor::plugin_storage::vtp_804_the_image_lacks_a_registered_version",
    ),
};
const ROLLING_UPDATE: FindingKind = FindingKind {
    id: "VTP-805",
    title: "the StatefulSet restarts its pods whenever its template changes",
    severity: Severity::Note,
    consequence: "A new plugin image restarts every pod, one after the other, whatever is registered at that time.",
    remediation: "Set updateStrategy to OnDelete, and restart the pods with `vault-token-plugin upgrade`.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest(
        "doctor::plugin_storage::vtp_805_the_cluster_restarts_servers_by_itself",
    ),
};
const LOCK_HELD: FindingKind = FindingKind {
    id: "VTP-806",
    title: "another operator is changing plugins now",
    severity: Severity::Note,
    consequence: "The observed state may be an unfinished change.",
    remediation: "Wait, then run doctor again.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::nodes::vtp_806_another_operator_holds_the_lease"),
};

const OTHER_NODES: FindingKind = FindingKind {
    id: "VTP-807",
    title: "the server has nodes whose plugin directories this machine cannot inspect",
    severity: Severity::Risk,
    consequence: "If one of them lacks a registered binary, the plugin's mounts fail when that node becomes active.",
    remediation: "Put every registered file into the plugin directory of each node, then name the nodes with --installed-on. To verify it, run `vault operator step-down` until each node has been active: the mounts must answer every time.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest(
        "multi_node::vtp_807_a_failover_to_a_node_without_the_file_breaks_the_mount",
    ),
};

pub(super) const ALL: &[&FindingKind] = &[
    &NOT_READY,
    &NODE_SEALED,
    &LOST_AT_RESTART,
    &IMAGE_INCOMPLETE,
    &ROLLING_UPDATE,
    &LOCK_HELD,
    &OTHER_NODES,
];
pub(super) const CHECKS: &[Check] = &[nodes, other_nodes, plugin_storage, rolling_update, lock_held];

fn nodes(observed: &Observed) -> Vec<Finding> {
    let nodes = observed.deployment.iter().flat_map(|deployment| &deployment.nodes);
    let finding = |(name, node): (
        &crate::observed::deployment::NodeName,
        &crate::observed::deployment::NodeObserved,
    )| {
        // A sealed server reports nothing else.
        if node.server.as_ref().is_some_and(|vault| vault.sealed) {
            return Some(NODE_SEALED.finding(name.to_string(), "sys/health of this node reports sealed"));
        }
        match &node.readiness {
            Readiness::NotReady { reason } => Some(NOT_READY.finding(name.to_string(), reason.clone())),
            Readiness::Ready => None,
        }
    };
    nodes.filter_map(finding).collect()
}

/// Nodes that the user has confirmed with `--installed-on` are not reported.
fn other_nodes(observed: &Observed) -> Vec<Finding> {
    if observed.catalog.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = observed.other_nodes.nodes().iter().map(|node| node.name.as_str()).collect();
    let evidence = match &observed.other_nodes {
        OtherNodes::Found { nodes: NodeList::Unnamed, .. } => {
            "sys/leader reports high availability, but the server lists no nodes".to_owned()
        }
        _ if names.is_empty() => return Vec::new(),
        _ => format!("the server lists {}", names.join(", ")),
    };
    vec![OTHER_NODES.finding(observed.server.address.clone(), evidence)]
}

fn plugin_storage(observed: &Observed) -> Vec<Finding> {
    let Some(deployment) = observed.deployment.as_ref().filter(|_| !observed.catalog.is_empty()) else {
        return Vec::new();
    };
    match &deployment.plugin_storage {
        PluginStorage::ContainerImage { description } | PluginStorage::Ephemeral { description } => {
            vec![LOST_AT_RESTART.finding(deployment.directory.display().to_string(), description.clone())]
        }
        PluginStorage::InitContainer { name, image, files: Some(image_files) } => {
            let registered: BTreeSet<String> =
                observed.catalog.iter().map(|entry| entry.file_name()).collect();
            let missing: Vec<&str> = registered.difference(image_files).map(String::as_str).collect();
            if missing.is_empty() {
                return Vec::new();
            }
            vec![
                IMAGE_INCOMPLETE
                    .finding(name.clone(), format!("{image} does not contain {}", missing.join(", "))),
            ]
        }
        _ => Vec::new(),
    }
}

fn rolling_update(observed: &Observed) -> Vec<Finding> {
    let Some(deployment) = observed
        .deployment
        .as_ref()
        .filter(|deployment| deployment.update_strategy == PodUpdateStrategy::RollingUpdate)
    else {
        return Vec::new();
    };
    match &deployment.plugin_storage {
        PluginStorage::InitContainer { .. } | PluginStorage::ImageVolume { .. } => {
            let finding = ROLLING_UPDATE.finding("updateStrategy", "it is RollingUpdate");
            vec![on_delete_command(deployment).into_iter().fold(finding, Finding::with_command)]
        }
        _ => Vec::new(),
    }
}

/// A merge patch would keep the defaulted `rollingUpdate`, which is invalid together with OnDelete.
fn on_delete_command(deployment: &DeploymentObserved) -> Option<String> {
    let DeploymentKind::Kubernetes { namespace, statefulset, container: _ } = &deployment.kind else {
        return None;
    };
    let patch = r#"[{"op":"replace","path":"/spec/updateStrategy","value":{"type":"OnDelete"}}]"#;
    Some(format!(
        "kubectl -n {} patch statefulset {} --type=json -p '{patch}'",
        shell_quote(namespace),
        shell_quote(statefulset)
    ))
}

fn lock_held(observed: &Observed) -> Vec<Finding> {
    let holder = observed.deployment.as_ref().and_then(|deployment| deployment.lock_holder.as_ref());
    holder
        .map(|holder| LOCK_HELD.finding("change", format!("the Lease is held by {}", holder.name)))
        .into_iter()
        .collect()
}
