//! Nodes, and what becomes of their files when they are started anew.

use std::collections::BTreeSet;

use super::Check;
use super::finding::{Finding, FindingKind, Severity, VerifiedBy};
use crate::observed::Observed;
use crate::observed::deployment::{
    DeploymentKind, DeploymentObserved, PluginStorage, PodUpdateStrategy, Readiness,
};
use crate::observed::other_nodes::OtherNodes;
use crate::shell::shell_quote;

const NOT_READY: FindingKind = FindingKind {
    id: "VTP-801",
    title: "a node cannot be looked at",
    severity: Severity::Risk,
    consequence: "Nobody knows whether it could serve if it became active.",
    remediation: "Read why, and bring the node back.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::nodes::vtp_801_a_pod_that_does_not_start"),
};
const NODE_SEALED: FindingKind = FindingKind {
    id: "VTP-802",
    title: "the server of a node is sealed",
    severity: Severity::Risk,
    consequence: "It cannot take over when the active node fails.",
    remediation: "Unseal it with `vault operator unseal` in its pod; a server that unseals itself does so when its pod is made anew.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::nodes::vtp_802_the_server_of_a_pod_is_sealed"),
};
const LOST_AT_RESTART: FindingKind = FindingKind {
    id: "VTP-803",
    title: "a restart loses the plugins",
    severity: Severity::BreaksAtRestart,
    consequence: "A pod that is made anew has an empty plugin directory, and mounts answer 404 when it becomes active.",
    remediation: "Fill the directory from an image by an init container (`vault-token-plugin manifests`), or put it on a persistent volume.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::plugin_storage::vtp_803_a_restart_loses_the_plugins"),
};
const IMAGE_INCOMPLETE: FindingKind = FindingKind {
    id: "VTP-804",
    title: "the image that fills the plugin directory lacks a registered version",
    severity: Severity::BreaksAtRestart,
    consequence: "A pod that is made anew has not got that version.",
    remediation: "Make an image of every registered version with `vault-token-plugin package`, and name it in the StatefulSet.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest(
        "doctor::plugin_storage::vtp_804_the_image_lacks_a_registered_version",
    ),
};
const ROLLING_UPDATE: FindingKind = FindingKind {
    id: "VTP-805",
    title: "the cluster restarts servers by itself when their description changes",
    severity: Severity::Note,
    consequence: "A new image of plugins restarts every pod, one after the other, without regard to what is registered by then.",
    remediation: "Set updateStrategy to OnDelete, and let `vault-token-plugin upgrade` restart the pods.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest(
        "doctor::plugin_storage::vtp_805_the_cluster_restarts_servers_by_itself",
    ),
};
const LOCK_HELD: FindingKind = FindingKind {
    id: "VTP-806",
    title: "somebody changes plugins at this moment",
    severity: Severity::Note,
    consequence: "What is seen may be half of a change.",
    remediation: "Wait, and look again.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::nodes::vtp_806_another_operator_holds_the_lease"),
};

const OTHER_NODES: FindingKind = FindingKind {
    id: "VTP-807",
    title: "the server has nodes that this machine cannot look at",
    severity: Severity::Risk,
    consequence: "Where one of them lacks a registered binary, the plugin's mounts fail when it becomes active.",
    remediation: "Put every registered file into the plugin directory of each, then name them with --placed-on. `vault operator step-down` \
           proves it: the mounts must answer while each is the active node.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("nodes::vtp_807_a_failover_to_a_node_without_the_file_breaks_the_mount"),
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
    let nodes = observed.deployment.iter().flat_map(|site| &site.nodes);
    let finding = |(name, node): (
        &crate::observed::deployment::NodeName,
        &crate::observed::deployment::NodeObserved,
    )| {
        // One that is sealed says nothing else.
        if node.server.as_ref().is_some_and(|vault| vault.sealed) {
            return Some(NODE_SEALED.finding(name.to_string(), "its sys/health says so"));
        }
        match &node.readiness {
            Readiness::NotReady { reason: why } => Some(NOT_READY.finding(name.to_string(), why.clone())),
            Readiness::Ready => None,
        }
    };
    nodes.filter_map(finding).collect()
}

/// Somebody who vouches for a node names it to `doctor` too.
fn other_nodes(observed: &Observed) -> Vec<Finding> {
    if observed.catalog.is_empty() {
        return Vec::new();
    }
    let names: Vec<&str> = observed.other_nodes.nodes().iter().map(|node| node.name.as_str()).collect();
    let evidence = match &observed.other_nodes {
        OtherNodes::Unnamed => "sys/leader says that it is one of several, and it names none".to_owned(),
        _ if names.is_empty() => return Vec::new(),
        _ => format!("the server names {}", names.join(", ")),
    };
    vec![OTHER_NODES.finding(observed.server.address.clone(), evidence)]
}

fn plugin_storage(observed: &Observed) -> Vec<Finding> {
    let Some(site) = observed.deployment.as_ref().filter(|_| !observed.catalog.is_empty()) else {
        return Vec::new();
    };
    match &site.plugin_storage {
        PluginStorage::ContainerImage { description: what }
        | PluginStorage::Ephemeral { description: what } => {
            vec![LOST_AT_RESTART.finding(site.directory.display().to_string(), what.clone())]
        }
        PluginStorage::InitContainer { name, image, files: Some(brings) } => {
            let registered: BTreeSet<String> =
                observed.catalog.iter().map(|entry| entry.file_name()).collect();
            let lacks: Vec<&str> = registered.difference(brings).map(String::as_str).collect();
            if lacks.is_empty() {
                return Vec::new();
            }
            vec![
                IMAGE_INCOMPLETE
                    .finding(name.clone(), format!("{image} does not bring {}", lacks.join(", "))),
            ]
        }
        _ => Vec::new(),
    }
}

fn rolling_update(observed: &Observed) -> Vec<Finding> {
    let Some(site) =
        observed.deployment.as_ref().filter(|site| site.update_strategy == PodUpdateStrategy::RollingUpdate)
    else {
        return Vec::new();
    };
    match &site.plugin_storage {
        PluginStorage::InitContainer { .. } | PluginStorage::ImageVolume { .. } => {
            let finding = ROLLING_UPDATE.finding("updateStrategy", "it is RollingUpdate");
            vec![on_delete_command(site).into_iter().fold(finding, Finding::with_command)]
        }
        _ => Vec::new(),
    }
}

/// A merge would leave the default of `rollingUpdate`, which OnDelete may not have beside it.
fn on_delete_command(site: &DeploymentObserved) -> Option<String> {
    let DeploymentKind::Kubernetes { namespace, statefulset, container: _ } = &site.kind else { return None };
    let patch = r#"[{"op":"replace","path":"/spec/updateStrategy","value":{"type":"OnDelete"}}]"#;
    Some(format!(
        "kubectl -n {} patch statefulset {} --type=json -p '{patch}'",
        shell_quote(namespace),
        shell_quote(statefulset)
    ))
}

fn lock_held(observed: &Observed) -> Vec<Finding> {
    let holder = observed.deployment.as_ref().and_then(|site| site.lock_holder.as_ref());
    holder.map(|holder| LOCK_HELD.finding("change", format!("held by {}", holder.name))).into_iter().collect()
}
