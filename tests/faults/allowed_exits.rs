//! How a command may end at each fault, as docs/output.md and docs/upgrade.md say it.

use crate::fault_point::{Command, Disturbance, Fault, FaultPoint, InjectionPoint, Obstacle};

/// How a command has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandExit {
    /// By the signal of the test.
    Killed,
    /// 0: everything is new and tried.
    Done,
    /// 1: nothing is changed.
    Failed,
    /// 4: everything is as before, and proven.
    RolledBack,
    /// 5: what could not be undone is named.
    ManualIntervention,
    /// 130: stopped between two steps; the same command continues.
    Interrupted,
}

impl CommandExit {
    /// Of a program that has ended; a signal has no code.
    pub(crate) fn from_code(code: Option<i32>) -> Option<CommandExit> {
        Some(match code {
            None => CommandExit::Killed,
            Some(0) => CommandExit::Done,
            Some(1) => CommandExit::Failed,
            Some(4) => CommandExit::RolledBack,
            Some(5) => CommandExit::ManualIntervention,
            Some(130) => CommandExit::Interrupted,
            Some(_) => return None,
        })
    }
}

/// The ends that are right for a fault.
pub(crate) fn allowed_exits(point: FaultPoint) -> &'static [CommandExit] {
    match point.what {
        Fault::During(command, at, what) => {
            allowed_exits_during(command, &command.steps(point.pods), at, what)
        }
        Fault::BadVersion(_) => &[CommandExit::Failed],
        Fault::Obstacle(Obstacle::RunsAlready | Obstacle::TwoVersions | Obstacle::TwentyInARow) => {
            &[CommandExit::Done]
        }
        Fault::Obstacle(_) => &[CommandExit::Failed],
    }
}

fn allowed_exits_during(
    command: Command,
    steps: &[&str],
    at: InjectionPoint,
    what: Disturbance,
) -> &'static [CommandExit] {
    match (what, at) {
        (Disturbance::Killed, _) => &[CommandExit::Killed],
        // The undo is the step that is finished.
        (_, InjectionPoint::Undoing(_)) => &[CommandExit::RolledBack],
        (Disturbance::Interrupted, InjectionPoint::After(done)) => {
            // The step that has begun is finished. What `register` does after its last step is the smoke test, and what follows the
            // restart of a standby is that it comes back.
            let follows = command == Command::Register || steps.last() == Some(&"restart_node");
            let left = steps.len().saturating_sub(done + 1) + usize::from(follows);
            if left > 0 { &[CommandExit::Interrupted] } else { &[CommandExit::Done] }
        }
        (Disturbance::Interrupted, InjectionPoint::WhileCopying) => &[CommandExit::Interrupted],
        // A node that is lost while it takes the file ends the run.
        (
            Disturbance::ActiveKilled
            | Disturbance::StandbyDeleted
            | Disturbance::ApiServerRestarted
            | Disturbance::ConnectionsCut,
            InjectionPoint::After(0) | InjectionPoint::WhileCopying,
        ) if command == Command::Upgrade => &[CommandExit::Done, CommandExit::Failed],
        (Disturbance::TokenExpired, _) => &[CommandExit::ManualIntervention],
        (Disturbance::Pinned, _) => &[CommandExit::Failed],
        (Disturbance::RoleRemoved, _) => &[CommandExit::RolledBack],
        _ => &[CommandExit::Done],
    }
}
