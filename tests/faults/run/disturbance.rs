//! A command that something happens to.

use std::collections::VecDeque;
use std::time::Instant;

use serde_json::Value;

use super::injection::{self, Injection};
use super::{CommandRun, expected_states};
use crate::allowed_exits::CommandExit;
use crate::assertions::ExpectedOutage;
use crate::fault_point::{Command, Disturbance, FaultPoint, InjectionPoint};
use crate::lab::Lab;
use crate::paused_process::{OutputStream, PausedProcess, PendingWrite};
use crate::progress;
use crate::snapshot::Snapshot;

/// The role is deleted after this step of an upgrade, so that the first trial after the reload fails.
const ROLE_REMOVED_AFTER_STEP: usize = 5;

/// The steps of an upgrade whose work is there when its undo begins, and when that has taken the first thing back.
const STEPS_DONE_BEFORE_ROLLBACK: usize = 8;
const STEPS_DONE_AFTER_FIRST_UNDO: usize = 1;

/// The command, and what happens to it while it is held.
pub(super) async fn run(
    lab: &mut Lab,
    point: FaultPoint,
    command: Command,
    at: InjectionPoint,
    what: Disturbance,
) -> CommandRun {
    let prepared = injection::prepare(lab, what).await;
    let mut start = Snapshot::take(lab).await;
    let args = lab.args(command);
    let streams = args.contains(&"json".to_owned());
    let mut steps = if streams { Vec::new() } else { planned_steps(lab, &args).await };
    let mut strikes = VecDeque::from([(at, what)]);
    if matches!(at, InjectionPoint::Undoing(_)) {
        strikes.push_front((InjectionPoint::After(ROLE_REMOVED_AFTER_STEP), Disturbance::RoleRemoved));
    }
    let mut running = PausedProcess::start(&lab.program_with(&prepared.token), &args, &lab.log);
    let (mut tried, mut excuses, mut undone, mut elections) = (Vec::new(), Vec::new(), 0, 0);
    let mut moved_back = false;
    while let Some(written) = running.next().await {
        let event = event(&written, streams);
        if event["event"] == "planned" {
            steps = event["steps"].as_array().unwrap().clone();
        }
        if event["event"] == "step_done" && event["step"]["step"] == "smoke_test_mount" {
            tried.push(event["step"]["path"].as_str().unwrap().to_owned());
        }
        if written.stream == OutputStream::Err && !written.is_complete_line() {
            excuses.extend(
                restarted_node(&written.line).map(|pod| ExpectedOutage::standby_restart(pod, Instant::now())),
            );
        }
        moved_back |= event["event"] == "rolling_back";
        // As an operator would who reads the message.
        if let Some(pod) = event["reason"]["node"]["node"].as_str()
            && what == Disturbance::Sealed
            && excuses.iter().any(|excuse: &ExpectedOutage| excuse.pod == pod)
            && lab.pods.health(pod).await == Some(503)
        {
            lab.pods.delete(pod).await;
        }
        if written.stream == OutputStream::Err
            && !written.is_complete_line()
            && written.line.starts_with("undone: ")
        {
            undone += 1;
        }
        let Some((moment, what)) = strikes.front().copied() else { continue };
        if !is_reached(moment, &written, &event, steps.len(), undone) {
            continue;
        }
        strikes.pop_front();
        running.wait_paused().await;
        progress::step(&format!("{what:?} while held at: {}", written.line.trim_end()));
        let strike =
            Injection { lab, running: &mut running, prepared: &prepared, args: &args, start: &mut start };
        if let Some(excuse) = strike.inject(what).await {
            elections += usize::from(excuse.is_active_node);
            excuses.push(excuse);
        }
    }
    let (status, said) = running.wait_exit().await;
    assert!(strikes.is_empty(), "that moment never came: {strikes:?}; {said}");
    if prepared.plan_is_usual {
        assert_plan(&steps, &command.steps(point.pods));
    }
    let exit = CommandExit::from_code(status.code());
    CommandRun {
        exit: exit.unwrap_or_else(|| panic!("no exit code of docs/output.md: {status}: {said}")),
        expected_states: expected_states(&start, &steps),
        start,
        paused_after: match at {
            InjectionPoint::After(steps) => Some(steps),
            InjectionPoint::WhileCopying => None,
            InjectionPoint::Undoing(0) => Some(STEPS_DONE_BEFORE_ROLLBACK),
            InjectionPoint::Undoing(_) => Some(STEPS_DONE_AFTER_FIRST_UNDO),
        },
        stderr: said,
        smoke_tested: if streams { tried } else { super::all_smoke_paths() },
        moved_back,
        excuses,
        elections,
    }
}

/// The node that a step restarts, from the line with which it begins.
pub(super) fn restarted_node(line: &str) -> Option<&str> {
    let (number, step) = line.split_once("] restart ")?;
    Some(step.split(',').next()?).filter(|_| number.starts_with('['))
}

/// What a line of standard output says, if it is whole.
fn event(written: &PendingWrite, streams: bool) -> Value {
    if streams && written.stream == OutputStream::Out && written.is_complete_line() {
        serde_json::from_str(&written.line).unwrap_or_else(|error| panic!("{error}: {}", written.line))
    } else {
        Value::Null
    }
}

/// The steps of a command that does not tell them while it runs.
async fn planned_steps(lab: &Lab, args: &[String]) -> Vec<Value> {
    let more = ["--dry-run", "--output", "json"].map(str::to_owned);
    let output = lab.run(&[args, &more].concat()).await;
    assert_eq!(output.code, Some(3), "{output:?}");
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    document["plan"]["steps"].as_array().unwrap().clone()
}

/// Whether what was written last is said at this moment. A step begins with its number on standard error.
fn is_reached(
    moment: InjectionPoint,
    written: &PendingWrite,
    event: &Value,
    steps: usize,
    undone: usize,
) -> bool {
    let begins = |text: &str| {
        written.stream == OutputStream::Err && !written.is_complete_line() && written.line.starts_with(text)
    };
    match moment {
        InjectionPoint::After(done) if done < steps => begins(&format!("[{}/", done + 1)),
        InjectionPoint::After(done) => event["event"] == "step_done" && event["number"] == done,
        InjectionPoint::WhileCopying => event["event"] == "copy_progress",
        InjectionPoint::Undoing(0) => begins("Warning: moving "),
        InjectionPoint::Undoing(times) => undone == times && begins("undone: "),
    }
}

/// The list of faults is made from these steps.
fn assert_plan(steps: &[Value], known: &[&str]) {
    let planned: Vec<&str> = steps.iter().map(|step| step["step"].as_str().unwrap()).collect();
    assert_eq!(
        planned, known,
        "a plan has other steps than the list of faults: bring fault_point.rs up to date"
    );
}
