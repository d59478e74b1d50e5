//! One fault: the load, the command, what happens to it, and what must hold then.

mod bad_version;
mod disturbance;
mod injection;
mod obstacle;

use std::time::{Duration, Instant};

use harness::{LeadershipRecorder, LoadGenerator, LoadReport, Retries};
use serde_json::Value;

use crate::allowed_exits::{CommandExit, allowed_exits};
use crate::assertions::{self, ExpectedOutage};
use crate::fault_point::{Command, Disturbance, Fault, FaultPoint};
use crate::lab::{Lab, MOUNTS};
use crate::progress;
use crate::snapshot::Snapshot;

/// How a command has ended, and what is known of its way there.
pub(crate) struct CommandRun {
    pub(crate) exit: CommandExit,
    /// Standard error.
    pub(crate) stderr: String,
    /// Before the command, with what the fault itself has changed meanwhile.
    pub(crate) start: Snapshot,
    /// The expected state after each step of the plan, beginning with none.
    pub(crate) expected_states: Vec<Snapshot>,
    /// How many steps were done at the fault; nothing while files are copied.
    pub(crate) paused_after: Option<usize>,
    /// Trials that were passed on mounts.
    pub(crate) smoke_tested: Vec<String>,
    /// Whether it moved mounts back.
    pub(crate) moved_back: bool,
    /// Nodes that the fault makes unavailable.
    pub(crate) excuses: Vec<ExpectedOutage>,
    pub(crate) elections: usize,
}

/// What a fault has shown.
pub(crate) struct FaultOutcome {
    /// Why the run is void: raft has elected another leader without a fault.
    pub(crate) void: Option<String>,
    /// How the command has ended, and how the requests were.
    pub(crate) summary: String,
    pub(crate) failed_requests: usize,
    pub(crate) max_latency: Duration,
}

/// Runs a fault on pods that run the old version, which they do again afterwards.
pub(crate) async fn run(lab: &mut Lab, point: FaultPoint) -> FaultOutcome {
    lab.prepare(point.command()).await;
    let leadership = LeadershipRecorder::start(&lab.pods).await;
    let begun = Instant::now();
    let load = lab.load();
    load.wait_progress().await;
    let ended = match point.what {
        Fault::During(command, at, what) => disturbance::run(lab, point, command, at, what).await,
        Fault::BadVersion(what) => bad_version::run(lab, what).await,
        Fault::Obstacle(what) => obstacle::run(lab, what).await,
    };
    let allowed = allowed_exits(point);
    assert!(
        allowed.contains(&ended.exit),
        "it ended with {:?} and not one of {allowed:?}:\n{}",
        ended.exit,
        ended.stderr
    );
    progress::step("looking at what is there");
    assertions::assert_state(lab, &ended).await;
    // Nothing is repaired before this line.
    repair(lab, point, &load).await;
    let (again, restarts) = rerun(lab, point, &ended).await;
    load.wait_progress().await;

    let account = load.stop().await;
    assert!(account.wrong_responses.is_empty(), "wrong answers: {:?}", account.wrong_responses);
    let leaders = leadership.leaders_since(begun);
    let unasked = leaders.len() > 1 + ended.elections;
    let excuses = assertions::with_recovery_times(
        [ended.excuses, restarts].concat(),
        &leadership,
        &leaders,
        Instant::now(),
    );
    let failed = assertions::unexcused_failures(&account, point.pods, &excuses);
    assert!(unasked || failed.is_empty(), "requests failed: {failed:#?}");
    let only_announced = lab.settle_leases(&account).await;
    if matches!(point.what, Fault::During(_, _, Disturbance::ActiveKilledWhileIssuing)) {
        assert!(!only_announced.is_empty(), "no token was caught that only the write-ahead log knows");
        assertions::assert_wal_rolled_back(lab).await;
    }
    if !point.changes_pod_count() {
        progress::step("putting everything back");
        lab.reset().await;
    }
    FaultOutcome {
        void: (unasked || again == RerunResult::Void)
            .then(|| format!("{} leaders in a row, more than the fault explains", leaders.len())),
        summary: format!("{:?}; {}", ended.exit, request_summary(&account)),
        failed_requests: account.failed.len(),
        max_latency: account.max_latency,
    }
}

/// Repairs what the fault broke, as an operator or a controller would.
async fn repair(lab: &Lab, point: FaultPoint, load: &LoadGenerator) {
    match point.what {
        Fault::During(_, _, what) => injection::repair(lab, what).await,
        Fault::BadVersion(what) => bad_version::repair(lab, what).await,
        Fault::Obstacle(what) => obstacle::repair(lab, what).await,
    }
    progress::step("waiting for all pods");
    lab.pods.wait_all_ready().await;
    progress::step("waiting for a credential for every client");
    load.wait_progress().await;
    lab.write_role().await;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum RerunResult {
    Held,
    Void,
}

/// Runs the same command again, which must finish or have nothing to do.
async fn rerun(lab: &Lab, point: FaultPoint, first: &CommandRun) -> (RerunResult, Vec<ExpectedOutage>) {
    let command = point.command();
    let mut restarts = Vec::new();
    for _ in 0..2 {
        let leadership = LeadershipRecorder::start(&lab.pods).await;
        let begun = Instant::now();
        progress::step("the same command again");
        let again = lab.run(&lab.args(command)).await;
        let pods = again.stderr.lines().filter_map(disturbance::restarted_node);
        restarts.extend(pods.map(|pod| ExpectedOutage::standby_restart(pod, begun)));
        if again.code != Some(0) && leadership.leaders_since(begun).len() > 1 {
            lab.pods.wait_all_ready().await;
            continue;
        }
        assert_eq!(again.code, Some(0), "the same command again: {again:?}\nat first: {}", first.stderr);
        if first.exit == CommandExit::Done && command != Command::Reload {
            let needless = again.stdout.contains("nothing_to_do") || again.stdout.contains("Nothing to do");
            assert!(needless, "after it had ended well it did something again: {}", again.stdout);
        }
        assertions::assert_goal(lab, point).await;
        return (RerunResult::Held, restarts);
    }
    (RerunResult::Void, restarts)
}

/// Runs a command that writes its events to its end, with nothing that happens to it.
async fn run_undisturbed(lab: &Lab, start: Snapshot, args: &[String]) -> CommandRun {
    let output = lab.run(args).await;
    let events = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let events: Vec<Value> = events.collect();
    let planned = events.iter().find(|event| event["event"] == "planned");
    let steps = planned.map_or_else(Vec::new, |event| event["steps"].as_array().unwrap().clone());
    let is_trial =
        |event: &&Value| event["event"] == "step_done" && event["step"]["step"] == "smoke_test_mount";
    let tried =
        events.iter().filter(is_trial).map(|event| event["step"]["path"].as_str().unwrap().to_owned());
    CommandRun {
        exit: CommandExit::from_code(output.code)
            .unwrap_or_else(|| panic!("no exit code of docs/output.md: {output:?}")),
        expected_states: expected_states(&start, &steps),
        start,
        paused_after: None,
        smoke_tested: tried.collect(),
        moved_back: events.iter().any(|event| event["event"] == "rolling_back"),
        stderr: output.stderr,
        excuses: Vec::new(),
        elections: 0,
    }
}

/// The expected state after each step of a plan, beginning with none.
fn expected_states(start: &Snapshot, steps: &[Value]) -> Vec<Snapshot> {
    let mut stages = vec![start.clone()];
    for step in steps {
        let mut next = stages[stages.len() - 1].clone();
        next.apply(step);
        stages.push(next);
    }
    stages
}

/// The paths that an upgrade of all mounts tries on them.
pub(crate) fn all_smoke_paths() -> Vec<String> {
    MOUNTS.map(|mount| format!("{mount}/{}", crate::lab::SMOKE_PATH)).to_vec()
}

fn request_summary(account: &LoadReport) -> String {
    let of = |retries| account.failed.iter().filter(|failed| failed.retries == retries).count();
    format!(
        "{} requests, failed {} without and {} with retries, longest {} ms",
        account.requests,
        of(Retries::Never),
        of(Retries::Official),
        account.max_latency.as_millis()
    )
}
