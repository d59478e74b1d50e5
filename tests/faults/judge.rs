//! What must hold of servers, clients and requests after a fault.

use std::time::Instant;

use harness::{Account, FailedRequest, Leader, Leadership, Retries, eventually};
use serde_json::json;

use crate::exits::Exit;
use crate::lab::{Lab, MOUNTS, OLD, new};
use crate::point::{Command, FaultPoint, PodKind};
use crate::progress;
use crate::run::{Ended, all_trials};
use crate::snapshot::Snapshot;

/// A node that the fault itself makes unavailable, and for how long.
#[derive(Clone, Debug)]
pub(crate) struct Excuse {
    pub(crate) pod: String,
    pub(crate) takes_the_active: bool,
    /// Whether it was killed without a word. Raft takes 5 to 10 seconds to notice that, and the official client gives up after
    /// two retries, which are 2 to 4.5 seconds.
    is_silent: bool,
    from: Instant,
    /// When a successor was active and known to all pods.
    taken_over: Option<Instant>,
    /// Upper bound of the time at which the pod was back.
    back: Option<Instant>,
}

impl Excuse {
    fn new(pod: &str, from: Instant) -> Excuse {
        let pod = pod.to_owned();
        Excuse { pod, takes_the_active: false, is_silent: false, from, taken_over: None, back: None }
    }

    /// A restart of a standby: only requests sent to that pod may fail.
    pub(crate) fn of_restart(pod: &str, from: Instant) -> Excuse {
        Excuse::new(pod, from)
    }

    /// Loss of the active node: requests may also fail until a successor is active.
    pub(crate) fn of_active(pod: &str, from: Instant) -> Excuse {
        Excuse { takes_the_active: true, ..Excuse::new(pod, from) }
    }

    /// A kill of the active node.
    pub(crate) fn of_kill(pod: &str, from: Instant) -> Excuse {
        Excuse { is_silent: true, ..Excuse::of_active(pod, from) }
    }

    /// Whether the loss of this node explains the failure. A client with the official retries notices a step-down or a seal
    /// never, and a kill only if all its tries were over before there was another leader.
    fn covers(&self, request: &FailedRequest) -> bool {
        let within =
            |end: Option<Instant>| request.until >= self.from && end.is_some_and(|end| request.from <= end);
        let between_leaders = self.takes_the_active && within(self.taken_over);
        match request.retries {
            Retries::Never => between_leaders || request.pods == [self.pod.clone()] && within(self.back),
            Retries::Official => {
                self.is_silent && between_leaders && self.taken_over.is_some_and(|end| request.until <= end)
            }
        }
    }
}

/// Adds the time of each takeover and of each return.
pub(crate) fn with_ends(
    excuses: Vec<Excuse>,
    leadership: &Leadership,
    leaders: &[Leader],
    now: Instant,
) -> Vec<Excuse> {
    let before = leaders.first();
    let ended = |excuse: Excuse| {
        let taken_over = before.filter(|_| excuse.takes_the_active);
        Excuse {
            taken_over: taken_over.and_then(|before| leadership.taken_over(before)),
            back: Some(now),
            ..excuse
        }
    };
    excuses.into_iter().map(ended).collect()
}

/// OpenBao 2.7 refuses to renew a lease in the instant in which it reloads the lease's mount, where Vault waits for the reload.
/// README says so under "Limits"; nothing else of a reload is excused.
fn is_refused_by_open_bao(pods: PodKind, request: &FailedRequest) -> bool {
    pods == PodKind::OpenBao
        && request.request.ends_with("sys/leases/renew")
        && request.got.contains("unable to retrieve system view from router")
}

/// The failed requests that no excuse covers.
pub(crate) fn requests(account: &Account, pods: PodKind, excuses: &[Excuse]) -> Vec<String> {
    let failed = account.failed.iter().filter(|failed| !is_refused_by_open_bao(pods, failed));
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
            failed.got
        )
    };
    unexcused.map(said).collect()
}

/// Fails unless everything is as the exit code says. Nothing is repaired for it.
pub(crate) async fn state(lab: &Lab, ended: &Ended) {
    let now = Snapshot::take(lab).await;
    let is = |expected: &Snapshot, what: &str| {
        let differences: Vec<String> = now.differs_from(expected).into_iter().map(|it| it.said).collect();
        assert!(differences.is_empty(), "{:?}, and not {what}: {differences:#?}\n{}", ended.exit, ended.said);
    };
    match ended.exit {
        Exit::Failed => {
            assert!(!ended.moved_back, "mounts were moved back, and it ended as if nothing had been changed");
            is(&ended.start, "as it was");
        }
        Exit::RolledBack => {
            assert!(ended.moved_back, "it says that it was rolled back, and no mount was");
            is(&ended.start, "as it was");
        }
        Exit::Done => {
            is(&ended.stages[ended.stages.len() - 1], "what was planned");
            if ended.stages.len() > 1 {
                let mut tried = ended.tried.clone();
                tried.sort();
                tried.dedup();
                assert_eq!(tried, all_trials(), "ended well without every trial: {}", ended.said);
            }
        }
        Exit::Interrupted => {
            let done = steps_done(&ended.said, ended.stages.len() - 1);
            assert!(ended.held_after.is_none_or(|held| done >= held), "{done} steps: {}", ended.said);
            is(&ended.stages[done], "what the steps make that it says to have done");
            let between = now.between_versions();
            assert!(between.is_empty(), "interrupted, and this is left between two versions: {between:?}");
        }
        Exit::Killed => match ended.held_after {
            Some(done) => is(&ended.stages[done], "what it had done when it was killed"),
            // What was copied so far is there; nothing knows of it.
            None => {
                let known = now.without_files().differs_from(&ended.start.without_files());
                assert!(known.is_empty(), "killed while it copied, and there is {known:?}");
            }
        },
        Exit::NeedsPerson => {
            for difference in now.differs_from(&ended.start) {
                assert!(
                    difference.is_named_in(&ended.said),
                    "this is left and not said: {}\n{}",
                    difference.said,
                    ended.said
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
pub(crate) async fn goal(lab: &Lab, point: FaultPoint) {
    let (version, versions) = match (point.command(), point.pods) {
        (Command::Rollback, _) => (OLD.to_owned(), vec![OLD.to_owned(), new()]),
        (Command::Reload, PodKind::Usual | PodKind::Tls | PodKind::WithoutShell) => {
            (OLD.to_owned(), vec![OLD.to_owned()])
        }
        _ => (new(), vec![OLD.to_owned(), new()]),
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
pub(crate) async fn takes_back(lab: &Lab) {
    progress::step("waiting until Vault has the write-ahead log rolled back");
    for (path, mut entry, _) in lab.announced().await {
        entry["created_at"] = json!(entry["created_at"].as_i64().unwrap() - 3600);
        lab.send("PUT", &path, Some(json!({"value": entry.to_string()}))).await;
    }
    // Once a minute.
    eventually("every announced token is revoked", async || lab.upstream.live().is_empty().then_some(()))
        .await;
    eventually("nothing is announced", async || lab.announced().await.is_empty().then_some(())).await;
}
