//! Ends a run that cannot continue: undoes its changes, and reports those that remain.

use super::{Outcome, Run, StepEffect, effect, outcome};
use crate::consumer_requests;
use crate::error_chain::error_chain;
use crate::event::Event;
use crate::goal::Goal;
use crate::smoke::UnrevokedLease;
use crate::step::Step;
use crate::undo::{Failover, UndoContext, VersionSwitch, switched_mounts};

impl<'a> Run<'a> {
    /// Ends a run whose next step is not in the plan. A new mount that does not run its version is removed, because no client uses it yet.
    pub(super) async fn stop_at_unplanned_step(mut self, found: Step) -> Outcome {
        let new_mount = match self.done.last() {
            Some(Step::EnableMount { path, .. }) => Some(path.clone()),
            _ => None,
        };
        if let Some(path) = new_mount {
            let error = format!("{path} does not run the version that was mounted");
            let last = self.done.pop();
            let removed = consumer_requests::disable(&self.environment.client, &path).await;
            let mut remaining = effect::describe_effects(&self.done, &[]);
            if let Err(cause) = removed {
                remaining
                    .push(format!("{path} is mounted, and could not be removed ({})", error_chain(&cause)));
            }
            return outcome::failed_or_manual_intervention(self.done, last, error, remaining);
        }
        let undoes = matches!(self.goal, Goal::Upgrade(_)) && !self.done.is_empty();
        match &found {
            _ if undoes => {
                let error = format!("the state was changed by others: the next step would be: {found}");
                let last = self.done.last().cloned();
                self.fail(last, error, StepEffect::Applied).await
            }
            // The mounts run their version; only their configuration needs another plan.
            Step::Write { .. } => self.stop_plan_changed(found),
            _ if self.switched.is_empty() => self.stop_plan_changed(found),
            _ => {
                let error = format!("after the switch the next step would be: {found}");
                let last = self.done.last().cloned();
                self.fail(last, error, StepEffect::Applied).await
            }
        }
    }

    fn stop_plan_changed(mut self, found: Step) -> Outcome {
        let remaining = effect::describe_effects(&self.done, &[]);
        Outcome::PlanChanged {
            done: self.done,
            expected: self.remaining.pop_front(),
            found,
            remaining_effects: remaining,
        }
    }

    /// Ends a run that cannot continue: clients use what they used before, or the difference is reported. `effect` is that of `step`.
    pub(super) async fn fail(mut self, step: Option<Step>, error: String, effect: StepEffect) -> Outcome {
        if let Some(lost) = self.lock_lost() {
            return self.stop_without_undo(step, format!("{error}; {lost}"), effect).await;
        }
        self.wait_for_failover().await;
        // Before an undo: the previous version may not be able to revoke them.
        self.revoke_left_leases().await;
        if self.is_restarting_standbys(step.as_ref()) {
            return self.stop_at_standby_restart(step, error, effect).await;
        }
        if let Goal::Upgrade(_) = self.goal {
            return self.undo(step, error, effect).await;
        }
        if let Some(Step::RegisterVersion { .. }) = &step {
            return self.fail_without_registration(step, error).await;
        }
        let uncertain = self.describe_uncertain_step(step.as_ref(), effect).await;
        let mounts = switched_mounts(&self.switched);
        let mut remaining = match &step {
            Some(Step::SmokeTestMount { path, .. }) => {
                effect::describe_configured_mounts(&self.done, &mounts, path)
            }
            _ => effect::describe_effects(&self.done, &mounts),
        };
        remaining.extend(self.unrevoked_leases.iter().map(UnrevokedLease::hint));
        remaining.extend(uncertain.filter(|_| !effect::affects_mounts(step.as_ref(), &mounts)));
        if self.switched.is_empty() {
            return outcome::failed_or_manual_intervention(self.done, step, error, remaining);
        }
        let (undo, done) = (self.undo_context(), self.done);
        (self.listener)(&Event::RollingBack { mounts: mounts.clone(), cause: error.clone() });
        match undo.switch_back(&self.switched).await {
            Ok(()) if remaining.is_empty() => Outcome::RolledBack { done, step, error, mounts },
            Ok(()) => {
                remaining.extend(mounts.iter().map(|path| format!("{path} runs the previous version again")));
                Outcome::ManualIntervention { done, step, error, remaining_effects: remaining }
            }
            Err(not_undone) => {
                remaining.extend(not_undone);
                Outcome::ManualIntervention { done, step, error, remaining_effects: remaining }
            }
        }
    }

    /// Describes what the failed step may have changed.
    pub(super) async fn describe_uncertain_step(
        &self,
        step: Option<&Step>,
        effect: StepEffect,
    ) -> Option<String> {
        let step = step.filter(|step| effect != StepEffect::Applied && self.done.last() != Some(step))?;
        match (step, effect) {
            // The version that runs after a failed reload is unknown.
            (Step::ReloadMount { .. }, _) => effect::describe_uncertain(step),
            // Not used by any mount yet.
            (Step::CopyBinary { .. } | Step::RegisterVersion { .. }, _) => None,
            (_, StepEffect::None | StepEffect::Applied) => None,
            (Step::EnableMount { path, .. }, StepEffect::Unknown) => {
                match self.undo_context().is_gone(path).await {
                    true => None,
                    false => effect::describe_uncertain(step),
                }
            }
            (step, StepEffect::Unknown) => effect::describe_uncertain(step),
        }
    }

    /// Ends a run that has lost the lock. Another operator may be changing the same mounts, so nothing is undone. All changes are reported; the
    /// same command continues or undoes them.
    pub(super) async fn stop_without_undo(
        mut self,
        step: Option<Step>,
        error: String,
        effect: StepEffect,
    ) -> Outcome {
        self.revoke_left_leases().await;
        let mut remaining: Vec<String> = self.unrevoked_leases.iter().map(UnrevokedLease::hint).collect();
        for done in &self.done {
            remaining.extend(effect::describe_effect(done).or_else(|| effect::describe_unused_effect(done)));
        }
        for (path, from) in self.switched.iter().flat_map(VersionSwitch::mounts) {
            let from = if from.is_empty() { "no version" } else { from };
            remaining.push(format!("{path} was moved from {from}, which it runs until it is reloaded"));
        }
        let attempted =
            step.as_ref().filter(|step| effect != StepEffect::None && self.done.last() != Some(step));
        remaining.extend(attempted.and_then(effect::describe_uncertain));
        if !remaining.is_empty() {
            remaining.push(
                "Run the same command again when no other operator is changing plugins: it continues, or undoes this."
                    .to_owned(),
            );
        }
        outcome::failed_or_manual_intervention(self.done, step, error, remaining)
    }

    pub(super) fn undo_context(&self) -> UndoContext<'a> {
        let failover = self.last_observed.as_ref().map_or(Failover::Impossible, Failover::of);
        UndoContext { client: self.environment.client.clone(), failover, lock: self.lock }
    }

    /// Undoes the run: mounts first, because clients use them; then everything that was added, except what a node still runs.
    async fn undo(mut self, step: Option<Step>, error: String, effect: StepEffect) -> Outcome {
        let undo = self.undo_context();
        // A reload without a switch cannot be undone: the previous binary of the version no longer exists.
        let mounts = switched_mounts(&self.switched);
        let mut remaining = effect::describe_reloads(&self.done, &mounts);
        remaining.extend(
            self.describe_uncertain_step(step.as_ref(), effect)
                .await
                .filter(|_| matches!(&step, Some(Step::ReloadMount { path }) if !mounts.contains(path))),
        );
        let leases: Vec<String> = self.unrevoked_leases.iter().map(UnrevokedLease::hint).collect();
        let mut attempted = self.done.clone();
        attempted.extend(step.clone().filter(|step| self.done.last() != Some(step)));
        if !mounts.is_empty() {
            (self.listener)(&Event::RollingBack { mounts: mounts.clone(), cause: error.clone() });
            if let Err(remaining) = undo.switch_back(&self.switched).await {
                let remaining = remaining.into_iter().chain(leases).collect();
                return Outcome::ManualIntervention {
                    done: self.done,
                    step,
                    error,
                    remaining_effects: remaining,
                };
            }
            if let Some(needed) = self.needed_by_standbys().await {
                attempted.retain(|step| !self.installs_target_version(step));
                remaining.push(needed);
            }
        }
        let not_removed =
            undo.remove_created(self.environment, &attempted, self.listener).await.err().unwrap_or_default();
        let (remaining, done): (Vec<String>, _) =
            (not_removed.into_iter().chain(remaining).chain(leases).collect(), self.done);
        match (remaining.is_empty(), mounts.is_empty()) {
            (false, _) => Outcome::ManualIntervention { done, step, error, remaining_effects: remaining },
            (true, true) => Outcome::Failed { done, step, error },
            (true, false) => Outcome::RolledBack { done, step, error, mounts },
        }
    }

    /// Whether a step installs the version that mounts were moved to: its file, or its catalog entry.
    fn installs_target_version(&self, step: &Step) -> bool {
        match (step, self.goal) {
            (Step::CopyBinary { .. }, _) => true,
            (Step::RegisterVersion { name, .. }, Goal::Upgrade(upgrade)) => name == upgrade.name(),
            _ => false,
        }
    }

    /// Ends a run whose registration was refused: removes the file, so that the right binary can have its name.
    async fn fail_without_registration(mut self, step: Option<Step>, error: String) -> Outcome {
        if let (Some(Step::CopyBinary { nodes, file, .. }), Some(deployment)) =
            (self.done.last(), &self.environment.deployment)
        {
            if let Err(cause) = deployment.remove(file, nodes).await {
                let remaining = vec![format!(
                    "{file} is in the plugin directory, and is not registered ({})",
                    error_chain(&cause)
                )];
                return Outcome::ManualIntervention {
                    done: self.done,
                    step,
                    error,
                    remaining_effects: remaining,
                };
            }
            self.done.pop();
        }
        Outcome::Failed { done: self.done, step, error }
    }
}
