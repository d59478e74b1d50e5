//! What the servers of the pods have logged.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::LogParams;
use rollout::{NodeName, error_chain};
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::error::{ApiRequest, KubernetesError};

/// Lines of each container: hours of a server that is well, and the start of one that is not.
const TAIL_LINES: i64 = 5_000;

/// More than these lines take as a rule; a line has no bound of its own.
const LIMIT_BYTES: i64 = 4 << 20;

/// The latest lines of all at once. What concerns one pod is its answer.
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

/// A container that was started anew says why in the log of the one before.
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
        // It is gone when the machine has cleared it away.
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
