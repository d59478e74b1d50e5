//! Whether anything can be asked of a pod.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use rollout::{Readiness, printable_line};

/// The words of every kernel and runtime for it.
const EXEC_FORMAT_ERROR: &str = "exec format error";

/// Enough for an error and its cure.
const MAX_MESSAGE_LENGTH: usize = 600;

/// Whether the container of a pod runs. A server in it may still be sealed, which that server says.
pub(super) fn readiness(pod: Option<&Pod>, container: &str) -> Readiness {
    match not_ready_reason(pod, container) {
        Some(why) => Readiness::NotReady { reason: why },
        None => Readiness::Ready,
    }
}

/// The container that runs; another after each start.
pub(super) fn container_id(pod: &Pod, container: &str) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|it| it.name == container)?.container_id.clone()
}

/// Whether the cluster counts it as ready, as disruption budgets do.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
}

fn not_ready_reason(pod: Option<&Pod>, container: &str) -> Option<String> {
    let Some(pod) = pod else { return Some("the pod does not exist yet".into()) };
    if pod.metadata.deletion_timestamp.is_some() {
        return Some("the pod is being deleted".into());
    }
    let Some(status) = &pod.status else { return Some("nothing is known of the pod yet".into()) };
    let of_init = status.init_container_statuses.iter().flatten();
    if let Some(stuck) = of_init.filter_map(container_problem).next() {
        return Some(stuck);
    }
    let of_it = status.container_statuses.iter().flatten().find(|it| it.name == container);
    if let Some(it) = of_it {
        if it.state.as_ref().is_some_and(|state| state.running.is_some()) {
            return None;
        }
        if let Some(stuck) = container_problem(it) {
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
fn container_problem(status: &ContainerStatus) -> Option<String> {
    let name = &status.name;
    let state = status.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().filter(|reason| *reason != "PodInitializing")?;
        let before = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        // Why it is not started again at once is less than why it had to be.
        let more = match before.and_then(termination_message) {
            Some(said) => format!(": {said}"),
            None => waiting.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default(),
        };
        return Some(format!("its container {name} waits: {reason}{more}"));
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    let more = termination_message(ended).map(|said| format!(": {said}")).unwrap_or_default();
    Some(format!("its container {name} has ended with exit code {}{more}", ended.exit_code))
}

/// The last words of a container, where the cluster keeps them, in one line.
fn termination_message(ended: &ContainerStateTerminated) -> Option<String> {
    let words = ended.message.as_deref()?.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut said = printable_line(&words, MAX_MESSAGE_LENGTH);
    if said.contains(EXEC_FORMAT_ERROR) {
        said.push_str(
            "; the image is not for this node's machine: `package --platform` makes it for several",
        );
    }
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[track_caller]
    fn check(status: Value, expected: Option<&str>) {
        let pod: Pod = serde_json::from_value(json!({"metadata": {}, "status": status})).expect("a pod");
        assert_eq!(not_ready_reason(Some(&pod), "vault").as_deref(), expected);
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
        let last = |message: &str| {
            let mut init = init.clone();
            init[0]["lastState"] = json!({"terminated": {"exitCode": 1, "message": message}});
            json!({"phase": "Pending", "initContainerStatuses": init, "containerStatuses": waits})
        };
        check(
            last("Error: no room\n\nMake \u{1b}room.\n"),
            Some("its container copy waits: CrashLoopBackOff: Error: no room Make room."),
        );
        check(
            last("exec /copy: exec format error"),
            Some(
                "its container copy waits: CrashLoopBackOff: exec /copy: exec format error; the image is not for this \
                 node's machine: `package --platform` makes it for several",
            ),
        );
        check(
            json!({"phase": "Pending", "initContainerStatuses": init, "containerStatuses": waits}),
            Some("its container copy waits: CrashLoopBackOff"),
        );
    }

    #[test]
    fn a_pod_that_goes_and_one_that_is_not_there_cannot() {
        let going = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {}});
        let going: Pod = serde_json::from_value(going).expect("a pod");
        assert_eq!(not_ready_reason(Some(&going), "vault").as_deref(), Some("the pod is being deleted"));
        assert_eq!(not_ready_reason(None, "vault").as_deref(), Some("the pod does not exist yet"));
    }
}
