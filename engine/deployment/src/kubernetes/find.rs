//! Finds the StatefulSet, its pods, and the container of the server.

use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::ResourceExt;
use rollout::NodeName;

use super::cluster::Cluster;
use super::error::KubernetesError;

/// Which pods. Without a StatefulSet or labels, the labels of the official charts are used.
#[derive(Clone, Debug, Default)]
pub struct PodSelector {
    /// Name of a StatefulSet.
    pub statefulset: Option<String>,
    /// Label selector of its pods, as in `kubectl get pods -l`.
    pub selector: Option<String>,
    /// The container in which the server runs.
    pub container: Option<String>,
}

/// Names of the products in the official charts.
const PRODUCTS: [&str; 2] = ["vault", "openbao"];

/// Finds the StatefulSet.
pub(super) async fn find_statefulset(
    cluster: &Cluster,
    selector: &PodSelector,
) -> Result<StatefulSet, KubernetesError> {
    if let Some(name) = &selector.statefulset {
        return match cluster.statefulset(name).await? {
            Some(found) => Ok(found),
            None => {
                Err(not_found(cluster, format!("StatefulSet {name}"), &cluster.all_statefulsets().await?))
            }
        };
    }
    let all = cluster.all_statefulsets().await?;
    let (candidates, object): (Vec<StatefulSet>, _) = match &selector.selector {
        Some(labels) => {
            let pods = cluster.pods_with(labels).await?;
            let owns = |it: &StatefulSet| pods.iter().any(|pod| is_owned(pod, it));
            (
                all.iter().filter(|it| owns(it)).cloned().collect(),
                format!("StatefulSet with pods of {labels}"),
            )
        }
        None => {
            let candidates = all.iter().filter(|it| is_from_official_chart(it)).cloned().collect();
            (candidates, "StatefulSet with the labels of Vault's or OpenBao's chart".to_owned())
        }
    };
    match <[StatefulSet; 1]>::try_from(candidates) {
        Ok([found]) => Ok(found),
        Err(none) if none.is_empty() => Err(not_found(cluster, object, &all)),
        Err(several) => Err(KubernetesError::Ambiguous {
            object: "StatefulSet",
            namespace: cluster.namespace.clone(),
            found: several.iter().map(ResourceExt::name_any).collect(),
            flag: "--statefulset",
        }),
    }
}

fn not_found(cluster: &Cluster, object: String, all: &[StatefulSet]) -> KubernetesError {
    let found = all.iter().map(ResourceExt::name_any).collect();
    KubernetesError::NotFound { object, namespace: cluster.namespace.clone(), found }
}

/// Whether it is a server of an official chart. The charts also have StatefulSets of other components.
fn is_from_official_chart(statefulset: &StatefulSet) -> bool {
    let template = statefulset.spec.as_ref().and_then(|spec| spec.template.metadata.as_ref());
    let Some(labels) = template.and_then(|metadata| metadata.labels.as_ref()) else { return false };
    let name = labels.get("app.kubernetes.io/name").map(String::as_str);
    let component = labels.get("component").map(String::as_str);
    name.is_some_and(|name| PRODUCTS.contains(&name)) && component.is_none_or(|it| it == "server")
}

/// The container in which the server runs.
pub(super) fn find_server_container<'a>(
    namespace: &str,
    spec: &'a PodSpec,
    name: Option<&str>,
) -> Result<&'a Container, KubernetesError> {
    let found = || spec.containers.iter().map(|container| container.name.clone()).collect();
    let named = |name: &str| spec.containers.iter().find(|container| container.name == name);
    if let Some(name) = name {
        let object = format!("container {name}");
        return named(name).ok_or_else(|| KubernetesError::NotFound {
            object,
            namespace: namespace.to_owned(),
            found: found(),
        });
    }
    let only = if let [only] = spec.containers.as_slice() { Some(only) } else { None };
    only.or_else(|| PRODUCTS.iter().find_map(|product| named(product))).ok_or_else(|| {
        let (object, flag) = ("container", "--container");
        KubernetesError::Ambiguous { object, namespace: namespace.to_owned(), found: found(), flag }
    })
}

/// The pods of the StatefulSet by name, also those that do not exist yet and those that are to be removed.
pub(super) fn nodes(statefulset: &StatefulSet, pods: Vec<Pod>) -> Vec<(NodeName, Option<Pod>)> {
    let mut existing: Vec<Pod> = pods.into_iter().filter(|pod| is_owned(pod, statefulset)).collect();
    let spec = statefulset.spec.as_ref();
    let first = spec.and_then(|spec| spec.ordinals.as_ref()).and_then(|ordinals| ordinals.start).unwrap_or(0);
    let replicas = spec.and_then(|spec| spec.replicas).unwrap_or(1);
    let mut nodes = Vec::new();
    for ordinal in first..first.saturating_add(replicas) {
        let name = format!("{}-{ordinal}", statefulset.name_any());
        let at = existing.iter().position(|pod| pod.name_any() == name);
        nodes.push((NodeName::new(name), at.map(|at| existing.swap_remove(at))));
    }
    nodes.extend(existing.into_iter().map(|pod| (NodeName::new(pod.name_any()), Some(pod))));
    nodes
}

fn is_owned(pod: &Pod, statefulset: &StatefulSet) -> bool {
    pod.owner_references().iter().any(|owner| Some(&owner.uid) == statefulset.metadata.uid.as_ref())
}

/// The label selector of its pods.
pub(super) fn label_selector(statefulset: &StatefulSet) -> String {
    let labels = statefulset.spec.as_ref().and_then(|spec| spec.selector.match_labels.clone());
    let labels = labels.unwrap_or_default();
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn statefulset(labels: Value, replicas: i32) -> StatefulSet {
        serde_json::from_value(json!({
            "metadata": {"name": "vault", "uid": "u1"},
            "spec": {
                "replicas": replicas, "serviceName": "v", "selector": {"matchLabels": {"a": "b", "c": "d"}},
                "template": {"metadata": {"labels": labels}},
            },
        }))
        .expect("a StatefulSet")
    }

    fn pod(name: &str, owner: &str) -> Pod {
        let owner = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "vault", "uid": owner});
        serde_json::from_value(json!({"metadata": {"name": name, "ownerReferences": [owner]}}))
            .expect("a pod")
    }

    #[test]
    fn the_server_of_a_chart_is_recognized_and_its_other_components_are_not() {
        let of = |labels| is_from_official_chart(&statefulset(labels, 1));
        assert!(of(json!({"app.kubernetes.io/name": "vault", "component": "server"})));
        assert!(of(json!({"app.kubernetes.io/name": "openbao"})));
        assert!(!of(json!({"app.kubernetes.io/name": "vault", "component": "webhook"})));
        assert!(!of(json!({"app": "vault"})));
    }

    #[test]
    fn a_pod_that_is_not_there_is_a_node_too_and_one_too_many_is_not_forgotten() {
        let pods = vec![pod("vault-1", "u1"), pod("vault-7", "u1"), pod("vault-0", "other")];
        let nodes = nodes(&statefulset(json!({}), 2), pods);
        let seen: Vec<(&str, bool)> =
            nodes.iter().map(|(name, pod)| (name.as_str(), pod.is_some())).collect();
        assert_eq!(seen, [("vault-0", false), ("vault-1", true), ("vault-7", true)]);
    }

    #[test]
    fn pods_are_chosen_by_all_labels() {
        assert_eq!(label_selector(&statefulset(json!({}), 1)), "a=b,c=d");
    }

    #[test]
    fn the_container_is_the_only_one_or_named_as_the_product_or_asked_for() {
        let spec = |names: &[&str]| -> PodSpec {
            let containers: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
            serde_json::from_value(json!({"containers": containers})).expect("a spec")
        };
        let chosen = |names: &[&str], name| {
            let spec = spec(names);
            find_server_container("ns", &spec, name).map(|container| container.name.clone())
        };
        assert_eq!(chosen(&["server"], None).expect("one"), "server");
        assert_eq!(chosen(&["istio-proxy", "vault"], None).expect("one"), "vault");
        assert_eq!(chosen(&["a", "b"], Some("b")).expect("one"), "b");
        assert!(matches!(chosen(&["a", "b"], None), Err(KubernetesError::Ambiguous { .. })));
        assert!(matches!(chosen(&["a"], Some("b")), Err(KubernetesError::NotFound { .. })));
    }
}
