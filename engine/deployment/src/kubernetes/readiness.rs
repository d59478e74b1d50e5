//! Whether the container of a pod runs, so that commands can be run in it.

use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use rollout::{Readiness, printable_line};

/// Part of the message of every container runtime.
const EXEC_FORMAT_ERROR: &str = "exec format error";

/// Enough for an error and its fix.
const MAX_MESSAGE_LENGTH: usize = 600;

/// Whether the container of a pod runs. The server in it may still be sealed.
pub(super) fn readiness(pod: Option<&Pod>, container: &str) -> Readiness {
    match not_ready_reason(pod, container) {
        Some(why) => Readiness::NotReady { reason: why },
        None => Readiness::Ready,
    }
}

/// Id of the running container, which changes with each start.
pub(super) fn container_id(pod: &Pod, container: &str) -> Option<String> {
    let statuses = pod.status.as_ref()?.container_statuses.as_ref()?;
    statuses.iter().find(|it| it.name == container)?.container_id.clone()
}

/// Whether the pod has the condition `Ready`, as disruption budgets require.
pub(super) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|it| it.type_ == "Ready" && it.status == "True")
}

fn not_ready_reason(pod: Option<&Pod>, container: &str) -> Option<String> {
    let Some(pod) = pod else { return Some("the pod does not exist yet".into()) };
    if pod.metadata.deletion_timestamp.is_some() {
        return Some("the pod is being deleted".into());
    }
    let Some(status) = &pod.status else { return Some("the pod has no status yet".into()) };
    let init_statuses = status.init_container_statuses.iter().flatten();
    if let Some(stuck) = init_statuses.filter_map(container_problem).next() {
        return Some(stuck);
    }
    let server_status = status.container_statuses.iter().flatten().find(|it| it.name == container);
    if let Some(status) = server_status {
        if status.state.as_ref().is_some_and(|state| state.running.is_some()) {
            return None;
        }
        if let Some(stuck) = container_problem(status) {
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

/// Returns what a container waits for, or why it has failed.
fn container_problem(status: &ContainerStatus) -> Option<String> {
    let name = &status.name;
    let state = status.state.as_ref()?;
    if let Some(waiting) = &state.waiting {
        let reason = waiting.reason.as_deref().filter(|reason| *reason != "PodInitializing")?;
        let before = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        // Why the previous run failed is more useful than why the next one is delayed.
        let detail = match before.and_then(termination_message) {
            Some(message) => format!(": {message}"),
            None => waiting.message.as_ref().map(|message| format!(": {message}")).unwrap_or_default(),
        };
        return Some(format!("its container {name} is waiting: {reason}{detail}"));
    }
    let ended = state.terminated.as_ref().filter(|ended| ended.exit_code != 0)?;
    let detail = termination_message(ended).map(|message| format!(": {message}")).unwrap_or_default();
    Some(format!("its container {name} has ended with exit code {}{detail}", ended.exit_code))
}

/// The termination message of a container, in one line.
fn termination_message(ended: &ContainerStateTerminated) -> Option<String> {
    let words = ended.message.as_deref()?.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut message = printable_line(&words, MAX_MESSAGE_LENGTH);
    if message.contains(EXEC_FORMAT_ERROR) {
        message.push_str(
            "; the image is built for another architecture: `package --platform` builds it for several",
        );
    }
    (!message.is_empty()).then_some(message)
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
    fn a_pod_is_ready_when_its_container_runs() {
        let running = json!({"name": "vault", "state": {"running": {}}});
        check(json!({"phase": "Running", "containerStatuses": [running]}), None);
        let of = |state: Value| json!([{"name": "vault", "state": state}]);
        let pull = json!({"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}});
        check(
            json!({"phase": "Pending", "containerStatuses": of(pull)}),
            Some("its container vault is waiting: ImagePullBackOff: no such image"),
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
            Some("its container copy is waiting: CrashLoopBackOff: Error: no room Make room."),
        );
        check(
            last("exec /copy: exec format error"),
            Some(
                "its container copy is waiting: CrashLoopBackOff: exec /copy: exec format error; the image is built for \
                 another architecture: `package --platform` builds it for several",
            ),
        );
        check(
            json!({"phase": "Pending", "initContainerStatuses": init, "containerStatuses": waits}),
            Some("its container copy is waiting: CrashLoopBackOff"),
        );
    }

    #[test]
    fn a_pod_that_is_being_deleted_and_one_that_does_not_exist_are_not_ready() {
        let deleted = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {}});
        let deleted: Pod = serde_json::from_value(deleted).expect("a pod");
        assert_eq!(not_ready_reason(Some(&deleted), "vault").as_deref(), Some("the pod is being deleted"));
        assert_eq!(not_ready_reason(None, "vault").as_deref(), Some("the pod does not exist yet"));
    }
}
