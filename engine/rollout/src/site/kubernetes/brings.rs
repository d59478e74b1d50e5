//! What an init container has brought: this program says it when it ends, and the cluster keeps it with the pod.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;

use super::facts::plain;
use crate::observed::site::Keeping;

/// What a container writes to this file when it ends is part of its pod's status.
pub const MESSAGE_FILE: &str = "/dev/termination-log";

/// As much as a cluster keeps of a message.
const LONGEST: usize = 4096;

const BRINGS: &str = "brings";

/// The message that names these files; `None` where it would be cut off.
pub fn message<'a>(files: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut text = BRINGS.to_owned();
    files.into_iter().for_each(|file| {
        text.push(' ');
        text.push_str(file);
    });
    text.push('\n');
    (text.len() <= LONGEST).then_some(text)
}

fn parse(message: &str) -> Option<BTreeSet<String>> {
    let mut words = message.strip_suffix('\n')?.split(' ');
    (words.next()? == BRINGS).then_some(())?;
    words.map(|word| plain(word).map(str::to_owned)).collect()
}

/// With the files that pods of the image say it brings; where they differ, what all of them say.
pub(super) fn told_by<'a>(pods: impl IntoIterator<Item = &'a Pod>, keeping: Keeping) -> Keeping {
    let Keeping::InitContainer { name, image, brings: None } = keeping else { return keeping };
    let all = pods.into_iter().filter_map(|pod| told(pod, &name, &image));
    let brings = all.reduce(|a, b| a.intersection(&b).cloned().collect());
    Keeping::InitContainer { name, image, brings }
}

/// `None` for a pod that was made of another image, and for a container that says nothing.
fn told(pod: &Pod, container: &str, image: &str) -> Option<BTreeSet<String>> {
    let of_image = pod.spec.as_ref()?.init_containers.iter().flatten().find(|it| it.name == container)?;
    (of_image.image.as_deref()? == image).then_some(())?;
    let statuses = pod.status.as_ref()?.init_container_statuses.iter().flatten();
    let status = statuses.into_iter().find(|it| it.name == container)?;
    let ended = status.state.as_ref()?.terminated.as_ref().filter(|ended| ended.exit_code == 0)?;
    parse(ended.message.as_deref()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(image: &str, message: &str) -> Pod {
        let ended = json!({"terminated": {"exitCode": 0, "message": message}});
        serde_json::from_value(json!({
            "metadata": {},
            "spec": {"containers": [], "initContainers": [{"name": "plugins", "image": image}]},
            "status": {"initContainerStatuses": [
                {"name": "plugins", "image": "", "imageID": "", "ready": true, "restartCount": 0, "state": ended},
            ]},
        }))
        .expect("a pod")
    }

    #[track_caller]
    fn check(pods: &[Pod], expected: Option<&[&str]>) {
        let keeping = Keeping::InitContainer { name: "plugins".into(), image: "r/p:2".into(), brings: None };
        let expected = expected.map(|files| files.iter().map(|file| (*file).to_owned()).collect());
        let told = Keeping::InitContainer { name: "plugins".into(), image: "r/p:2".into(), brings: expected };
        assert_eq!(told_by(pods, keeping), told);
    }

    #[test]
    fn pods_tell_what_their_image_brings() {
        let says = message(["a-1.0.0", "b-1.0.0"]).expect("short");
        check(&[pod("r/p:2", &says)], Some(&["a-1.0.0", "b-1.0.0"]));
        check(&[pod("r/p:1", &says)], None);
        check(&[pod("r/p:2", &says), pod("r/p:1", "")], Some(&["a-1.0.0", "b-1.0.0"]));
        let less = message(["a-1.0.0"]).expect("short");
        check(&[pod("r/p:2", &says), pod("r/p:2", &less)], Some(&["a-1.0.0"]));
        for other in ["", "done", "brings", "brings ../x\n", "brings a-1.0.0", "bringsa\n"] {
            check(&[pod("r/p:2", other)], None);
        }
        check(&[pod("r/p:2", "brings\n")], Some(&[]));
    }

    #[test]
    fn what_would_be_cut_off_is_not_said() {
        let name = "a".repeat(100);
        assert_eq!(message(std::iter::repeat_n(&*name, 50)), None);
    }
}
