//! Restarts a pod by evicting it.

use k8s_openapi::api::policy::v1::Eviction;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{DeleteOptions, ObjectMeta, Preconditions};
use kube::api::{DeleteParams, PostParams};
use kube::core::Status;
use rollout::{NodeName, UnreadyPodPolicy};

use super::cluster::Cluster;
use super::error::{ApiRequest, KubernetesError};
use super::readiness;

/// Evicts the pod with this uid, which respects disruption budgets. Safe to repeat after a lost response: a pod with another uid is not
/// restarted.
pub(super) async fn restart_pod(
    cluster: &Cluster,
    node: &NodeName,
    uid: &str,
    unready: UnreadyPodPolicy,
) -> Result<(), KubernetesError> {
    let preconditions = Preconditions { uid: Some(uid.to_owned()), ..Preconditions::default() };
    let eviction = Eviction {
        metadata: ObjectMeta { name: Some(node.to_string()), ..ObjectMeta::default() },
        delete_options: Some(DeleteOptions {
            preconditions: Some(preconditions),
            ..DeleteOptions::default()
        }),
    };
    // The call of kube sends the options under a wrong name, so the API ignores them.
    let (api, params) = (cluster.pods(), PostParams::default());
    let evict = || api.create_subresource::<Eviction, Status>("eviction", node.as_str(), &params, &eviction);
    let error = match cluster.retry(ApiRequest::EVICT_POD, evict).await {
        Ok(_) => return Ok(()),
        Err(error) if error.is_cluster_wide() => return Err(error),
        Err(error) => error,
    };
    let Some(pod) = cluster.pod(node.as_str()).await?.filter(|pod| pod.metadata.uid.as_deref() == Some(uid))
    else {
        return Ok(());
    };
    let is_refused = matches!(error, KubernetesError::DisruptionBudget(_));
    if unready == UnreadyPodPolicy::Evict || !is_refused || readiness::is_ready(&pod) {
        return Err(error);
    }
    let params = DeleteParams {
        preconditions: Some(kube::api::Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
        ..DeleteParams::default()
    };
    match cluster.retry(ApiRequest::DELETE_POD, || api.delete(node.as_str(), &params)).await {
        // It has just been recreated.
        Ok(_) | Err(KubernetesError::Conflict) => Ok(()),
        Err(error) => Err(error),
    }
}
