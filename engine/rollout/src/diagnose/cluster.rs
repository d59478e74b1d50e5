//! Nodes, and what becomes of their files when they are started anew.

use std::collections::BTreeSet;

use super::Check;
use super::finding::{Finding, Known, Severity, Shown, quoted};
use crate::observed::Observed;
use crate::observed::others::OtherNodes;
use crate::observed::site::{Keeping, Presence, Restarts, SiteKind, SiteObserved};

const NOT_READY: Known = Known {
    id: "VTP-801",
    title: "a node cannot be looked at",
    severity: Severity::Risk,
    consequence: "Nobody knows whether it could serve if it became active.",
    cure: "Read why, and bring the node back.",
    says: &[],
    shown: Shown::OnPods("doctor::nodes::vtp_801_a_pod_that_does_not_start"),
};
const NODE_SEALED: Known = Known {
    id: "VTP-802",
    title: "the server of a node is sealed",
    severity: Severity::Risk,
    consequence: "It cannot take over when the active node fails.",
    cure: "Unseal it with `vault operator unseal` in its pod; a server that unseals itself does so when its pod is made anew.",
    says: &[],
    shown: Shown::OnPods("doctor::nodes::vtp_802_the_server_of_a_pod_is_sealed"),
};
const FORGETS: Known = Known {
    id: "VTP-803",
    title: "a restart loses the plugins",
    severity: Severity::BreaksAtRestart,
    consequence: "A pod that is made anew has an empty plugin directory, and mounts answer 404 when it becomes active.",
    cure: "Fill the directory from an image by an init container (`vault-token-plugin manifests`), or put it on a persistent volume.",
    says: &[],
    shown: Shown::OnPods("doctor::keeping::vtp_803_a_restart_loses_the_plugins"),
};
const IMAGE_LACKS: Known = Known {
    id: "VTP-804",
    title: "the image that fills the plugin directory lacks a registered version",
    severity: Severity::BreaksAtRestart,
    consequence: "A pod that is made anew has not got that version.",
    cure: "Make an image of every registered version with `vault-token-plugin package`, and name it in the StatefulSet.",
    says: &[],
    shown: Shown::OnPods("doctor::keeping::vtp_804_the_image_lacks_a_registered_version"),
};
const ROLLS: Known = Known {
    id: "VTP-805",
    title: "the cluster restarts servers by itself when their description changes",
    severity: Severity::Note,
    consequence: "A new image of plugins restarts every pod, one after the other, without regard to what is registered by then.",
    cure: "Set updateStrategy to OnDelete, and let `vault-token-plugin upgrade` restart the pods.",
    says: &[],
    shown: Shown::OnPods("doctor::keeping::vtp_805_the_cluster_restarts_servers_by_itself"),
};
const HELD: Known = Known {
    id: "VTP-806",
    title: "somebody changes plugins at this moment",
    severity: Severity::Note,
    consequence: "What is seen may be half of a change.",
    cure: "Wait, and look again.",
    says: &[],
    shown: Shown::OnPods("doctor::nodes::vtp_806_another_operator_holds_the_lease"),
};

const OTHER_NODES: Known = Known {
    id: "VTP-807",
    title: "the server has nodes that this machine cannot look at",
    severity: Severity::Risk,
    consequence: "Where one of them lacks a registered binary, the plugin's mounts fail when it becomes active.",
    cure: "Put every registered file into the plugin directory of each, then name them with --placed-on. `vault operator step-down` \
           proves it: the mounts must answer while each is the active node.",
    says: &[],
    shown: Shown::OnServer("nodes::vtp_807_a_failover_to_a_node_without_the_file_breaks_the_mount"),
};

pub(super) const ALL: &[&Known] =
    &[&NOT_READY, &NODE_SEALED, &FORGETS, &IMAGE_LACKS, &ROLLS, &HELD, &OTHER_NODES];
pub(super) const CHECKS: &[Check] = &[nodes, other_nodes, keeping, rolls, held];

fn nodes(observed: &Observed) -> Vec<Finding> {
    let nodes = observed.site.iter().flat_map(|site| &site.nodes);
    let finding = |(name, node): (&crate::observed::site::NodeName, &crate::observed::site::NodeObserved)| {
        // One that is sealed says nothing else.
        if node.vault.as_ref().is_some_and(|vault| vault.sealed) {
            return Some(NODE_SEALED.at(name.to_string(), "its sys/health says so"));
        }
        match &node.presence {
            Presence::NotReady { why } => Some(NOT_READY.at(name.to_string(), why.clone())),
            Presence::Ready => None,
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
    vec![OTHER_NODES.at(observed.server.address.clone(), evidence)]
}

fn keeping(observed: &Observed) -> Vec<Finding> {
    let Some(site) = observed.site.as_ref().filter(|_| !observed.catalog.is_empty()) else {
        return Vec::new();
    };
    match &site.keeping {
        Keeping::ContainerImage { what } | Keeping::Nothing { what } => {
            vec![FORGETS.at(site.directory.display().to_string(), what.clone())]
        }
        Keeping::InitContainer { name, image, brings: Some(brings) } => {
            let registered: BTreeSet<String> =
                observed.catalog.iter().map(|entry| entry.file_name()).collect();
            let lacks: Vec<&str> = registered.difference(brings).map(String::as_str).collect();
            if lacks.is_empty() {
                return Vec::new();
            }
            vec![IMAGE_LACKS.at(name.clone(), format!("{image} does not bring {}", lacks.join(", ")))]
        }
        _ => Vec::new(),
    }
}

fn rolls(observed: &Observed) -> Vec<Finding> {
    let Some(site) = observed.site.as_ref().filter(|site| site.restarts == Restarts::Rolling) else {
        return Vec::new();
    };
    match &site.keeping {
        Keeping::InitContainer { .. } | Keeping::ImageVolume { .. } => {
            let finding = ROLLS.at("updateStrategy", "it is RollingUpdate");
            vec![on_delete(site).into_iter().fold(finding, Finding::run)]
        }
        _ => Vec::new(),
    }
}

/// A merge would leave the default of `rollingUpdate`, which OnDelete may not have beside it.
fn on_delete(site: &SiteObserved) -> Option<String> {
    let SiteKind::Kubernetes { namespace, statefulset, container: _ } = &site.kind else { return None };
    let patch = r#"[{"op":"replace","path":"/spec/updateStrategy","value":{"type":"OnDelete"}}]"#;
    Some(format!(
        "kubectl -n {} patch statefulset {} --type=json -p '{patch}'",
        quoted(namespace),
        quoted(statefulset)
    ))
}

fn held(observed: &Observed) -> Vec<Finding> {
    let holder = observed.site.as_ref().and_then(|site| site.holder.as_ref());
    holder.map(|holder| HELD.at("change", format!("held by {}", holder.name))).into_iter().collect()
}
