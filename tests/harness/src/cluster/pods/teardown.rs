//! Deletes the namespace of pods, after their logs were kept if the test fails.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Event, Namespace, PersistentVolume, Pod};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::time::timeout;

use super::VaultPods;
use crate::cluster::Cluster;
use crate::failure_logs::FailureLogs;

/// Timeout of all requests together. A test that fails because the API server is down must end.
const DELETE_TIMEOUT: Duration = Duration::from_secs(20);

impl Drop for VaultPods {
    fn drop(&mut self) {
        let kept = FailureLogs::if_test_fails(&self.namespace);
        if let Some(kept) = &kept {
            self.save_log_files(kept);
        }
        // The runtime of the test may be shutting down, so a new one sends the request. Remaining objects end with the cluster.
        let (cluster, namespace) = (self.cluster, self.namespace.clone());
        let ending = std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
                return;
            };
            runtime.block_on(async {
                let _ = timeout(DELETE_TIMEOUT, delete_namespace(cluster, &namespace, kept)).await;
            });
        });
        let _ = ending.join();
    }
}

impl VaultPods {
    /// Logs in files, which are readable without a server.
    fn save_log_files(&self, kept: &FailureLogs) {
        self.cluster.save_logs(kept);
        // The node writes the output of containers to NAMESPACE_POD_UID/CONTAINER/RESTARTS.log.
        let prefix = format!("{}_", self.namespace);
        let folders =
            std::fs::read_dir(self.cluster.folder().join("podlogs")).into_iter().flatten().flatten();
        for folder in folders.filter(|it| it.file_name().to_string_lossy().starts_with(&prefix)) {
            kept.save(&folder.path());
        }
    }
}

async fn delete_namespace(cluster: &Cluster, namespace: &str, kept: Option<FailureLogs>) {
    let client = cluster.client().await;
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    if let Some(kept) = kept {
        save_objects(&kept, &client, &pods, namespace).await;
    }
    let now = DeleteParams::default().grace_period(0);
    let _ = pods.delete_collection(&now, &ListParams::default()).await;
    let _ = Api::<Namespace>::all(client.clone()).delete(namespace, &now).await;
    let ours = ListParams::default().labels(&format!("pods={namespace}"));
    let _ = Api::<PersistentVolume>::all(client).delete_collection(&now, &ours).await;
}

/// The reason why a pod does not run is in its status and in events, not in logs.
async fn save_objects(kept: &FailureLogs, client: &Client, pods: &Api<Pod>, namespace: &str) {
    let all = ListParams::default();
    if let Ok(pods) = pods.list(&all).await {
        kept.save_text("pods.json", &format!("{:#}", json!(pods.items)));
    }
    if let Ok(events) = Api::<Event>::namespaced(client.clone(), namespace).list(&all).await {
        kept.save_text("events.json", &format!("{:#}", json!(events.items)));
    }
}
