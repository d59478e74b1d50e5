//! The files of an init container's image, derived from the files in the pods that it has filled. The image itself is not read.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod};

/// The files that an init container has copied in one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InitContainerFiles {
    /// Digest of the image. Pods with the same digest got the same files.
    pub(super) image_id: String,
    /// Files in the directory when the init container had ended.
    pub(super) files: BTreeSet<String>,
}

/// The run of an init container in a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PopulatedVolume {
    pub(super) image_id: String,
    /// End of the run, in seconds. The volume was empty at the start, so a file that has not been changed since then was copied by the init
    /// container.
    pub(super) finished_at: i64,
}

/// Returns the run of an init container, if it would have the same result today. Returns `None` if the pod was created before a change of
/// `template`, if the container runs beside the server, and if it ran again, because it found files that were copied later.
pub(super) fn populated_volume(pod: &Pod, template: &Container) -> Option<PopulatedVolume> {
    let name = &template.name;
    let container = pod.spec.as_ref()?.init_containers.iter().flatten().find(|it| it.name == *name)?;
    let is_same = container.image == template.image
        && container.command == template.command
        && container.args == template.args
        && container.env == template.env;
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

/// Returns the files that every pod got. Pods with the same image are combined, because a file may have been changed in one of them. If pods
/// have different images under one name, only their common files are certain.
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

    fn template() -> Value {
        json!({"name": "plugins", "image": "plugins:1", "args": ["loader"]})
    }

    /// A pod as the API server returns it, with one change.
    fn pod(change: impl FnOnce(&mut Value)) -> Pod {
        let ended =
            json!({"exitCode": 0, "startedAt": "2026-03-01T12:00:00Z", "finishedAt": "2026-03-01T12:00:05Z"});
        let mut pod = json!({
            "metadata": {},
            "spec": {"containers": [], "initContainers": [template()]},
            "status": {"initContainerStatuses": [{
                "name": "plugins", "image": "plugins:1", "imageID": "sha256:1", "ready": true, "restartCount": 0,
                "state": {"terminated": ended},
            }]},
        });
        // As the cluster adds it.
        pod["spec"]["initContainers"][0]["volumeMounts"] =
            json!([{"name": "token", "mountPath": "/var/run"}]);
        change(&mut pod);
        serde_json::from_value(pod).expect("a pod")
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Value), expected: Option<i64>) {
        let template = serde_json::from_value(template()).expect("a container");
        assert_eq!(
            populated_volume(&pod(change), &template).map(|populated| populated.finished_at),
            expected
        );
    }

    #[test]
    fn a_pod_was_filled_when_its_init_container_had_ended() {
        check(|_| (), Some(1_772_366_405));
        check(|pod| pod["spec"]["initContainers"][0]["image"] = json!("plugins:0"), None);
        check(|pod| pod["spec"]["initContainers"][0]["args"] = json!(["loader", "--only", "a"]), None);
        check(|pod| pod["spec"]["initContainers"][0]["name"] = json!("another"), None);
        check(|pod| pod["status"]["initContainerStatuses"][0]["restartCount"] = json!(1), None);
        let running = json!({"running": {"startedAt": "2026-03-01T12:00:00Z"}});
        check(|pod| pod["status"]["initContainerStatuses"][0]["state"] = running, None);
        check(|pod| pod["status"] = json!({}), None);
    }

    #[test]
    fn the_files_of_an_image_are_those_that_its_pods_got() {
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
