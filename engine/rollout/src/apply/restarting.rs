//! What a run waits for, and standbys that cannot be restarted now or do not come back.

use std::time::Duration;

use tokio::time::Instant;

use super::{LONGEST_ABSENCE, LONGEST_WAIT, Outcome, Run, effect};
use crate::decide::WaitingOn;
use crate::event::Event;
use crate::goal::Goal;
use crate::smoke::how_to_revoke;
use crate::step::Step;

/// How long something is waited for.
pub(super) fn longest(on: &WaitingOn) -> Duration {
    match on {
        WaitingOn::ActiveNode | WaitingOn::Holder { .. } | WaitingOn::DisruptionBudget { .. } => LONGEST_WAIT,
        WaitingOn::Node { .. } | WaitingOn::RaftServer { .. } | WaitingOn::RaftJoin { .. } => LONGEST_ABSENCE,
    }
}

impl Run<'_> {
    /// Whether a step that was refused by what passes by itself is tried again: for as long as one request may take. Everything is
    /// looked at before that, so what has become undue meanwhile is not done.
    pub(super) fn may_wait_for(&mut self, on: WaitingOn) -> bool {
        let since = *self.refused_since.get_or_insert_with(|| {
            (self.listener)(&Event::Waiting { on });
            Instant::now()
        });
        since.elapsed() < self.world.client.timeout()
    }

    /// Whether the active node is proven and `step`, which failed or could not begin, is of a standby that goes on with the version
    /// before. An upgrade that has restarted none is undone.
    pub(super) fn is_restarting(&self, step: Option<&Step>) -> bool {
        let is_restart = |step: Option<&Step>| matches!(step, Some(Step::RestartNode { .. }));
        let undoes = matches!(self.goal, Goal::Upgrade(_)) && !self.goal.goes_back();
        is_restart(self.done.last()) || (!undoes && !self.done.is_empty() && is_restart(step))
    }

    /// Ends a run that cannot restart a standby, or whose standby does not come back: that is no reason to disturb the active node.
    pub(super) fn stop_restarting(self, step: Option<Step>, error: String) -> Outcome {
        let node =
            |step: &Step| if let Step::RestartNode { node } = step { Some(node.to_string()) } else { None };
        // The others were proven before the next one was restarted, as were the mounts before the first one.
        let (last, before) =
            self.done.split_last().map_or((None, &[][..]), |(last, before)| (Some(last), before));
        let stays = |done: &&Step| !matches!(done, Step::ReloadMount { .. } | Step::RestartNode { .. });
        let restarted = last.filter(|last| matches!(last, Step::RestartNode { .. }));
        let mut left: Vec<String> =
            before.iter().chain(last).filter(stays).chain(restarted).filter_map(effect::of).collect();
        let stale: Vec<String> = self.left.iter().filter_map(node).collect();
        if !stale.is_empty() {
            left.push(format!(
                "the active node runs what its mounts are configured to run; still run the version before: {}. The same command restarts \
                 them.",
                stale.join(", ")
            ));
        }
        left.extend(self.leases.iter().map(|lease| how_to_revoke(lease)));
        Outcome::NeedsPerson { done: self.done, step, error, left }
    }
}
