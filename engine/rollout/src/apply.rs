//! Applies a confirmed plan step by step and verifies each step by reading back.

mod effect;
mod execute_step;
mod failure;
mod outcome;
mod standby_restart;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::compare::Comparison;
use crate::decide::{Decision, Plan, WaitingOn, decide, due_restart};
use crate::deployment::{DeploymentError, LeaseLock, LockLost};
use crate::error_chain::error_chain;
use crate::event::Event;
use crate::goal::Goal;
use crate::mount_path::MountPath;
use crate::observe::{Environment, observe, observe_cached};
use crate::observed::Observed;
use crate::observed::deployment::NodeName;
use crate::poll::Poll;
use crate::progress::Progress;
use crate::smoke::{revoke_and_verify, revoke_hint};
use crate::step::Step;
use crate::timeouts::{FAILOVER_TIMEOUT, NODE_RETURN_TIMEOUT};
use crate::undo::VersionSwitch;
use execute_step::StepError;
pub use outcome::Outcome;
use standby_restart::wait_timeout;

/// Asks a run to stop after the step it is at. Clones are the same flag.
#[derive(Clone, Debug, Default)]
pub struct CancelFlag(Arc<AtomicBool>);

impl CancelFlag {
    /// A flag that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether the stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Applies `plan` step by step. Before each step it observes and decides again; a step that the plan does not have is not done.
///
/// Do not drop the future before it ends: use `cancel`, which never stops between a version being switched and its reload.
pub async fn apply(
    environment: &Environment,
    goal: &Goal,
    plan: &Plan,
    listener: &mut dyn FnMut(&Event),
    cancel: &CancelFlag,
) -> Outcome {
    let (outcome, held) = apply_and_hold(environment, goal, plan, listener, cancel).await;
    held.release().await;
    outcome
}

/// As [`apply`], and leaves the right to change the site to the caller, who releases it when what belongs to the change is done too.
pub async fn apply_and_hold(
    environment: &Environment,
    goal: &Goal,
    plan: &Plan,
    listener: &mut dyn FnMut(&Event),
    cancel: &CancelFlag,
) -> (Outcome, LeaseLock) {
    // Before the first look: what another operator does until then is seen.
    let held = match &environment.deployment {
        Some(site) => match site.acquire_lock().await {
            Ok(held) => held,
            Err(error) => {
                let outcome = Outcome::Failed { done: Vec::new(), step: None, error: error_chain(&error) };
                return (outcome, LeaseLock::noop());
            }
        },
        None => LeaseLock::noop(),
    };
    let unproven_pull = match verify_image_pull(environment, plan).await {
        Ok(unproven) => unproven,
        Err((step, error)) => {
            let outcome = Outcome::Failed { done: Vec::new(), step: Some(step), error: error_chain(&error) };
            return (outcome, held);
        }
    };
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
        refusal: None,
        interrupted_step: None,
        nodes_are_fresh: false,
        lock: &held,
        unproven_pull,
    };
    let outcome = run.execute(cancel).await;
    (outcome, held)
}

/// How often a step is done that the loss of a node cuts off. A node that has lost the leadership takes a moment to know.
const MAX_STEP_ATTEMPTS: usize = 10;

/// What became of a step when a run fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StepEffect {
    /// It was carried out, and what follows failed.
    Applied,
    /// The answer was lost, or says that something went wrong on the server.
    Unknown,
    /// It was refused, or not begun.
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
    /// The latest look.
    last_observed: Option<Observed>,
    /// Nodes that have been active.
    led_nodes: BTreeSet<NodeName>,
    /// Leases of trials that may live on.
    unrevoked_leases: Vec<String>,
    /// The wait for the end of a temporary refusal of a step.
    refusal: Option<Poll>,
    /// The step that the loss of a node cut off, and how often: it may have been carried out.
    interrupted_step: Option<(Step, usize)>,
    /// Nothing was done to nodes since they were looked at.
    nodes_are_fresh: bool,
    /// The right to change the site.
    lock: &'a LeaseLock,
    /// Why it is not proven that nodes can pull the image that the plan names.
    unproven_pull: Option<String>,
}

/// Has a node pull the image that the plan names, before anything is done: under its name every node waits for it when it is restarted.
async fn verify_image_pull(
    environment: &Environment,
    plan: &Plan,
) -> Result<Option<String>, (Step, DeploymentError)> {
    let named = plan.steps.iter().find_map(|step| match step {
        Step::PatchInitImage { to, .. } => Some((step, to)),
        _ => None,
    });
    let (Some((step, image)), Some(site)) = (named, &environment.deployment) else { return Ok(None) };
    site.verify_image_pull(image).await.map_err(|error| (step.clone(), error))
}

impl Run<'_> {
    async fn execute(mut self, cancel: &CancelFlag) -> Outcome {
        loop {
            let (decision, observed) = match self.next_decision(cancel).await {
                Ok(next) => next,
                Err(error) => return self.failed_between_steps(None, error, StepEffect::None).await,
            };
            let step = match decision {
                // What was cut off may make more due: what was moved is tried.
                Decision::Do(due) if self.resolve_interrupted_step(Some(&due)) => continue,
                Decision::Done if self.resolve_interrupted_step(None) => continue,
                Decision::Do(step) => step,
                Decision::Done => {
                    let observed = Box::new(observed);
                    return Outcome::Done { done: self.done, observed };
                }
                Decision::Refuse(refusal) if self.has_changed_nothing() => {
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
            if !self.is_planned(&step) {
                return self.stop_at_unplanned_step(step).await;
            }
            if cancel.is_cancelled() && !self.in_critical_section() {
                return Outcome::Interrupted { done: self.done, remaining: self.remaining.into() };
            }
            if let Some(lost) = self.lock_lost() {
                return self.stop_without_undo(Some(step), lost.to_string(), StepEffect::None).await;
            }
            if let Err(error) = self.run_step(&step).await {
                if error.is_node_loss() && self.has_other_nodes() && self.may_retry_interrupted_step(&step) {
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

    /// Why this run may not change anything any more.
    fn lock_lost(&self) -> Option<LockLost> {
        let taken = || {
            let holder = self.last_observed.as_ref()?.deployment.as_ref()?.lock_holder.as_ref()?.name.clone();
            Some(LockLost::Taken { holder })
        };
        self.lock.lost_reason().or_else(taken)
    }

    /// The decision on a fresh look, once what it needs is there.
    async fn next_decision(&mut self, cancel: &CancelFlag) -> Result<(Decision, Observed), String> {
        let mut poll = Poll::new(NODE_RETURN_TIMEOUT);
        let mut reported = None;
        loop {
            let observed = self.observe_with_retry().await?;
            if let (Goal::Upgrade(upgrade), true) = (self.goal, self.has_changed_nothing()) {
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

    /// Takes a snapshot. Where there are other nodes, it waits until one has taken over from a lost one.
    async fn observe_with_retry(&mut self) -> Result<Observed, String> {
        let mut poll = Poll::new(FAILOVER_TIMEOUT);
        let mut told = false;
        loop {
            let looked = if std::mem::replace(&mut self.nodes_are_fresh, false) {
                observe_cached(self.environment, Some(self.goal)).await
            } else {
                observe(self.environment, Some(self.goal)).await
            };
            let error = match looked {
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
            if !std::mem::replace(&mut told, true) {
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
        let site = self.last_observed.as_ref().and_then(|seen| seen.deployment.as_ref());
        site.is_some_and(|site| site.nodes.len() > 1)
    }

    /// Notes that `step` was cut off. Another node takes over, and the next look shows whether it was carried out.
    fn may_retry_interrupted_step(&mut self, step: &Step) -> bool {
        let times = match self.interrupted_step.take() {
            Some((cut_off, times)) if cut_off == *step => times + 1,
            _ => 1,
        };
        self.interrupted_step = Some((step.clone(), times));
        times < MAX_STEP_ATTEMPTS
    }

    /// A step that was cut off and is not due any more was carried out. Whether it was counted as done just now.
    fn resolve_interrupted_step(&mut self, due: Option<&Step>) -> bool {
        let is_due = |cut_off: &Step| due.is_some_and(|due| is_same_step(cut_off, due));
        let settled = self.interrupted_step.take_if(|(cut_off, _)| !is_due(cut_off));
        let Some((cut_off, _)) = settled.filter(|(cut_off, _)| self.remaining.front() == Some(cut_off))
        else {
            return false;
        };
        self.mark_done(&cut_off);
        true
    }

    /// Whether no step was done, nor cut off, as such a step may have been carried out.
    fn has_changed_nothing(&self) -> bool {
        self.done.is_empty() && self.interrupted_step.is_none()
    }

    /// Ends a run that cannot go on after a snapshot: as at `step`, unless another one was cut off before that look.
    async fn failed_between_steps(
        mut self,
        step: Option<Step>,
        error: String,
        effect: StepEffect,
    ) -> Outcome {
        match self.interrupted_step.take() {
            // Its file stays, as the entry may be there.
            Some((Step::RegisterVersion { .. }, _)) if !matches!(self.goal, Goal::Upgrade(_)) => {
                self.fail(None, error, StepEffect::None).await
            }
            Some((cut_off, _)) => self.fail(Some(cut_off), error, StepEffect::Unknown).await,
            None => self.fail(step, error, effect).await,
        }
    }

    /// Nothing can be undone on a node that is lost; another takes over in seconds.
    async fn wait_for_failover(&mut self) {
        let mut poll = Poll::new(FAILOVER_TIMEOUT);
        while self.has_other_nodes() && !poll.timed_out() && self.lock_lost().is_none() {
            match self.observe_with_retry().await {
                Ok(seen) if seen.is_failing_over() => {}
                Ok(_) | Err(_) => return,
            }
            poll.pause().await;
        }
    }

    /// True for the next step of the plan. What has become needless is passed over: a new version may show what the old
    /// one did not, and a failover starts what a reload would have started.
    fn is_planned(&mut self, step: &Step) -> bool {
        let may_pass = |step: &Step| match self.goal {
            Goal::Upgrade(_) | Goal::Deregister(_) | Goal::GarbageCollect(_) => !matches!(
                step,
                Step::MountCanary { .. } | Step::VerifyCanary { .. } | Step::SmokeTestMount { .. }
            ),
            Goal::Register(_) | Goal::Reload(_) => {
                matches!(step, Step::Write { .. } | Step::ReloadMount { .. })
            }
        };
        let at = self.remaining.iter().position(|planned| is_same_step(planned, step));
        if let Some(at) = at.filter(|at| self.remaining.iter().take(*at).all(may_pass)) {
            self.remaining.drain(..at);
            return true;
        }
        // A node that has come, or come back empty, gets what the others have got.
        if let (Step::PlaceBinary { .. }, Goal::Upgrade(_)) = (step, self.goal)
            && !self.done.is_empty()
        {
            self.remaining.push_front(step.clone());
            self.total_steps += 1;
            return true;
        }
        false
    }

    /// A wait is not given up while a run is amid something, or may be: what was cut off may have been carried out.
    fn must_not_interrupt(&self) -> bool {
        self.in_critical_section() || self.interrupted_step.is_some()
    }

    /// Between a switch and its reload the next failover would start what was never proven; and a canary that is left
    /// behind is one more mount.
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
        // The mounts of one plugin are reloaded one after the other, and the last of them ends it.
        let is_switch = |step: &Step| matches!(step, Step::TuneMount { .. } | Step::SetPin { .. });
        let is_reload = |step: &Step| matches!(step, Step::ReloadMount { .. });
        let half = self.done.iter().any(is_switch) && self.remaining.iter().any(is_reload);
        canary || half || self.done.last().is_some_and(is_switch)
    }

    async fn run_step(&mut self, step: &Step) -> Result<(), StepError> {
        let number = self.done.len() + 1;
        if self.refusal.is_none() {
            (self.listener)(&Event::StepStarted {
                number,
                total_steps: self.total_steps,
                step: step.clone(),
            });
        }
        self.nodes_are_fresh &= !step.affects_nodes();
        // Noted before it is done: a call that was cut off may have been carried out.
        let switched = VersionSwitch::from_step(step, &self.mounts_of_pin(step));
        if let Some(switched) = switched {
            self.switched.retain(|known| !known.is_same_subject(&switched));
            self.switched.push(switched);
        }
        self.revoke_left_leases().await;
        let acted = self.execute_step(step).await;
        self.nodes_are_fresh &= acted.is_ok();
        self.unrevoked_leases
            .extend(acted.as_ref().err().and_then(StepError::unrevoked_lease).map(str::to_owned));
        let mut warnings = acted?;
        self.mark_done(step);
        if self.remaining.is_empty() {
            self.revoke_left_leases().await;
            warnings.extend(self.unrevoked_leases.iter().map(|lease| revoke_hint(lease)));
        }
        (self.listener)(&Event::StepDone {
            number,
            total_steps: self.total_steps,
            step: step.clone(),
            warnings,
        });
        Ok(())
    }

    /// Revokes the credentials of smoke tests that the loss of a node interrupted. What fails is tried again before the next step.
    async fn revoke_left_leases(&mut self) {
        let mut left = Vec::new();
        for lease in std::mem::take(&mut self.unrevoked_leases) {
            if revoke_and_verify(&self.environment.client, &lease).await.is_err() {
                left.push(lease);
            }
        }
        self.unrevoked_leases = left;
    }

    fn mark_done(&mut self, step: &Step) {
        self.refusal = None;
        self.remaining.pop_front();
        self.progress = std::mem::take(&mut self.progress).with_step(step);
        self.done.push(step.clone());
    }

    fn mounts_of_pin(&self, step: &Step) -> Vec<MountPath> {
        match (step, &self.last_observed) {
            (Step::SetPin { kind, name, .. }, Some(seen)) => {
                seen.mounts_of(*kind, name).map(|(path, _)| path).collect()
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

/// Whether a planned step is the one that is due. A node that has gone needs no file, and a pod may have been recreated.
fn is_same_step(planned: &Step, due: &Step) -> bool {
    match (planned, due) {
        (
            Step::PlaceBinary { file: planned, binary: planned_binary, .. },
            Step::PlaceBinary { file, binary, .. },
        ) => planned == file && planned_binary.sha256 == binary.sha256,
        (Step::RestartNode { node: planned, .. }, Step::RestartNode { node, .. }) => planned == node,
        (planned, due) => planned == due,
    }
}

#[cfg(test)]
mod tests;
