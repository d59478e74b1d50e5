//! One fault: the load, the command, what happens to it, and what must hold then.

mod bad_version;
mod during;
mod obstacle;
mod strike;

use std::time::{Duration, Instant};

use harness::{Account, Leadership, Load, Retries};
use serde_json::Value;

use crate::exits::{Exit, allowed};
use crate::judge::{self, Excuse};
use crate::lab::{Lab, MOUNTS};
use crate::point::{Command, Disturbance, Fault, FaultPoint};
use crate::progress;
use crate::snapshot::Snapshot;

/// How a command has ended, and what is known of its way there.
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    /// Standard error.
    pub(crate) said: String,
    /// Before the command, with what the fault itself has changed meanwhile.
    pub(crate) start: Snapshot,
    /// The expected state after each step of the plan, beginning with none.
    pub(crate) stages: Vec<Snapshot>,
    /// How many steps were done at the fault; nothing while files are copied.
    pub(crate) held_after: Option<usize>,
    /// Trials that were passed on mounts.
    pub(crate) tried: Vec<String>,
    /// Whether it moved mounts back.
    pub(crate) moved_back: bool,
    /// Nodes that the fault makes unavailable.
    pub(crate) excuses: Vec<Excuse>,
    pub(crate) elections: usize,
}

/// What a fault has shown.
pub(crate) struct Shown {
    /// Why the run is void: raft has elected another leader without a fault.
    pub(crate) void: Option<String>,
    /// How the command has ended, and how the requests were.
    pub(crate) said: String,
    pub(crate) failed_requests: usize,
    pub(crate) longest: Duration,
}

/// Runs a fault on pods that run the old version, which they do again afterwards.
pub(crate) async fn run(lab: &mut Lab, point: FaultPoint) -> Shown {
    lab.prepare(point.command()).await;
    let leadership = Leadership::watch(&lab.pods).await;
    let begun = Instant::now();
    let load = lab.load();
    load.goes_on().await;
    let ended = match point.what {
        Fault::During(command, at, what) => during::run(lab, point, command, at, what).await,
        Fault::BadVersion(what) => bad_version::bring(lab, what).await,
        Fault::Obstacle(what) => obstacle::meet(lab, what).await,
    };
    let allowed = allowed(point);
    assert!(
        allowed.contains(&ended.exit),
        "it ended with {:?} and not one of {allowed:?}:\n{}",
        ended.exit,
        ended.said
    );
    progress::step("looking at what is there");
    judge::state(lab, &ended).await;
    // Nothing is repaired before this line.
    cure(lab, point, &load).await;
    let (again, restarts) = finish(lab, point, &ended).await;
    load.goes_on().await;

    let account = load.stop().await;
    assert!(account.wrong.is_empty(), "wrong answers: {:?}", account.wrong);
    let leaders = leadership.leaders_since(begun);
    let unasked = leaders.len() > 1 + ended.elections;
    let excuses = judge::with_ends([ended.excuses, restarts].concat(), &leadership, &leaders, Instant::now());
    let failed = judge::requests(&account, point.pods, &excuses);
    assert!(unasked || failed.is_empty(), "requests failed: {failed:#?}");
    let only_announced = lab.settle(&account).await;
    if matches!(point.what, Fault::During(_, _, Disturbance::ActiveKilledWhileIssuing)) {
        assert!(!only_announced.is_empty(), "no token was caught that only the write-ahead log knows");
        judge::takes_back(lab).await;
    }
    if !point.spends_the_pods() {
        progress::step("putting everything back");
        lab.reset().await;
    }
    Shown {
        void: (unasked || again == Again::Void)
            .then(|| format!("{} leaders in a row, more than the fault explains", leaders.len())),
        said: format!("{:?}; {}", ended.exit, told(&account)),
        failed_requests: account.failed.len(),
        longest: account.longest,
    }
}

/// Repairs what the fault broke, as an operator or a controller would.
async fn cure(lab: &Lab, point: FaultPoint, load: &Load) {
    match point.what {
        Fault::During(_, _, what) => strike::cure(lab, what).await,
        Fault::BadVersion(what) => bad_version::cure(lab, what).await,
        Fault::Obstacle(what) => obstacle::cure(lab, what).await,
    }
    progress::step("waiting for all pods");
    lab.pods.wait_whole().await;
    progress::step("waiting for a credential for every client");
    load.goes_on().await;
    lab.write_role().await;
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    Held,
    Void,
}

/// Runs the same command again, which must finish or have nothing to do.
async fn finish(lab: &Lab, point: FaultPoint, first: &Ended) -> (Again, Vec<Excuse>) {
    let command = point.command();
    let mut restarts = Vec::new();
    for _ in 0..2 {
        let leadership = Leadership::watch(&lab.pods).await;
        let begun = Instant::now();
        progress::step("the same command again");
        let again = lab.run(&lab.args(command)).await;
        let pods = again.stderr.lines().filter_map(during::restarted);
        restarts.extend(pods.map(|pod| Excuse::of_restart(pod, begun)));
        if again.code != Some(0) && leadership.leaders_since(begun).len() > 1 {
            lab.pods.wait_whole().await;
            continue;
        }
        assert_eq!(again.code, Some(0), "the same command again: {again:?}\nat first: {}", first.said);
        if first.exit == Exit::Done && command != Command::Reload {
            let needless = again.stdout.contains("nothing_to_do") || again.stdout.contains("Nothing to do");
            assert!(needless, "after it had ended well it did something again: {}", again.stdout);
        }
        judge::goal(lab, point).await;
        return (Again::Held, restarts);
    }
    (Again::Void, restarts)
}

/// Runs a command that writes its events to its end, with nothing that happens to it.
async fn undisturbed(lab: &Lab, start: Snapshot, args: &[String]) -> Ended {
    let output = lab.run(args).await;
    let events = output.stdout.lines().map(|line| serde_json::from_str(line).unwrap());
    let events: Vec<Value> = events.collect();
    let planned = events.iter().find(|event| event["event"] == "planned");
    let steps = planned.map_or_else(Vec::new, |event| event["steps"].as_array().unwrap().clone());
    let is_trial = |event: &&Value| event["event"] == "step_done" && event["step"]["step"] == "try_mount";
    let tried =
        events.iter().filter(is_trial).map(|event| event["step"]["path"].as_str().unwrap().to_owned());
    Ended {
        exit: Exit::of(output.code).unwrap_or_else(|| panic!("no exit code of README: {output:?}")),
        stages: stages(&start, &steps),
        start,
        held_after: None,
        tried: tried.collect(),
        moved_back: events.iter().any(|event| event["event"] == "rolling_back"),
        said: output.stderr,
        excuses: Vec::new(),
        elections: 0,
    }
}

/// The expected state after each step of a plan, beginning with none.
fn stages(start: &Snapshot, steps: &[Value]) -> Vec<Snapshot> {
    let mut stages = vec![start.clone()];
    for step in steps {
        let mut next = stages[stages.len() - 1].clone();
        next.apply(step);
        stages.push(next);
    }
    stages
}

/// The paths that an upgrade of all mounts tries on them.
pub(crate) fn all_trials() -> Vec<String> {
    MOUNTS.map(|mount| format!("{mount}/{}", crate::lab::TRIED)).to_vec()
}

fn told(account: &Account) -> String {
    let of = |retries| account.failed.iter().filter(|failed| failed.retries == retries).count();
    format!(
        "{} requests, failed {} without and {} with retries, longest {} ms",
        account.requests,
        of(Retries::Never),
        of(Retries::Official),
        account.longest.as_millis()
    )
}
