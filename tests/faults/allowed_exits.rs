//! The permitted results of a command for each fault, according to docs/output.md and docs/upgrade.md.

use crate::fault_point::{Command, Disturbance, Fault, FaultPoint, InjectionPoint, Obstacle};

/// Result of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommandExit {
    /// Killed by the test.
    Killed,
    /// 0: done, and smoke-tested.
    Done,
    /// 1: nothing is changed.
    Failed,
    /// 4: rolled back, and verified.
    RolledBack,
    /// 5: the message names what could not be undone.
    ManualIntervention,
    /// 130: stopped between two steps; the same command continues.
    Interrupted,
}

impl CommandExit {
    /// The result of a finished program. A signal has no exit code.
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

/// The permitted results for a fault.
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
        // The undo counts as the step that is completed.
        (_, InjectionPoint::Undoing(_)) => &[CommandExit::RolledBack],
        (Disturbance::Interrupted, InjectionPoint::After(done)) => {
            // The current step is completed. The restart of a standby waits until it is back.
            let follows = steps.last() == Some(&"restart_node");
            let left = steps.len().saturating_sub(done + 1) + usize::from(follows);
            if left > 0 { &[CommandExit::Interrupted] } else { &[CommandExit::Done] }
        }
        (Disturbance::Interrupted, InjectionPoint::WhileCopying) => &[CommandExit::Interrupted],
        // A node that is lost during the copy ends the run.
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
