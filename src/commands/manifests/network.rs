//! Who may reach the servers, and how many of them may be away.

use std::collections::BTreeMap;

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicySpec,
};
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::document::{Content, Document, value};
use super::kubernetes_name::Label;
use super::names::Names;
use super::objects::{metadata, servers, with_labels};
use super::part::Part;
use crate::error::CommandError;

/// Where a server answers requests.
const API: i32 = 8200;
/// Where servers talk among themselves.
const CLUSTER: i32 = 8201;

/// The label that every namespace has.
const NAMESPACE: &str = "kubernetes.io/metadata.name";

/// The network policy.
pub(super) fn policy(names: &Names) -> Result<Vec<Document>, CommandError> {
    let peers =
        NetworkPolicyPeer { pod_selector: Some(with_labels(servers(names))), ..NetworkPolicyPeer::default() };
    let policy = NetworkPolicy {
        metadata: metadata(names, &names.statefulset, &names.namespace),
        spec: Some(NetworkPolicySpec {
            pod_selector: Some(with_labels(servers(names))),
            policy_types: Some(vec!["Ingress".to_owned()]),
            ingress: Some(vec![
                allow(vec![peers], &[API, CLUSTER]),
                allow(
                    vec![all_of(&names.application.namespace), all_of(&names.monitoring_namespace)],
                    &[API],
                ),
            ]),
            egress: None,
        }),
    };
    Ok(vec![Document {
        part: Part::NetworkPolicy,
        file: "network-policy.yaml".to_owned(),
        about: "Only the servers themselves, the application and Prometheus reach the servers; a port-forward comes \
                from the node and is let through. Where the servers may go to is not restricted: the plugin's \
                upstream is outside the cluster.",
        content: Content::Objects(vec![value(&policy)?]),
    }])
}

/// The budget: a majority of raft's voters is always there.
pub(super) fn disruption_budget(names: &Names) -> Result<Vec<Document>, CommandError> {
    let budget = PodDisruptionBudget {
        metadata: metadata(names, &names.statefulset, &names.namespace),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(with_labels(servers(names))),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    };
    Ok(vec![Document {
        part: Part::DisruptionBudget,
        file: "disruption-budget.yaml".to_owned(),
        about: "A drain takes one server at a time, so that raft keeps its majority. The official charts make one as \
                well: use one of the two.",
        content: Content::Objects(vec![value(&budget)?]),
    }])
}

fn allow(from: Vec<NetworkPolicyPeer>, ports: &[i32]) -> NetworkPolicyIngressRule {
    let port = |port: &i32| NetworkPolicyPort {
        protocol: Some("TCP".to_owned()),
        port: Some(IntOrString::Int(*port)),
        end_port: None,
    };
    NetworkPolicyIngressRule { from: Some(from), ports: Some(ports.iter().map(port).collect()) }
}

fn all_of(namespace: &Label) -> NetworkPolicyPeer {
    NetworkPolicyPeer {
        namespace_selector: Some(with_labels(BTreeMap::from([(
            NAMESPACE.to_owned(),
            namespace.to_string(),
        )]))),
        ..NetworkPolicyPeer::default()
    }
}
