//! Reads the logs of the servers.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::LogParams;
use rollout::{NodeName, error_chain};
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::error::{ApiRequest, KubernetesError};

/// Lines per container: hours of a healthy server, and the whole start of one that fails.
const TAIL_LINES: i64 = 5_000;

/// Limit of the size, because lines can be long.
const LIMIT_BYTES: i64 = 4 << 20;

/// Reads the logs of all pods in parallel. An error of one pod is part of the result.
pub(super) async fn read_all(
    cluster: &Cluster,
    nodes: Vec<(NodeName, Option<Pod>)>,
    container: &str,
) -> Result<BTreeMap<NodeName, Result<String, String>>, KubernetesError> {
    let mut reading = JoinSet::new();
    let mut logs = BTreeMap::new();
    for (name, pod) in nodes {
        let Some(pod) = pod else {
            logs.insert(name, Err("the pod does not exist yet".to_owned()));
            continue;
        };
        let (cluster, container) = (cluster.clone(), container.to_owned());
        reading.spawn(async move { (name, read_pod(&cluster, &pod, &container).await) });
    }
    for (name, log) in reading.join_all().await {
        match log {
            Err(error) if error.is_cluster_wide() => return Err(error),
            log => logs.insert(name, log.map_err(|error| error_chain(&error))),
        };
    }
    Ok(logs)
}

/// Reads the log of a container, after that of its previous run: a container that was restarted has logged the reason there.
async fn read_pod(cluster: &Cluster, pod: &Pod, container: &str) -> Result<String, KubernetesError> {
    let (api, name) = (cluster.pods(), pod.name_any());
    let lines = |previous| LogParams {
        container: Some(container.to_owned()),
        previous,
        tail_lines: Some(TAIL_LINES),
        limit_bytes: Some(LIMIT_BYTES),
        ..LogParams::default()
    };
    let before = if was_restarted(pod, container) {
        let before = lines(true);
        // The node may have removed it.
        cluster.retry(ApiRequest::GET_LOG, || api.logs(&name, &before)).await.unwrap_or_default()
    } else {
        String::new()
    };
    let now = lines(false);
    Ok(before + &cluster.retry(ApiRequest::GET_LOG, || api.logs(&name, &now)).await?)
}

fn was_restarted(pod: &Pod, container: &str) -> bool {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.into_iter().any(|status| status.name == container && status.restart_count > 0)
}
