//! Network policy and disruption budget of the servers.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::manifest_file::{FileContent, ManifestFile, to_value};
use super::object_name::ObjectName;
use super::objects::{label_selector, metadata, server_labels};
use super::part::Part;
use super::values::ManifestValues;
use crate::error::CommandError;

/// Port of the API.
const API_PORT: i32 = 8200;
/// Port of the cluster traffic between servers.
const CLUSTER_PORT: i32 = 8201;

/// The label of every namespace with its name.
const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// The network policy.
pub(super) fn network_policy(names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
    let peers = NetworkPolicyPeer {
        pod_selector: Some(label_selector(server_labels(names))),
        ..NetworkPolicyPeer::default()
    };
    let policy = NetworkPolicy {
        metadata: metadata(names, &names.statefulset, &names.namespace),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(label_selector(server_labels(names))),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![
                ingress_rule(vec![peers], &[API_PORT, CLUSTER_PORT]),
                ingress_rule(
                    vec![
                        namespace_peer(&names.application.namespace),
                        namespace_peer(&names.monitoring_namespace),
                    ],
                    &[API_PORT],
                ),
            ]),
            egress: None,
        }),
    };
    Ok(vec![ManifestFile {
        part: Part::NetworkPolicy,
        file: "network-policy.yaml".to_owned(),
        about: "Only the servers themselves, the application and Prometheus can connect to the servers. A port-forward comes \
                from the node and is permitted. Egress is not restricted, because the plugin's upstream is outside \
                the cluster.",
        content: FileContent::Objects(vec![to_value(&policy)?]),
    }])
}

/// The disruption budget: a majority of the raft voters stays available.
pub(super) fn disruption_budget(names: &ManifestValues) -> Result<Vec<ManifestFile>, CommandError> {
    let budget = PodDisruptionBudget {
        metadata: metadata(names, &names.statefulset, &names.namespace),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(label_selector(server_labels(names))),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    };
    Ok(vec![ManifestFile {
        part: Part::DisruptionBudget,
        file: "disruption-budget.yaml".to_owned(),
        about: "A drain evicts one server at a time, so that raft keeps its majority. The official charts contain one too: \
                use only one of the two.",
        content: FileContent::Objects(vec![to_value(&budget)?]),
    }])
}

fn ingress_rule(from: Vec<NetworkPolicyPeer>, ports: &[i32]) -> NetworkPolicyIngressRule {
    let port = |port: &i32| NetworkPolicyPort {
        protocol: Some("TCP".to_owned()),
        port: Some(IntOrString::Int(*port)),
        end_port: None,
    };
    NetworkPolicyIngressRule { from: Some(from), ports: Some(ports.iter().map(port).collect()) }
}

fn namespace_peer(namespace: &ObjectName) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(label_selector(BTreeMap::from([(
            NAMESPACE_NAME_LABEL.to_owned(),
            namespace.to_string(),
        )]))),
        ..NetworkPolicyPeer::default()
    }
}
