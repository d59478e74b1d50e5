//! Records which pods were absent at the same time.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use parking_lot::Mutex;
use tokio::task::JoinHandle;

use crate::VaultPods;

/// Polling interval.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Records which pods are not ready, or being deleted, until it is dropped.
pub struct AbsenceRecorder {
    concurrent: Arc<Mutex<BTreeSet<Vec<String>>>>,
    task: JoinHandle<()>,
}

impl AbsenceRecorder {
    /// Starts recording.
    pub fn start(pods: &VaultPods) -> AbsenceRecorder {
        let together = Arc::<Mutex<BTreeSet<Vec<String>>>>::default();
        let (api, seen) = (pods.pods(), Arc::clone(&together));
        let names: Vec<String> = pods.names().into_iter().map(str::to_owned).collect();
        let task = tokio::spawn(async move {
            loop {
                // A missing response of the API server says nothing about the pods.
                if let Ok(there) = api.list(&ListParams::default()).await {
                    let serves = |name: &&String| there.items.iter().any(|pod| is_ready(pod, name));
                    let absent = names.iter().filter(|name| !serves(name)).cloned().collect();
                    seen.lock().insert(absent);
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        });
        AbsenceRecorder { concurrent: together, task }
    }

    /// The sets of pods that were absent at the same time so far. The empty set is included if all were present once.
    pub fn concurrent_absences(&self) -> BTreeSet<Vec<String>> {
        self.concurrent.lock().clone()
    }
}

impl Drop for AbsenceRecorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn is_ready(pod: &Pod, name: &str) -> bool {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    pod.metadata.name.as_deref() == Some(name)
        && pod.metadata.deletion_timestamp.is_none()
        && conditions.any(|it| it.type_ == "Ready" && it.status == "True")
}
