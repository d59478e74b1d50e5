//! Whether anything can be asked of a pod.

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::observed::site::Presence;

/// Whether the container of a pod runs. A server in it may still be sealed, which that server says.
pub(super) fn presence(pod: Option<&Pod>, container: &str) -> Presence {
    match why_not(pod, container) {
        Some(why) => Presence::NotReady { why },
        None => Presence::Ready,
    }
}

fn why_not(pod: Option<&Pod>, container: &str) -> Option<String> {
    let Some(pod) = pod else { return Some("the pod does not exist yet".into()) };
    if pod.metadata.deletion_timestamp.is_some() {
        return Some("the pod is being deleted".into());
    }
    let Some(status) = &pod.status else { return Some("nothing is known of the pod yet".into()) };
    let of_init = status.init_container_statuses.iter().flatten();
    if let Some(stuck) = of_init.filter_map(waits).next() {
        return Some(stuck);
    }
    let of_it = status.container_statuses.iter().flatten().find(|it| it.name == container);
    if let Some(it) = of_it {
        if it.state.as_ref().is_some_and(|state| state.running.is_some()) {
            return None;
        }
        if let Some(stuck) = waits(it) {
            return Some(stuck);
        }
    }
    let unscheduled =
        status.conditions.iter().flatten().find(|it| it.type_ == "PodScheduled" && it.status == "False");
    let why = unscheduled.and_then(|it| it.message.as_ref()).or(status.message.as_ref());
    let phase = status.phase.as_deref().unwrap_or("unknown");
    Some(match why {
        Some(why) => format!("the pod is {phase}: {why}"),
        None => format!("the pod is {phase}"),
    })
}

/// What a container waits for, or what it ended with, when that is worth a word.
fn waits(status: &ContainerStatus) -> Option<String> {
    let name = &status.name;
    let state = status.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().filter(|reason| *reason != "PodInitializing")?;
        let more = waiting.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default();
        return Some(format!("its container {name} waits: {reason}{more}"));
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    Some(format!("its container {name} has ended with exit code {}", ended.exit_code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(status: Value, expected: Option<&str>) {
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "status": status})).expect("a pod");
        assert_eq!(why_not(Some(&pod), "vault").as_deref(), expected);
    }

    #[test]
    fn a_pod_can_be_asked_when_its_container_runs() {
        let running = json!({"name": "vault", "state": {"running": {}}});
        check(json!({"phase": "Running", "containerStatuses": [running]}), None);
        let of = |state: Value| json!([{"name": "vault", "state": state}]);
        let pull = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
        check(
            json!({"phase": "Pending", "containerStatuses": of(pull)}),
            Some("its container vault waits: ImagePullBackOff: no such image"),
        );
        let crash = json!({"terminated": {"exitCode": 137}});
        check(
            json!({"phase": "Running", "containerStatuses": of(crash)}),
            Some("its container vault has ended with exit code 137"),
        );
        let condition =
            json!({"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"});
        check(
            json!({"phase": "Pending", "conditions": [condition]}),
            Some("the pod is Pending: 0/1 nodes are available"),
        );
        check(json!({"phase": "Pending"}), Some("the pod is Pending"));
        let init = json!([{"name": "copy", "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]);
        let waits = of(json!({"waiting": {"reason": "PodInitializing"}}));
        check(
            json!({"phase": "Pending", "initContainerStatuses": init, "containerStatuses": waits}),
            Some("its container copy waits: CrashLoopBackOff"),
        );
    }

    #[test]
    fn a_pod_that_goes_and_one_that_is_not_there_cannot() {
        let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {}});
        let going: Pod = serde_json::from_value(going).expect("a pod");
        assert_eq!(why_not(Some(&going), "vault").as_deref(), Some("the pod is being deleted"));
        assert_eq!(why_not(None, "vault").as_deref(), Some("the pod does not exist yet"));
    }
}
