//! How a run ends that cannot go on: what is undone, and what is named because it stays.

use vault_api::mounts::Disable;

use super::{Outcome, Run, StepEffect, effect, outcome};
use crate::error_chain::error_chain;
use crate::event::Event;
use crate::goal::Goal;
use crate::smoke::revoke_hint;
use crate::step::Step;
use crate::undo::{Failover, UndoContext, VersionSwitch, switched_mounts};

impl<'a> Run<'a> {
    /// A mount that this run made and that is not as it should be is removed again: nobody uses it yet.
    pub(super) async fn stop_at_unplanned_step(mut self, found: Step) -> Outcome {
        let fresh = match self.done.last() {
            Some(Step::EnableMount { path, .. }) => Some(path.clone()),
            _ => None,
        };
        if let Some(path) = fresh {
            let error = format!("{path} does not run what was mounted there");
            let last = self.done.pop();
            let removed = self.environment.client.send(&Disable { path: path.to_string() }).await;
            let mut left = effect::describe_effects(&self.done, &[]);
            if let Err(cause) = removed {
                left.push(format!("{path} is mounted and could not be removed ({})", error_chain(&cause)));
            }
            return outcome::failed_or_manual_intervention(self.done, last, error, left);
        }
        let undoes = matches!(self.goal, Goal::Upgrade(_)) && !self.done.is_empty();
        match &found {
            _ if undoes => {
                let error = format!("something changed in between: the next step would be: {found}");
                let last = self.done.last().cloned();
                self.fail(last, error, StepEffect::Applied).await
            }
            // The mounts run what they should; only their configuration needs another plan.
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
        let left = effect::describe_effects(&self.done, &[]);
        Outcome::PlanChanged {
            done: self.done,
            expected: self.remaining.pop_front(),
            found,
            remaining_effects: left,
        }
    }

    /// Ends a run that cannot go on: what people use runs what it ran before, or is named. `effect` is that of `step`.
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
        let mut left = effect::describe_effects(&self.done, &mounts);
        left.extend(uncertain.filter(|_| !effect::affects_mounts(step.as_ref(), &mounts)));
        if self.switched.is_empty() {
            return outcome::failed_or_manual_intervention(self.done, step, error, left);
        }
        let (undo, done) = (self.undo_context(), self.done);
        (self.listener)(&Event::RollingBack { mounts: mounts.clone(), cause: error.clone() });
        match undo.switch_back(&self.switched).await {
            Ok(()) if left.is_empty() => Outcome::RolledBack { done, step, error, mounts },
            Ok(()) => {
                left.extend(mounts.iter().map(|path| format!("{path} runs the version before again")));
                Outcome::ManualIntervention { done, step, error, remaining_effects: left }
            }
            Err(stuck) => {
                left.extend(stuck);
                Outcome::ManualIntervention { done, step, error, remaining_effects: left }
            }
        }
    }

    /// What the step that failed may have changed.
    pub(super) async fn describe_uncertain_step(
        &self,
        step: Option<&Step>,
        effect: StepEffect,
    ) -> Option<String> {
        let step = step.filter(|step| effect != StepEffect::Applied && self.done.last() != Some(step))?;
        match (step, effect) {
            // It is told, and what runs then is not known.
            (Step::ReloadMount { .. }, _) => effect::describe_uncertain(step),
            // Nobody runs what was only placed or registered.
            (Step::PlaceBinary { .. } | Step::RegisterVersion { .. }, _) => None,
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

    /// Ends a run whose right to change was lost: somebody else may be changing the same things, so nothing is undone here.
    /// Everything that is there now is named; the same command, run again, goes on or undoes it.
    pub(super) async fn stop_without_undo(
        mut self,
        step: Option<Step>,
        error: String,
        effect: StepEffect,
    ) -> Outcome {
        self.revoke_left_leases().await;
        let mut left: Vec<String> = self.unrevoked_leases.iter().map(|lease| revoke_hint(lease)).collect();
        for done in &self.done {
            left.extend(effect::describe_effect(done).or_else(|| effect::describe_unused_effect(done)));
        }
        for (path, from) in self.switched.iter().flat_map(VersionSwitch::mounts) {
            let from = if from.is_empty() { "no version" } else { from };
            left.push(format!("{path} was moved from {from}, and runs what it ran until it is reloaded"));
        }
        let attempted =
            step.as_ref().filter(|step| effect != StepEffect::None && self.done.last() != Some(step));
        left.extend(attempted.and_then(effect::describe_uncertain));
        if !left.is_empty() {
            left.push(
                "Run the same command again when nobody else changes plugins: it goes on, or undoes this."
                    .to_owned(),
            );
        }
        outcome::failed_or_manual_intervention(self.done, step, error, left)
    }

    pub(super) fn undo_context(&self) -> UndoContext<'a> {
        let failover = self.last_observed.as_ref().map_or(Failover::Impossible, Failover::of);
        UndoContext { client: self.environment.client.clone(), failover, lock: self.lock }
    }

    /// Mounts first, as people use them; then everything that this run has brought, but what a node still runs.
    async fn undo(mut self, step: Option<Step>, error: String, effect: StepEffect) -> Outcome {
        let undo = self.undo_context();
        // A reload of what was not moved cannot be undone: the binary of its version is another one now.
        let mounts = switched_mounts(&self.switched);
        let mut stays = effect::describe_reloads(&self.done, &mounts);
        stays.extend(
            self.describe_uncertain_step(step.as_ref(), effect)
                .await
                .filter(|_| matches!(&step, Some(Step::ReloadMount { path }) if !mounts.contains(path))),
        );
        let leases: Vec<String> = self.unrevoked_leases.iter().map(|lease| revoke_hint(lease)).collect();
        let mut attempted = self.done.clone();
        attempted.extend(step.clone().filter(|step| self.done.last() != Some(step)));
        if !mounts.is_empty() {
            (self.listener)(&Event::RollingBack { mounts: mounts.clone(), cause: error.clone() });
            if let Err(left) = undo.switch_back(&self.switched).await {
                let left = left.into_iter().chain(leases).collect();
                return Outcome::ManualIntervention { done: self.done, step, error, remaining_effects: left };
            }
            if let Some(needed) = self.needed_by_standbys().await {
                attempted.retain(|step| !self.installs_target_version(step));
                stays.push(needed);
            }
        }
        let cleared =
            undo.remove_created(self.environment, &attempted, self.listener).await.err().unwrap_or_default();
        let (left, done): (Vec<String>, _) =
            (cleared.into_iter().chain(stays).chain(leases).collect(), self.done);
        match (left.is_empty(), mounts.is_empty()) {
            (false, _) => Outcome::ManualIntervention { done, step, error, remaining_effects: left },
            (true, true) => Outcome::Failed { done, step, error },
            (true, false) => Outcome::RolledBack { done, step, error, mounts },
        }
    }

    /// Whether a step brings the version that mounts were moved to: its file, or its entry under the plugin's own name.
    fn installs_target_version(&self, step: &Step) -> bool {
        match (step, self.goal) {
            (Step::PlaceBinary { .. }, _) => true,
            (Step::RegisterVersion { name, .. }, Goal::Upgrade(upgrade)) => name == upgrade.name(),
            _ => false,
        }
    }

    /// A binary that the server refuses to know must not keep its file name from the right one.
    async fn fail_without_registration(mut self, step: Option<Step>, error: String) -> Outcome {
        if let (Some(Step::PlaceBinary { nodes, file, .. }), Some(site)) =
            (self.done.last(), &self.environment.deployment)
        {
            if let Err(cause) = site.remove(file, nodes).await {
                let left = vec![format!(
                    "{file} is in the plugin directory and is not registered ({})",
                    error_chain(&cause)
                )];
                return Outcome::ManualIntervention { done: self.done, step, error, remaining_effects: left };
            }
            self.done.pop();
        }
        Outcome::Failed { done: self.done, step, error }
    }
}
