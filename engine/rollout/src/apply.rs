//! Applies a confirmed plan step by step and verifies each step by reading back.

mod apply_step;
mod effect;
mod failure;
mod outcome;
mod standby_restart;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::compare::Comparison;
use crate::consumer::Consumer;
use crate::decide::{Decision, Plan, WaitingOn, decide, due_restart};
use crate::deployment::{DeploymentError, LeaseLock, LockLost};
use crate::error_chain::error_chain;
use crate::event::Event;
use crate::goal::Goal;
use crate::observe::{Environment, observe, observe_cached};
use crate::observed::Observed;
use crate::observed::deployment::NodeName;
use crate::poll::Poll;
use crate::progress::Progress;
use crate::smoke::UnrevokedLease;
use crate::step::Step;
use crate::timeouts::{FAILOVER_TIMEOUT, NODE_RETURN_TIMEOUT};
use crate::undo::VersionSwitch;
use apply_step::StepError;
pub use outcome::Outcome;
use standby_restart::wait_timeout;

/// Requests that a run stops after its current step. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// Creates an unset flag.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests the stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the stop was requested.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Applies `plan` step by step. Observes and decides again before each step. Applies only steps of the plan, skips those that are no
/// longer due, and copies the binary also to nodes that were added.
///
/// Do not drop the future before it ends. Use `cancel`, which does not stop a run between the switch to a version and its reload.
pub async fn apply(
    environment: &Environment,
    goal: &Goal,
    plan: &Plan,
    listener: &mut dyn FnMut(&Event),
    cancel: &CancelFlag,
) -> Outcome {
    // Before the first observation, which then includes all changes of other operators.
    let lock = match &environment.deployment {
        Some(deployment) => match deployment.acquire_lock().await {
            Ok(lock) => lock,
            Err(error) => {
                return Outcome::Failed { done: Vec::new(), step: None, error: error_chain(&error) };
            }
        },
        None => LeaseLock::noop(),
    };
    let outcome = match verify_image_pull(environment, plan).await {
        Ok(untested_pull) => {
            let run = Run {
                environment,
                goal,
                listener,
                progress: Progress::default(),
                total_steps: plan.steps.len(),
                done: Vec::new(),
                remaining: plan.steps.iter().cloned().collect(),
                switched: Vec::new(),
                last_observed: None,
                led_nodes: BTreeSet::new(),
                unrevoked_leases: Vec::new(),
                retry_wait: None,
                interrupted_step: None,
                nodes_are_fresh: false,
                lock: &lock,
                untested_pull,
            };
            run.run(cancel).await
        }
        Err((step, error)) => {
            Outcome::Failed { done: Vec::new(), step: Some(step), error: error_chain(&error) }
        }
    };
    lock.release().await;
    outcome
}

/// Attempts of a step that the loss of a node interrupts. A node notices with a delay that it is no longer the leader.
const MAX_STEP_ATTEMPTS: usize = 10;

/// The effect of a step at which a run fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StepEffect {
    /// It was applied; the failure came later.
    Applied,
    /// The response was lost, or is an error of the server itself.
    Unknown,
    /// It was refused, or not started.
    None,
}

struct Run<'a> {
    environment: &'a Environment,
    goal: &'a Goal,
    listener: &'a mut dyn FnMut(&Event),
    progress: Progress,
    total_steps: usize,
    done: Vec<Step>,
    remaining: VecDeque<Step>,
    switched: Vec<VersionSwitch>,
    /// The last observation.
    last_observed: Option<Observed>,
    /// Nodes that have been active.
    led_nodes: BTreeSet<NodeName>,
    /// Leases of smoke tests that may not be revoked.
    unrevoked_leases: Vec<UnrevokedLease>,
    /// The wait for the end of a temporary refusal of a step.
    retry_wait: Option<Poll>,
    /// The step that the loss of a node has interrupted, and how often. It may have been applied.
    interrupted_step: Option<(Step, usize)>,
    /// Whether no node was changed since the last observation.
    nodes_are_fresh: bool,
    /// The lock.
    lock: &'a LeaseLock,
    /// Why it was not tested whether nodes can pull the image of the plan.
    untested_pull: Option<String>,
}

/// Makes a node pull the image of the plan before the first step. If it cannot be pulled, no node could be restarted with it.
async fn verify_image_pull(
    environment: &Environment,
    plan: &Plan,
) -> Result<Option<String>, (Step, DeploymentError)> {
    let patch = plan.steps.iter().find_map(|step| match step {
        Step::PatchInitImage { to, .. } => Some((step, to)),
        _ => None,
    });
    let (Some((step, image)), Some(deployment)) = (patch, &environment.deployment) else { return Ok(None) };
    deployment.verify_image_pull(image).await.map_err(|error| (step.clone(), error))
}

impl Run<'_> {
    async fn run(mut self, cancel: &CancelFlag) -> Outcome {
        loop {
            let (decision, observed) = match self.next_decision(cancel).await {
                Ok(next) => next,
                Err(error) => return self.failed_between_steps(None, error, StepEffect::None).await,
            };
            let step = match decision {
                // After an interrupted step other steps may be due: a mount that was moved is smoke-tested.
                Decision::Do(next) if self.resolve_interrupted_step(Some(&next)) => continue,
                Decision::Done if self.resolve_interrupted_step(None) => continue,
                Decision::Do(step) => step,
                Decision::Done => {
                    let observed = Box::new(observed);
                    return Outcome::Done { done: self.done, observed };
                }
                Decision::Refuse(refusal) if !self.has_changes() => {
                    return Outcome::Refused { refusal };
                }
                Decision::Refuse(refusal) => {
                    let last = self.done.last().cloned();
                    return self.failed_between_steps(last, refusal.to_string(), StepEffect::Applied).await;
                }
                Decision::Wait(_) if cancel.is_cancelled() && !self.must_not_interrupt() => {
                    return Outcome::Interrupted { done: self.done, remaining: self.remaining.into() };
                }
                Decision::Wait(on) => {
                    let due = due_restart(&observed, self.goal, &self.decision_progress());
                    return self.failed_between_steps(due, on.to_string(), StepEffect::None).await;
                }
            };
            if !self.advance_to(&step) {
                return self.stop_at_unplanned_step(step).await;
            }
            if cancel.is_cancelled() && !self.in_critical_section() {
                return Outcome::Interrupted { done: self.done, remaining: self.remaining.into() };
            }
            if let Some(lost) = self.lock_lost() {
                return self.stop_without_undo(Some(step), lost.to_string(), StepEffect::None).await;
            }
            if let Err(error) = self.apply_and_report(&step).await {
                if error.is_node_loss() && self.has_other_nodes() && self.record_interruption(&step) {
                    (self.listener)(&Event::Waiting { reason: WaitingOn::ActiveNode });
                    Poll::new(FAILOVER_TIMEOUT).pause().await;
                    continue;
                }
                if let Some(on) = error.wait_condition()
                    && self.pause_before_retry(on).await
                {
                    continue;
                }
                let effect =
                    if error.may_have_been_applied() { StepEffect::Unknown } else { StepEffect::None };
                return self.fail(Some(step), error_chain(&error), effect).await;
            }
        }
    }

    /// Why this run must not change anything any more.
    fn lock_lost(&self) -> Option<LockLost> {
        let taken_by_other = || {
            let holder = self.last_observed.as_ref()?.deployment.as_ref()?.lock_holder.as_ref()?.name.clone();
            Some(LockLost::Taken { holder })
        };
        self.lock.lost_reason().or_else(taken_by_other)
    }

    /// Observes and decides, and waits for the conditions of the next step.
    async fn next_decision(&mut self, cancel: &CancelFlag) -> Result<(Decision, Observed), String> {
        let mut poll = Poll::new(NODE_RETURN_TIMEOUT);
        let mut reported = None;
        loop {
            let observed = self.observe_with_retry().await?;
            if let (Goal::Upgrade(upgrade), false) = (self.goal, self.has_changes()) {
                self.switched = VersionSwitch::unreloaded(&observed, upgrade);
            }
            let decision = decide(&observed, self.goal, &self.decision_progress());
            self.report_read_back_mismatch(&observed);
            self.last_observed = Some(observed.clone());
            match decision {
                Decision::Wait(on)
                    if poll.elapsed() < wait_timeout(&on)
                        && (!cancel.is_cancelled() || self.must_not_interrupt())
                        && self.lock_lost().is_none() =>
                {
                    if reported.as_ref() != Some(&on) {
                        (self.listener)(&Event::Waiting { reason: on.clone() });
                        reported = Some(on);
                    }
                    self.nodes_are_fresh = false;
                    poll.pause().await;
                }
                decision => return Ok((decision, observed)),
            }
        }
    }

    /// Observes. If the active node is lost and there are others, waits until one has taken over.
    async fn observe_with_retry(&mut self) -> Result<Observed, String> {
        let mut poll = Poll::new(FAILOVER_TIMEOUT);
        let mut reported = false;
        loop {
            let result = if std::mem::replace(&mut self.nodes_are_fresh, false) {
                observe_cached(self.environment, Some(self.goal)).await
            } else {
                observe(self.environment, Some(self.goal)).await
            };
            let error = match result {
                Ok(observed) => {
                    self.nodes_are_fresh = true;
                    return Ok(observed);
                }
                Err(error) => error,
            };
            let gives_up = poll.timed_out() || self.lock_lost().is_some();
            if !error.is_transient() || !self.has_other_nodes() || gives_up {
                return Err(error_chain(&error));
            }
            if !std::mem::replace(&mut reported, true) {
                (self.listener)(&Event::Waiting { reason: WaitingOn::ActiveNode });
            }
            poll.pause().await;
        }
    }

    /// The progress on which the next step is decided. An interrupted step counts: a node that was lost during the first one is waited
    /// for as after it.
    fn decision_progress(&self) -> Progress {
        let steps = self.progress.steps + usize::from(self.interrupted_step.is_some());
        Progress { steps, ..self.progress.clone() }
    }

    fn has_other_nodes(&self) -> bool {
        let deployment = self.last_observed.as_ref().and_then(|observed| observed.deployment.as_ref());
        deployment.is_some_and(|deployment| deployment.nodes.len() > 1)
    }

    /// Records that `step` was interrupted. Another node takes over, and the next observation shows whether the step was applied.
    fn record_interruption(&mut self, step: &Step) -> bool {
        let times = match self.interrupted_step.take() {
            Some((interrupted, times)) if interrupted == *step => times + 1,
            _ => 1,
        };
        self.interrupted_step = Some((step.clone(), times));
        times < MAX_STEP_ATTEMPTS
    }

    /// Counts an interrupted step as done if it is no longer due. Returns whether it did.
    fn resolve_interrupted_step(&mut self, due: Option<&Step>) -> bool {
        let is_due = |interrupted: &Step| due.is_some_and(|due| is_same_step(interrupted, due));
        let settled = self.interrupted_step.take_if(|(interrupted, _)| !is_due(interrupted));
        let Some((interrupted, _)) =
            settled.filter(|(interrupted, _)| self.remaining.front() == Some(interrupted))
        else {
            return false;
        };
        self.mark_done(&interrupted);
        true
    }

    /// Whether a step was applied or interrupted.
    fn has_changes(&self) -> bool {
        !self.done.is_empty() || self.interrupted_step.is_some()
    }

    /// Ends a run that cannot continue after an observation: at `step`, or at a step that was interrupted before.
    async fn failed_between_steps(
        mut self,
        step: Option<Step>,
        error: String,
        effect: StepEffect,
    ) -> Outcome {
        match self.interrupted_step.take() {
            // The file must stay, because the entry may exist.
            Some((Step::RegisterVersion { .. }, _)) if !matches!(self.goal, Goal::Upgrade(_)) => {
                self.fail(None, error, StepEffect::None).await
            }
            Some((interrupted, _)) => self.fail(Some(interrupted), error, StepEffect::Unknown).await,
            None => self.fail(step, error, effect).await,
        }
    }

    /// Waits until another node has taken over, because an undo needs an active node.
    async fn wait_for_failover(&mut self) {
        let mut poll = Poll::new(FAILOVER_TIMEOUT);
        while self.has_other_nodes() && !poll.timed_out() && self.lock_lost().is_none() {
            match self.observe_with_retry().await {
                Ok(observed) if observed.is_failing_over() => {}
                Ok(_) | Err(_) => return,
            }
            poll.pause().await;
        }
    }

    /// Makes `step` the next one of the plan, and returns whether it belongs to it. Skips steps that are no longer due: a new version may show
    /// fields that the old one did not, and a failover starts what a reload would have started.
    fn advance_to(&mut self, step: &Step) -> bool {
        let may_skip = |step: &Step| match self.goal {
            Goal::Upgrade(_) | Goal::Deregister(_) | Goal::GarbageCollect(_) => !matches!(
                step,
                Step::MountCanary { .. } | Step::VerifyCanary { .. } | Step::SmokeTestMount { .. }
            ),
            Goal::Register(_) | Goal::Reload(_) => {
                matches!(step, Step::Write { .. } | Step::ReloadMount { .. })
            }
        };
        let at = self.remaining.iter().position(|planned| is_same_step(planned, step));
        if let Some(at) = at.filter(|at| self.remaining.iter().take(*at).all(may_skip)) {
            self.remaining.drain(..at);
            return true;
        }
        // A node that was added, or came back with an empty directory, gets the file too.
        if let (Step::CopyBinary { .. }, Goal::Upgrade(_)) = (step, self.goal)
            && !self.done.is_empty()
        {
            self.remaining.push_front(step.clone());
            self.total_steps += 1;
            return true;
        }
        false
    }

    /// Whether a wait must not be interrupted, because the run is in a critical section, or may be after an interrupted step.
    fn must_not_interrupt(&self) -> bool {
        self.in_critical_section() || self.interrupted_step.is_some()
    }

    /// Whether the run must not stop now. Between a switch and its reload, a failover would start a version that was not verified; and a
    /// canary mount must be removed.
    fn in_critical_section(&self) -> bool {
        let canary = matches!(
            self.remaining.front(),
            Some(
                Step::MountCanary { .. }
                    | Step::VerifyCanary { .. }
                    | Step::RemoveCanary { .. }
                    | Step::DeregisterVersion { .. }
            )
        ) && matches!(self.goal, Goal::Upgrade(_))
            && self.done.iter().any(|step| matches!(step, Step::MountCanary { .. }));
        // It ends with the last reload of the plugin's mounts.
        let is_switch = |step: &Step| matches!(step, Step::TuneMount { .. } | Step::SetPin { .. });
        let is_reload = |step: &Step| matches!(step, Step::ReloadMount { .. });
        let is_unreloaded = self.done.iter().any(is_switch) && self.remaining.iter().any(is_reload);
        canary || is_unreloaded || self.done.last().is_some_and(is_switch)
    }

    async fn apply_and_report(&mut self, step: &Step) -> Result<(), StepError> {
        let number = self.done.len() + 1;
        if self.retry_wait.is_none() {
            (self.listener)(&Event::StepStarted {
                number,
                total_steps: self.total_steps,
                step: step.clone(),
            });
        }
        self.nodes_are_fresh &= !step.affects_nodes();
        // Recorded before it is applied, because an interrupted request may have been applied.
        let switched = VersionSwitch::from_step(step, &self.mounts_of_pin(step));
        if let Some(switched) = switched {
            self.switched.retain(|earlier| !earlier.is_same_subject(&switched));
            self.switched.push(switched);
        }
        self.revoke_left_leases().await;
        let result = self.apply_step(step).await;
        self.nodes_are_fresh &= result.is_ok();
        let unrevoked = result.as_ref().err().and_then(StepError::unrevoked_lease);
        self.unrevoked_leases.extend(unrevoked.map(|id| {
            let namespace = step.smoke_tested_mount().map_or("", Consumer::namespace).to_owned();
            UnrevokedLease { namespace, id: id.to_owned() }
        }));
        let mut warnings = result?;
        self.mark_done(step);
        if self.remaining.is_empty() {
            self.revoke_left_leases().await;
            warnings.extend(self.unrevoked_leases.iter().map(UnrevokedLease::hint));
        }
        (self.listener)(&Event::StepDone {
            number,
            total_steps: self.total_steps,
            step: step.clone(),
            warnings,
        });
        Ok(())
    }

    /// Revokes the credentials that smoke tests have left. Those that fail are tried again before the next step.
    async fn revoke_left_leases(&mut self) {
        let mut unrevoked = Vec::new();
        for lease in std::mem::take(&mut self.unrevoked_leases) {
            if lease.revoke(&self.environment.client).await.is_err() {
                unrevoked.push(lease);
            }
        }
        self.unrevoked_leases = unrevoked;
    }

    fn mark_done(&mut self, step: &Step) {
        self.retry_wait = None;
        self.remaining.pop_front();
        self.progress = std::mem::take(&mut self.progress).with_step(step);
        self.done.push(step.clone());
    }

    fn mounts_of_pin(&self, step: &Step) -> Vec<Consumer> {
        match (step, &self.last_observed) {
            (Step::SetPin { kind, name, .. }, Some(observed)) => {
                observed.consumers_of(*kind, name).map(|(path, _)| path).collect()
            }
            _ => Vec::new(),
        }
    }

    fn report_read_back_mismatch(&mut self, observed: &Observed) {
        let Some(Step::Write { path, .. }) = self.done.last() else { return };
        let Some(write) = observed.writes.iter().find(|write| write.path == *path) else { return };
        let differs = write.fields.iter().filter(|(_, field)| **field == Comparison::Differs);
        let fields: Vec<String> = differs.map(|(name, _)| name.clone()).collect();
        if !fields.is_empty() {
            (self.listener)(&Event::ReadBackMismatch { path: path.clone(), fields });
        }
    }
}

/// Whether a planned step is the one that is due. Nodes may have been removed, and pods recreated.
fn is_same_step(planned: &Step, due: &Step) -> bool {
    match (planned, due) {
        (
            Step::CopyBinary { file: planned, binary: planned_binary, .. },
            Step::CopyBinary { file, binary, .. },
        ) => planned == file && planned_binary.sha256 == binary.sha256,
        (Step::RestartNode { node: planned, .. }, Step::RestartNode { node, .. }) => planned == node,
        (planned, due) => planned == due,
    }
}

#[cfg(test)]
mod tests;
