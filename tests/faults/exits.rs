//! How a command may end at each fault, as README and docs/upgrade.md say it.

use crate::point::{Command, Disturbance, Fault, FaultPoint, Moment, Obstacle};

/// How a command has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// By the signal of the test.
    Killed,
    /// 0: everything is new and tried.
    Done,
    /// 1: nothing is changed.
    Failed,
    /// 4: everything is as before, and proven.
    RolledBack,
    /// 5: what could not be undone is named.
    NeedsPerson,
    /// 130: stopped between two steps; the same command continues.
    Interrupted,
}

impl Exit {
    /// Of a program that has ended; a signal has no code.
    pub(crate) fn of(code: Option<i32>) -> Option<Exit> {
        Some(match code {
            None => Exit::Killed,
            Some(0) => Exit::Done,
            Some(1) => Exit::Failed,
            Some(4) => Exit::RolledBack,
            Some(5) => Exit::NeedsPerson,
            Some(130) => Exit::Interrupted,
            Some(_) => return None,
        })
    }
}

/// The ends that are right for a fault.
pub(crate) fn allowed(point: FaultPoint) -> &'static [Exit] {
    match point.what {
        Fault::During(command, at, what) => during(command, command.steps(point.pods), at, what),
        Fault::BadVersion(_) => &[Exit::Failed],
        Fault::Obstacle(Obstacle::RunsAlready | Obstacle::TwoVersions | Obstacle::TwentyInARow) => {
            &[Exit::Done]
        }
        Fault::Obstacle(_) => &[Exit::Failed],
    }
}

fn during(command: Command, steps: &[&str], at: Moment, what: Disturbance) -> &'static [Exit] {
    match (what, at) {
        (Disturbance::Killed, _) => &[Exit::Killed],
        // The undo is the step that is finished.
        (_, Moment::Undoing(_)) => &[Exit::RolledBack],
        (Disturbance::Interrupted, Moment::After(done)) => {
            // The step that has begun is finished. What `register` does after its last step is the smoke test, and what follows the
            // restart of a standby is that it comes back.
            let follows = command == Command::Register || steps.last() == Some(&"restart_node");
            let left = steps.len().saturating_sub(done + 1) + usize::from(follows);
            if left > 0 { &[Exit::Interrupted] } else { &[Exit::Done] }
        }
        (Disturbance::Interrupted, Moment::AmidPlacing) => &[Exit::Interrupted],
        // A node that is lost while it takes the file ends the run.
        (
            Disturbance::ActiveKilled
            | Disturbance::StandbyDeleted
            | Disturbance::ApiServerRestarted
            | Disturbance::ConnectionsCut,
            Moment::After(0) | Moment::AmidPlacing,
        ) if command == Command::Upgrade => &[Exit::Done, Exit::Failed],
        (Disturbance::TokenExpired, _) => &[Exit::NeedsPerson],
        (Disturbance::Pinned, _) => &[Exit::Failed],
        (Disturbance::RoleRemoved, _) => &[Exit::RolledBack],
        _ => &[Exit::Done],
    }
}
