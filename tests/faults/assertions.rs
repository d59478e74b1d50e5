//! What must hold of servers, clients and requests after a fault.

use std::time::Instant;

use harness::{FailedRequest, Leader, LeadershipRecorder, LoadReport, Retries, eventually};
use serde_json::json;

use crate::allowed_exits::CommandExit;
use crate::fault_point::{Command, FaultPoint, PodKind};
use crate::lab::{Lab, MOUNTS, OLD, next_version};
use crate::progress;
use crate::run::{CommandRun, all_smoke_paths};
use crate::snapshot::Snapshot;

/// A node that the fault itself makes unavailable, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct ExpectedOutage {
    pub(crate) pod: String,
    pub(crate) is_active_node: bool,
    /// Whether it was killed without a word. Raft takes 5 to 10 seconds to notice that, and the official client gives up after
    /// two retries, which are 2 to 4.5 seconds.
    is_crash: bool,
    from: Instant,
    /// When a successor was active and known to all pods.
    taken_over: Option<Instant>,
    /// Upper bound of the time at which the pod was back.
    back_by: Option<Instant>,
}

impl ExpectedOutage {
    fn new(pod: &str, from: Instant) -> ExpectedOutage {
        let pod = pod.to_owned();
        ExpectedOutage { pod, is_active_node: false, is_crash: false, from, taken_over: None, back_by: None }
    }

    /// A restart of a standby: only requests sent to that pod may fail.
    pub(crate) fn standby_restart(pod: &str, from: Instant) -> ExpectedOutage {
        ExpectedOutage::new(pod, from)
    }

    /// Loss of the active node: requests may also fail until a successor is active.
    pub(crate) fn active_lost(pod: &str, from: Instant) -> ExpectedOutage {
        ExpectedOutage { is_active_node: true, ..ExpectedOutage::new(pod, from) }
    }

    /// A kill of the active node.
    pub(crate) fn active_killed(pod: &str, from: Instant) -> ExpectedOutage {
        ExpectedOutage { is_crash: true, ..ExpectedOutage::active_lost(pod, from) }
    }

    /// Whether the loss of this node explains the failure. A client with the official retries notices a step-down or a seal
    /// never, and a kill only if all its tries were over before there was another leader.
    fn covers(&self, request: &FailedRequest) -> bool {
        let within =
            |end: Option<Instant>| request.until >= self.from && end.is_some_and(|end| request.from <= end);
        let between_leaders = self.is_active_node && within(self.taken_over);
        match request.retries {
            Retries::Never => between_leaders || request.pods == [self.pod.clone()] && within(self.back_by),
            Retries::Official => {
                self.is_crash && between_leaders && self.taken_over.is_some_and(|end| request.until <= end)
            }
        }
    }
}

/// Adds the time of each takeover and of each return.
pub(crate) fn with_recovery_times(
    excuses: Vec<ExpectedOutage>,
    leadership: &LeadershipRecorder,
    leaders: &[Leader],
    now: Instant,
) -> Vec<ExpectedOutage> {
    let before = leaders.first();
    let ended = |excuse: ExpectedOutage| {
        let taken_over = before.filter(|_| excuse.is_active_node);
        ExpectedOutage {
            taken_over: taken_over.and_then(|before| leadership.taken_over_at(before)),
            back_by: Some(now),
            ..excuse
        }
    };
    excuses.into_iter().map(ended).collect()
}

/// OpenBao 2.7 refuses to renew a lease in the instant in which it reloads the lease's mount, where Vault waits for the reload.
/// docs/limits.md says so; nothing else of a reload is excused.
fn is_openbao_reload_error(pods: PodKind, request: &FailedRequest) -> bool {
    pods == PodKind::OpenBao
        && request.request.ends_with("sys/leases/renew")
        && request.response.contains("unable to retrieve system view from router")
}

/// The failed requests that no excuse covers.
pub(crate) fn unexcused_failures(
    account: &LoadReport,
    pods: PodKind,
    excuses: &[ExpectedOutage],
) -> Vec<String> {
    let failed = account.failed.iter().filter(|failed| !is_openbao_reload_error(pods, failed));
    let unexcused = failed.filter(|failed| !excuses.iter().any(|excuse| excuse.covers(failed)));
    let said = |failed: &FailedRequest| {
        let took = failed.until - failed.from;
        let since = excuses.first().map_or_else(String::new, |excuse| {
            format!(", {} ms after the fault", failed.from.saturating_duration_since(excuse.from).as_millis())
        });
        format!(
            "retries {:?}: {} at {}{since}, {} ms: {}",
            failed.retries,
            failed.request,
            failed.pods.join(", "),
            took.as_millis(),
            failed.response
        )
    };
    unexcused.map(said).collect()
}

/// Fails unless everything is as the exit code says. Nothing is repaired for it.
pub(crate) async fn assert_state(lab: &Lab, ended: &CommandRun) {
    let now = Snapshot::take(lab).await;
    let is = |expected: &Snapshot, what: &str| {
        let differences: Vec<String> = now.differs_from(expected).into_iter().map(|it| it.said).collect();
        assert!(
            differences.is_empty(),
            "{:?}, and not {what}: {differences:#?}\n{}",
            ended.exit,
            ended.stderr
        );
    };
    match ended.exit {
        CommandExit::Failed => {
            assert!(!ended.moved_back, "mounts were moved back, and it ended as if nothing had been changed");
            is(&ended.start, "as it was");
        }
        CommandExit::RolledBack => {
            assert!(ended.moved_back, "it says that it was rolled back, and no mount was");
            is(&ended.start, "as it was");
        }
        CommandExit::Done => {
            is(&ended.expected_states[ended.expected_states.len() - 1], "what was planned");
            if ended.expected_states.len() > 1 {
                let mut tried = ended.smoke_tested.clone();
                tried.sort();
                tried.dedup();
                assert_eq!(tried, all_smoke_paths(), "ended well without every trial: {}", ended.stderr);
            }
        }
        CommandExit::Interrupted => {
            let done = steps_done(&ended.stderr, ended.expected_states.len() - 1);
            assert!(ended.paused_after.is_none_or(|held| done >= held), "{done} steps: {}", ended.stderr);
            is(&ended.expected_states[done], "what the steps make that it says to have done");
            let between = now.between_versions();
            assert!(between.is_empty(), "interrupted, and this is left between two versions: {between:?}");
        }
        CommandExit::Killed => match ended.paused_after {
            Some(done) => is(&ended.expected_states[done], "what it had done when it was killed"),
            // What was copied so far is there; nothing knows of it.
            None => {
                let known = now.without_files().differs_from(&ended.start.without_files());
                assert!(known.is_empty(), "killed while it copied, and there is {known:?}");
            }
        },
        CommandExit::ManualIntervention => {
            for difference in now.differs_from(&ended.start) {
                assert!(
                    difference.is_named_in(&ended.stderr),
                    "this is left and not said: {}\n{}",
                    difference.said,
                    ended.stderr
                );
            }
        }
    }
}

/// How many steps an interrupted command says to have done.
fn steps_done(said: &str, steps: usize) -> usize {
    if said.contains("interrupted before anything was changed") {
        return 0;
    }
    if said.contains("interrupted after everything was done") {
        return steps;
    }
    let number = said.split("interrupted after ").nth(1).and_then(|rest| rest.split(' ').next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("it does not say how far it came: {said}"))
}

/// Fails unless what the command is for is reached: what every mount runs, on every node, and nothing is left beside it.
pub(crate) async fn assert_goal(lab: &Lab, point: FaultPoint) {
    let (version, versions) = match (point.command(), point.pods) {
        (Command::Rollback, _) => (OLD.to_owned(), vec![OLD.to_owned(), next_version()]),
        (Command::Reload, PodKind::Usual | PodKind::Tls | PodKind::WithoutShell) => {
            (OLD.to_owned(), vec![OLD.to_owned()])
        }
        _ => (next_version(), vec![OLD.to_owned(), next_version()]),
    };
    let now = Snapshot::take(lab).await;
    let expected = now.goal(lab, &version, &versions);
    let differences: Vec<String> = now.differs_from(&expected).into_iter().map(|it| it.said).collect();
    assert!(differences.is_empty(), "the same command again has ended well, and there is {differences:#?}");
    for pod in lab.pods.names() {
        for mount in MOUNTS {
            let running = lab.running_on(pod, mount).await;
            assert_eq!(running, format!("v{version}"), "{mount}/ on {pod}");
        }
    }
}

/// Has Vault take back what was announced, as if the time had passed in which its request may still be on its way, and fails
/// unless every one of those tokens is revoked.
pub(crate) async fn assert_wal_rolled_back(lab: &Lab) {
    progress::step("waiting until Vault has the write-ahead log rolled back");
    for (path, mut entry, _) in lab.wal_entries().await {
        entry["created_at"] = json!(entry["created_at"].as_i64().unwrap() - 3600);
        lab.send("PUT", &path, Some(json!({"value": entry.to_string()}))).await;
    }
    // Once a minute.
    eventually("every announced token is revoked", async || lab.upstream.live().is_empty().then_some(()))
        .await;
    eventually("nothing is announced", async || lab.wal_entries().await.is_empty().then_some(())).await;
}
