//! A command that something happens to.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::Value;

use super::strike::{self, Strike};
use super::{Ended, stages};
use crate::exits::Exit;
use crate::hold::{Running, Stream, Written};
use crate::judge::Excuse;
use crate::lab::Lab;
use crate::point::{Command, Disturbance, FaultPoint, Moment};
use crate::progress;
use crate::snapshot::Snapshot;

/// The role is deleted after this step of an upgrade, so that the first trial after the reload fails.
const ROLE_REMOVED_AFTER: usize = 5;

/// The steps of an upgrade whose work is there when its undo begins, and when that has taken the first thing back.
const DONE_BEFORE_UNDO: usize = 8;
const DONE_AFTER_FIRST_UNDO: usize = 1;

/// The command, and what happens to it while it is held.
pub(super) async fn run(
    lab: &mut Lab,
    point: FaultPoint,
    command: Command,
    at: Moment,
    what: Disturbance,
) -> Ended {
    let prepared = strike::prepare(lab, what).await;
    let mut start = Snapshot::take(lab).await;
    let args = lab.args(command);
    let streams = args.contains(&"json".to_owned());
    let mut steps = if streams { Vec::new() } else { planned(lab, &args).await };
    let mut strikes = VecDeque::from([(at, what)]);
    if matches!(at, Moment::Undoing(_)) {
        strikes.push_front((Moment::After(ROLE_REMOVED_AFTER), Disturbance::RoleRemoved));
    }
    let mut running = Running::start(&lab.program_with(&prepared.token), &args, &lab.log);
    let (mut tried, mut excuses, mut undone, mut elections) = (Vec::new(), Vec::new(), 0, 0);
    let mut moved_back = false;
    while let Some(written) = running.next().await {
        let event = event(&written, streams);
        if event["event"] == "planned" {
            steps = event["steps"].as_array().unwrap().clone();
        }
        if event["event"] == "step_done" && event["step"]["step"] == "try_mount" {
            tried.push(event["step"]["path"].as_str().unwrap().to_owned());
        }
        if written.stream == Stream::Err && !written.is_whole() {
            excuses.extend(restarted(&written.line).map(|pod| Excuse::of_restart(pod, Instant::now())));
        }
        moved_back |= event["event"] == "rolling_back";
        // As an operator would who reads the message.
        if let Some(pod) = event["on"]["node"]["node"].as_str()
            && what == Disturbance::Sealed
            && excuses.iter().any(|excuse: &Excuse| excuse.pod == pod)
            && lab.pods.health(pod).await == Some(503)
        {
            lab.pods.delete(pod).await;
        }
        if written.stream == Stream::Err && !written.is_whole() && written.line.starts_with("undone: ") {
            undone += 1;
        }
        let Some((moment, what)) = strikes.front().copied() else { continue };
        if !has_come(moment, &written, &event, steps.len(), undone) {
            continue;
        }
        strikes.pop_front();
        running.is_held().await;
        progress::step(&format!("{what:?} while held at: {}", written.line.trim_end()));
        let strike =
            Strike { lab, running: &mut running, prepared: &prepared, args: &args, start: &mut start };
        if let Some(excuse) = strike.strike(what).await {
            elections += usize::from(excuse.takes_the_active);
            excuses.push(excuse);
        }
    }
    let (status, said) = running.end().await;
    assert!(strikes.is_empty(), "that moment never came: {strikes:?}; {said}");
    if prepared.plan_is_usual {
        assert_plan(&steps, command.steps(point.pods));
    }
    let exit = Exit::of(status.code());
    Ended {
        exit: exit.unwrap_or_else(|| panic!("no exit code of README: {status}: {said}")),
        stages: stages(&start, &steps),
        start,
        held_after: match at {
            Moment::After(steps) => Some(steps),
            Moment::AmidPlacing => None,
            Moment::Undoing(0) => Some(DONE_BEFORE_UNDO),
            Moment::Undoing(_) => Some(DONE_AFTER_FIRST_UNDO),
        },
        said,
        tried: if streams { tried } else { super::all_trials() },
        moved_back,
        excuses,
        elections,
    }
}

/// The node that a step restarts, from the line with which it begins.
pub(super) fn restarted(line: &str) -> Option<&str> {
    let (number, step) = line.split_once("] restart ")?;
    Some(step.split(',').next()?).filter(|_| number.starts_with('['))
}

/// What a line of standard output says, if it is whole.
fn event(written: &Written, streams: bool) -> Value {
    if streams && written.stream == Stream::Out && written.is_whole() {
        serde_json::from_str(&written.line).unwrap_or_else(|error| panic!("{error}: {}", written.line))
    } else {
        Value::Null
    }
}

/// The steps of a command that does not tell them while it runs.
async fn planned(lab: &Lab, args: &[String]) -> Vec<Value> {
    let more = ["--dry-run", "--output", "json"].map(str::to_owned);
    let output = lab.run(&[args, &more].concat()).await;
    assert_eq!(output.code, Some(3), "{output:?}");
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    document["plan"]["steps"].as_array().unwrap().clone()
}

/// Whether what was written last is said at this moment. A step begins with its number on standard error.
fn has_come(moment: Moment, written: &Written, event: &Value, steps: usize, undone: usize) -> bool {
    let begins =
        |text: &str| written.stream == Stream::Err && !written.is_whole() && written.line.starts_with(text);
    match moment {
        Moment::After(done) if done < steps => begins(&format!("[{}/", done + 1)),
        Moment::After(done) => event["event"] == "step_done" && event["number"] == done,
        Moment::AmidPlacing => event["event"] == "bytes",
        Moment::Undoing(0) => begins("Warning: moving "),
        Moment::Undoing(times) => undone == times && begins("undone: "),
    }
}

/// The list of faults is made from these steps.
fn assert_plan(steps: &[Value], known: &[&str]) {
    let planned: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(planned, known, "a plan has other steps than the list of faults: bring point.rs up to date");
}
