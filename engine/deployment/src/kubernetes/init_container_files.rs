//! What an init container brings, seen from what it has brought: its image is not read.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

/// What one pod shows of what an init container brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InitContainerFiles {
    /// What ran: pods with the same were brought the same.
    pub(super) image_id: String,
    /// What lay there when it had ended.
    pub(super) files: BTreeSet<String>,
}

/// An init container that has done its work in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PopulatedVolume {
    pub(super) image_id: String,
    /// When it had ended, in seconds. Its volume came empty, so what has not been changed since then is from before the
    /// server, which is from it.
    pub(super) finished_at: i64,
}

/// When the volume of a pod was filled as it would be today. `None` where that is not known: of a pod that is from before a
/// change of `described`, of a container that is at work beside the server, and of one that ran again, as it found
/// what was brought since.
pub(super) fn populated_volume(pod: &Pod, described: &Container) -> Option<PopulatedVolume> {
    let name = &described.name;
    let of_pod = pod.spec.as_ref()?.init_containers.iter().flatten().find(|it| it.name == *name)?;
    let is_same = of_pod.image == described.image
        && of_pod.command == described.command
        && of_pod.args == described.args
        && of_pod.env == described.env;
    let status = pod.status.as_ref()?.init_container_statuses.iter().flatten().find(|it| it.name == *name)?;
    if !is_same || status.restart_count != 0 {
        return None;
    }
    Some(PopulatedVolume { image_id: status.image_id.clone(), finished_at: finished_at(status)? })
}

fn finished_at(status: &ContainerStatus) -> Option<i64> {
    let terminated = status.state.as_ref()?.terminated.as_ref()?;
    Some(terminated.finished_at.as_ref()?.0.as_second())
}

/// What every pod that can show it was brought. One pod may have lost a file and got it back since, which another
/// with the same image still shows; where a name stands for several images, only what all of them have is certain.
pub(super) fn common_files(pods: impl IntoIterator<Item = InitContainerFiles>) -> Option<BTreeSet<String>> {
    let mut images = BTreeMap::<String, BTreeSet<String>>::new();
    for InitContainerFiles { image_id, files } in pods {
        images.entry(image_id).or_default().extend(files);
    }
    images.into_values().reduce(|some, others| &some & &others)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn described() -> Value {
        json!({"name": "plugins", "image": "plugins:1", "args": ["loader"]})
    }

    /// A pod as the API server tells of it, with one thing changed.
    fn pod(change: impl FnOnce(&mut Value)) -> Pod {
        let ended =
            json!({"exitCode": 0, "startedAt": "2026-03-01T12:00:00Z", "finishedAt": "2026-03-01T12:00:05Z"});
        let mut pod = json!({
            "metadata": {},
            "spec": {"containers": [], "initContainers": [described()]},
            "status": {"initContainerStatuses": [{
                "name": "plugins", "image": "plugins:1", "imageID": "sha256:1", "ready": true, "restartCount": 0,
                "state": {"terminated": ended},
            }]},
        });
        // What the cluster adds by itself.
        pod["spec"]["initContainers"][0]["volumeMounts"] =
            json!([{"name": "token", "mountPath": "/var/run"}]);
        change(&mut pod);
        serde_json::from_value(pod).expect("a pod")
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Value), expected: Option<i64>) {
        let described = serde_json::from_value(described()).expect("a container");
        assert_eq!(populated_volume(&pod(change), &described).map(|filled| filled.finished_at), expected);
    }

    #[test]
    fn a_pod_was_filled_when_its_init_container_had_ended() {
        check(|_| (), Some(1_772_366_405));
        check(|pod| pod["spec"]["initContainers"][0]["image"] = json!("plugins:0"), None);
        check(|pod| pod["spec"]["initContainers"][0]["args"] = json!(["loader", "--only", "a"]), None);
        check(|pod| pod["spec"]["initContainers"][0]["name"] = json!("another"), None);
        check(|pod| pod["status"]["initContainerStatuses"][0]["restartCount"] = json!(1), None);
        let at_work = json!({"running": {"startedAt": "2026-03-01T12:00:00Z"}});
        check(|pod| pod["status"]["initContainerStatuses"][0]["state"] = at_work, None);
        check(|pod| pod["status"] = json!({}), None);
    }

    #[test]
    fn what_an_image_brings_is_what_its_pods_were_brought() {
        let of = |image: &str, files: &[&str]| InitContainerFiles {
            image_id: image.to_owned(),
            files: files.iter().map(|&file| file.to_owned()).collect(),
        };
        let names = |files: &[&str]| Some(of("", files).files);
        assert_eq!(common_files([]), None);
        assert_eq!(common_files([of("1", &[])]), names(&[]));
        assert_eq!(common_files([of("1", &["a"]), of("1", &["a", "b"])]), names(&["a", "b"]));
        assert_eq!(common_files([of("1", &["a", "b"]), of("2", &["b", "c"])]), names(&["b"]));
    }
}
