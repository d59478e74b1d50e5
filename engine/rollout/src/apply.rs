//! Carries a confirmed plan out, one proven step after the other.

pub(crate) mod act;
pub(crate) mod effect;
mod outcome;
mod restarting;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use vault_api::mounts::Disable;

use crate::compare::Comparison;
use crate::decide::{Decision, Plan, WaitingOn, decide, due_restart};
use crate::event::Event;
use crate::goal::{Goal, MountPath};
use crate::observe::{World, observe, observe_again};
use crate::observed::site::NodeName;
use crate::observed::{Observed, ThisRun};
use crate::site::SiteError;
use crate::site::held::{HeldLease, LeaseLost};
use crate::smoke::how_to_revoke;
use crate::step::Step;
use crate::undo::{Failover, Switched, Undo, moved};
use act::StepError;
pub use outcome::Outcome;
use restarting::longest;

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

/// Carries out `plan`. Before each step the world is observed and decided upon anew; what differs from the plan is not done.
///
/// Do not drop the future before it ends: use `cancel`, which never stops between a version being switched and its reload.
pub async fn apply(
    world: &World,
    goal: &Goal,
    plan: &Plan,
    listener: &mut dyn FnMut(&Event),
    cancel: &CancelFlag,
) -> Outcome {
    let (outcome, held) = apply_and_hold(world, goal, plan, listener, cancel).await;
    held.release().await;
    outcome
}

/// As [`apply`], and leaves the right to change the site to the caller, who releases it when what belongs to the change is done too.
pub async fn apply_and_hold(
    world: &World,
    goal: &Goal,
    plan: &Plan,
    listener: &mut dyn FnMut(&Event),
    cancel: &CancelFlag,
) -> (Outcome, HeldLease) {
    // Before the first look: what another operator does until then is seen.
    let held = match &world.site {
        Some(site) => match site.hold().await {
            Ok(held) => held,
            Err(error) => {
                let outcome = Outcome::Failed { done: Vec::new(), step: None, error: chain(&error) };
                return (outcome, HeldLease::needless());
            }
        },
        None => HeldLease::needless(),
    };
    let unproven_pull = match prove_pull(world, plan).await {
        Ok(unproven) => unproven,
        Err((step, error)) => {
            let outcome = Outcome::Failed { done: Vec::new(), step: Some(step), error: chain(&error) };
            return (outcome, held);
        }
    };
    let run = Run {
        world,
        goal,
        listener,
        this_run: ThisRun::default(),
        of: plan.steps.len(),
        done: Vec::new(),
        left: plan.steps.iter().cloned().collect(),
        switched: Vec::new(),
        seen: None,
        led: BTreeSet::new(),
        leases: Vec::new(),
        refused_since: None,
        cut_off: None,
        nodes_are_known: false,
        held: world.site.as_ref().map(|_| &held),
        unproven_pull,
    };
    let outcome = run.carry_out(cancel).await;
    (outcome, held)
}

/// How long no node may be active before it is an error: failovers take seconds.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a node may be away that was there: a pod has to be scheduled, to start and to be unsealed.
const LONGEST_ABSENCE: Duration = Duration::from_secs(300);
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How often a step is done that the loss of a node cuts off. A node that has lost the leadership takes a moment to know.
const TRIES: usize = 10;

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
    world: &'a World,
    goal: &'a Goal,
    listener: &'a mut dyn FnMut(&Event),
    this_run: ThisRun,
    of: usize,
    done: Vec<Step>,
    left: VecDeque<Step>,
    switched: Vec<Switched>,
    /// The latest look.
    seen: Option<Observed>,
    /// Nodes that have been active.
    led: BTreeSet<NodeName>,
    /// Leases of trials that may live on.
    leases: Vec<String>,
    /// Since when a step is refused by what passes by itself.
    refused_since: Option<Instant>,
    /// The step that the loss of a node cut off, and how often: it may have been carried out.
    cut_off: Option<(Step, usize)>,
    /// Nothing was done to nodes since they were looked at.
    nodes_are_known: bool,
    /// The right to change the site.
    held: Option<&'a HeldLease>,
    /// Why it is not proven that nodes can pull the image that the plan names.
    unproven_pull: Option<String>,
}

/// Has a node pull the image that the plan names, before anything is done: under its name every node waits for it when it is restarted.
async fn prove_pull(world: &World, plan: &Plan) -> Result<Option<String>, (Step, SiteError)> {
    let named = plan.steps.iter().find_map(|step| match step {
        Step::Persist { to, .. } => Some((step, to)),
        _ => None,
    });
    let (Some((step, image)), Some(site)) = (named, &world.site) else { return Ok(None) };
    site.prove_pull(image).await.map_err(|error| (step.clone(), error))
}

impl<'a> Run<'a> {
    async fn carry_out(mut self, cancel: &CancelFlag) -> Outcome {
        loop {
            let (decision, observed) = match self.next(cancel).await {
                Ok(next) => next,
                Err(error) => return self.failed_between_steps(None, error, StepEffect::None).await,
            };
            let step = match decision {
                // What was cut off may make more due: what was moved is tried.
                Decision::Do(due) if self.settle_cut_off(Some(&due)) => continue,
                Decision::Done if self.settle_cut_off(None) => continue,
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
                Decision::Wait(_) if cancel.is_cancelled() && !self.must_settle() => {
                    return Outcome::Interrupted { done: self.done, left: self.left.into() };
                }
                Decision::Wait(on) => {
                    let due = due_restart(&observed, self.goal);
                    return self.failed_between_steps(due, on.to_string(), StepEffect::None).await;
                }
            };
            if !self.is_planned(&step) {
                return self.unplanned(step).await;
            }
            if cancel.is_cancelled() && !self.is_amid() {
                return Outcome::Interrupted { done: self.done, left: self.left.into() };
            }
            if let Some(lost) = self.lost() {
                return self.stop_without_undo(Some(step), lost.to_string(), StepEffect::None).await;
            }
            if let Err(error) = self.do_step(&step).await {
                if error.is_of_a_lost_node() && self.has_other_nodes() && self.may_try_again(&step) {
                    (self.listener)(&Event::Waiting { on: WaitingOn::ActiveNode });
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
                if let Some(on) = error.awaited()
                    && self.may_wait_for(on)
                {
                    tokio::time::sleep(LOOK_AGAIN).await;
                    continue;
                }
                let effect = if error.may_be_done() { StepEffect::Unknown } else { StepEffect::None };
                return self.failed(Some(step), chain(&error), effect).await;
            }
        }
    }

    /// Why this run may not change anything any more.
    fn lost(&self) -> Option<LeaseLost> {
        let taken = || {
            let holder = self.seen.as_ref()?.site.as_ref()?.holder.as_ref()?.name.clone();
            Some(LeaseLost::Taken { holder })
        };
        self.held.and_then(HeldLease::lost).or_else(|| self.held.and_then(|_| taken()))
    }

    /// The decision on a fresh look, once what it needs is there.
    async fn next(&mut self, cancel: &CancelFlag) -> Result<(Decision, Observed), String> {
        let started = Instant::now();
        let mut told = None;
        loop {
            let observed = self.look().await?;
            if let (Goal::Upgrade(upgrade), true) = (self.goal, self.has_changed_nothing()) {
                self.switched = Switched::half(&observed, upgrade);
            }
            let decision = decide(&observed, self.goal);
            self.tell_what_reads_back_differently(&observed);
            self.seen = Some(observed.clone());
            match decision {
                Decision::Wait(on)
                    if started.elapsed() < longest(&on)
                        && (!cancel.is_cancelled() || self.must_settle())
                        && self.lost().is_none() =>
                {
                    if told.as_ref() != Some(&on) {
                        (self.listener)(&Event::Waiting { on: on.clone() });
                        told = Some(on);
                    }
                    self.nodes_are_known = false;
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                decision => return Ok((decision, observed)),
            }
        }
    }

    /// A look at the world. Where there are other nodes, one of them takes over from one that is lost, so it is waited for.
    async fn look(&mut self) -> Result<Observed, String> {
        let started = Instant::now();
        let mut told = false;
        // A node that was lost during the first step is waited for as after it.
        let steps = self.this_run.steps + usize::from(self.cut_off.is_some());
        let this_run = ThisRun { steps, ..self.this_run.clone() };
        loop {
            let looked = if std::mem::replace(&mut self.nodes_are_known, false) {
                observe_again(self.world, Some(self.goal), &this_run).await
            } else {
                observe(self.world, Some(self.goal), &this_run).await
            };
            let error = match looked {
                Ok(observed) => {
                    self.nodes_are_known = true;
                    return Ok(observed);
                }
                Err(error) => error,
            };
            let gives_up = started.elapsed() >= LONGEST_WAIT || self.lost().is_some();
            if !error.may_pass() || !self.has_other_nodes() || gives_up {
                return Err(chain(&error));
            }
            if !std::mem::replace(&mut told, true) {
                (self.listener)(&Event::Waiting { on: WaitingOn::ActiveNode });
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    fn has_other_nodes(&self) -> bool {
        let site = self.seen.as_ref().and_then(|seen| seen.site.as_ref());
        site.is_some_and(|site| site.nodes.len() > 1)
    }

    /// Notes that `step` was cut off. Another node takes over, and the next look shows whether it was carried out.
    fn may_try_again(&mut self, step: &Step) -> bool {
        let times = match self.cut_off.take() {
            Some((cut_off, times)) if cut_off == *step => times + 1,
            _ => 1,
        };
        self.cut_off = Some((step.clone(), times));
        times < TRIES
    }

    /// A step that was cut off and is not due any more was carried out. Whether it was counted as done just now.
    fn settle_cut_off(&mut self, due: Option<&Step>) -> bool {
        let is_due = |cut_off: &Step| due.is_some_and(|due| same(cut_off, due));
        let settled = self.cut_off.take_if(|(cut_off, _)| !is_due(cut_off));
        let Some((cut_off, _)) = settled.filter(|(cut_off, _)| self.left.front() == Some(cut_off)) else {
            return false;
        };
        self.count_as_done(&cut_off);
        true
    }

    /// Whether no step was done, nor cut off, as such a step may have been carried out.
    fn has_changed_nothing(&self) -> bool {
        self.done.is_empty() && self.cut_off.is_none()
    }

    /// Ends a run that cannot go on after a look at the world: as at `step`, unless another one was cut off before that look.
    async fn failed_between_steps(
        mut self,
        step: Option<Step>,
        error: String,
        effect: StepEffect,
    ) -> Outcome {
        match self.cut_off.take() {
            // Its file stays, as the entry may be there.
            Some((Step::RegisterVersion { .. }, _)) if !matches!(self.goal, Goal::Upgrade(_)) => {
                self.failed(None, error, StepEffect::None).await
            }
            Some((cut_off, _)) => self.failed(Some(cut_off), error, StepEffect::Unknown).await,
            None => self.failed(step, error, effect).await,
        }
    }

    /// Nothing can be undone on a node that is lost; another takes over in seconds.
    async fn wait_for_active(&mut self) {
        let started = Instant::now();
        while self.has_other_nodes() && started.elapsed() < LONGEST_WAIT && self.lost().is_none() {
            match self.look().await {
                Ok(seen) if seen.is_between_leaders() => {}
                Ok(_) | Err(_) => return,
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// True for the next step of the plan. What has become needless is passed over: a new version may show what the old
    /// one did not, and a failover starts what a reload would have started.
    fn is_planned(&mut self, step: &Step) -> bool {
        let may_pass = |step: &Step| match self.goal {
            Goal::Upgrade(_) | Goal::Deregister(_) | Goal::Collect(_) => {
                !matches!(step, Step::MountCanary { .. } | Step::TryCanary { .. } | Step::TryMount { .. })
            }
            Goal::Register(_) | Goal::Reload(_) => {
                matches!(step, Step::Write { .. } | Step::ReloadMount { .. })
            }
        };
        let at = self.left.iter().position(|planned| same(planned, step));
        if let Some(at) = at.filter(|at| self.left.iter().take(*at).all(may_pass)) {
            self.left.drain(..at);
            return true;
        }
        // A node that has come, or come back empty, gets what the others have got.
        if let (Step::PlaceBinary { .. }, Goal::Upgrade(_)) = (step, self.goal)
            && !self.done.is_empty()
        {
            self.left.push_front(step.clone());
            self.of += 1;
            return true;
        }
        false
    }

    /// A mount that this run made and that is not as it should be is removed again: nobody uses it yet.
    async fn unplanned(mut self, found: Step) -> Outcome {
        let fresh = match self.done.last() {
            Some(Step::EnableMount { path, .. }) => Some(path.clone()),
            _ => None,
        };
        if let Some(path) = fresh {
            let error = format!("{path} does not run what was mounted there");
            let last = self.done.pop();
            let removed = self.world.client.send(&Disable { path: path.to_string() }).await;
            let mut left = effect::of_all(&self.done, &[]);
            if let Err(cause) = removed {
                left.push(format!("{path} is mounted and could not be removed ({})", chain(&cause)));
            }
            return outcome::failed(self.done, last, error, left);
        }
        let undoes = matches!(self.goal, Goal::Upgrade(_)) && !self.done.is_empty();
        match &found {
            _ if undoes => {
                let error = format!("something changed in between: the next step would be: {found}");
                let last = self.done.last().cloned();
                self.failed(last, error, StepEffect::Applied).await
            }
            // The mounts run what they should; only their configuration needs another plan.
            Step::Write { .. } => self.changed(found),
            _ if self.switched.is_empty() => self.changed(found),
            _ => {
                let error = format!("after the switch the next step would be: {found}");
                let last = self.done.last().cloned();
                self.failed(last, error, StepEffect::Applied).await
            }
        }
    }

    fn changed(mut self, found: Step) -> Outcome {
        let left = effect::of_all(&self.done, &[]);
        Outcome::Changed { done: self.done, expected: self.left.pop_front(), found, left }
    }

    /// A wait is not given up while a run is amid something, or may be: what was cut off may have been carried out.
    fn must_settle(&self) -> bool {
        self.is_amid() || self.cut_off.is_some()
    }

    /// Between a switch and its reload the next failover would start what was never proven; and a canary that is left
    /// behind is one more mount.
    fn is_amid(&self) -> bool {
        let canary = matches!(
            self.left.front(),
            Some(
                Step::MountCanary { .. }
                    | Step::TryCanary { .. }
                    | Step::RemoveCanary { .. }
                    | Step::DeregisterVersion { .. }
            )
        ) && matches!(self.goal, Goal::Upgrade(_))
            && self.done.iter().any(|step| matches!(step, Step::MountCanary { .. }));
        // The mounts of one plugin are reloaded one after the other, and the last of them ends it.
        let is_switch = |step: &Step| matches!(step, Step::TuneMount { .. } | Step::SetPin { .. });
        let is_reload = |step: &Step| matches!(step, Step::ReloadMount { .. });
        let half = self.done.iter().any(is_switch) && self.left.iter().any(is_reload);
        canary || half || self.done.last().is_some_and(is_switch)
    }

    async fn do_step(&mut self, step: &Step) -> Result<(), StepError> {
        let number = self.done.len() + 1;
        if self.refused_since.is_none() {
            (self.listener)(&Event::StepStarted { number, of: self.of, step: step.clone() });
        }
        self.nodes_are_known &= !step.is_of_nodes();
        // Noted before it is done: a call that was cut off may have been carried out.
        let switched = Switched::by(step, &self.mounts_of_a_pin(step));
        if let Some(switched) = switched {
            self.switched.retain(|known| !known.is_of(&switched));
            self.switched.push(switched);
        }
        let acted = self.act(step).await;
        self.nodes_are_known &= acted.is_ok();
        self.leases.extend(acted.as_ref().err().and_then(StepError::lease_left).map(str::to_owned));
        let warnings = acted?;
        self.count_as_done(step);
        (self.listener)(&Event::StepDone { number, of: self.of, step: step.clone(), warnings });
        Ok(())
    }

    fn count_as_done(&mut self, step: &Step) {
        self.refused_since = None;
        self.left.pop_front();
        self.this_run = std::mem::take(&mut self.this_run).with(step);
        self.done.push(step.clone());
    }

    fn mounts_of_a_pin(&self, step: &Step) -> Vec<MountPath> {
        match (step, &self.seen) {
            (Step::SetPin { kind, name, .. }, Some(seen)) => {
                seen.mounts_of(*kind, name).map(|(path, _)| path).collect()
            }
            _ => Vec::new(),
        }
    }

    fn tell_what_reads_back_differently(&mut self, observed: &Observed) {
        let Some(Step::Write { path, .. }) = self.done.last() else { return };
        let Some(write) = observed.writes.iter().find(|write| write.path == *path) else { return };
        let differs = write.fields.iter().filter(|(_, field)| **field == Comparison::Differs);
        let fields: Vec<String> = differs.map(|(name, _)| name.clone()).collect();
        if !fields.is_empty() {
            (self.listener)(&Event::ReadsBackDifferently { path: path.clone(), fields });
        }
    }

    /// Ends a run that cannot go on: what people use runs what it ran before, or is named. `effect` is that of `step`.
    async fn failed(mut self, step: Option<Step>, error: String, effect: StepEffect) -> Outcome {
        if let Some(lost) = self.lost() {
            return self.stop_without_undo(step, format!("{error}; {lost}"), effect).await;
        }
        self.wait_for_active().await;
        if self.is_restarting(step.as_ref()) {
            return self.stop_restarting(step, error, effect).await;
        }
        if let Goal::Upgrade(_) = self.goal {
            return self.undo(step, error, effect).await;
        }
        if let Some(Step::RegisterVersion { .. }) = &step {
            return self.nothing_registered(step, error).await;
        }
        let uncertain = self.uncertain(step.as_ref(), effect).await;
        let mounts = moved(&self.switched);
        let mut left = effect::of_all(&self.done, &mounts);
        left.extend(uncertain.filter(|_| !effect::is_of(step.as_ref(), &mounts)));
        if self.switched.is_empty() {
            return outcome::failed(self.done, step, error, left);
        }
        let (undo, done) = (self.undoing(), self.done);
        (self.listener)(&Event::RollingBack { mounts: mounts.clone(), because: error.clone() });
        match undo.switch_back(&self.switched).await {
            Ok(()) if left.is_empty() => Outcome::RolledBack { done, step, error, mounts },
            Ok(()) => {
                left.extend(mounts.iter().map(|path| format!("{path} runs the version before again")));
                Outcome::NeedsPerson { done, step, error, left }
            }
            Err(stuck) => {
                left.extend(stuck);
                Outcome::NeedsPerson { done, step, error, left }
            }
        }
    }

    /// What the step that failed may have changed.
    async fn uncertain(&self, step: Option<&Step>, effect: StepEffect) -> Option<String> {
        let step = step.filter(|step| effect != StepEffect::Applied && self.done.last() != Some(step))?;
        match (step, effect) {
            // It is told, and what runs then is not known.
            (Step::ReloadMount { .. }, _) => effect::uncertain(step),
            // Nobody runs what was only placed or registered.
            (Step::PlaceBinary { .. } | Step::RegisterVersion { .. }, _) => None,
            (_, StepEffect::None | StepEffect::Applied) => None,
            (Step::EnableMount { path, .. }, StepEffect::Unknown) => {
                match self.undoing().is_gone(path).await {
                    true => None,
                    false => effect::uncertain(step),
                }
            }
            (step, StepEffect::Unknown) => effect::uncertain(step),
        }
    }

    /// Ends a run whose right to change was lost: somebody else may be changing the same things, so nothing is undone here.
    /// Everything that is there now is named; the same command, run again, goes on or undoes it.
    async fn stop_without_undo(self, step: Option<Step>, error: String, effect: StepEffect) -> Outcome {
        let mut left = Vec::new();
        for done in &self.done {
            left.extend(effect::of(done).or_else(|| effect::of_unused(done)));
        }
        for (path, from) in self.switched.iter().flat_map(Switched::mounts) {
            let from = if from.is_empty() { "no version" } else { from };
            left.push(format!("{path} was moved from {from}, and runs what it ran until it is reloaded"));
        }
        let attempted =
            step.as_ref().filter(|step| effect != StepEffect::None && self.done.last() != Some(step));
        left.extend(attempted.and_then(effect::uncertain));
        if !left.is_empty() {
            left.push(
                "Run the same command again when nobody else changes plugins: it goes on, or undoes this."
                    .to_owned(),
            );
        }
        outcome::failed(self.done, step, error, left)
    }

    fn undoing(&self) -> Undo<'a> {
        let failover = self.seen.as_ref().map_or(Failover::Impossible, Failover::of);
        Undo { client: self.world.client.clone(), failover, held: self.held }
    }

    /// Mounts first, as people use them; then everything that this run has brought, but what a node still runs.
    async fn undo(mut self, step: Option<Step>, error: String, effect: StepEffect) -> Outcome {
        let undo = self.undoing();
        // A reload of what was not moved cannot be undone: the binary of its version is another one now.
        let mounts = moved(&self.switched);
        let mut stays = effect::reloads(&self.done, &mounts);
        stays.extend(
            self.uncertain(step.as_ref(), effect)
                .await
                .filter(|_| matches!(&step, Some(Step::ReloadMount { path }) if !mounts.contains(path))),
        );
        let leases: Vec<String> = self.leases.iter().map(|lease| how_to_revoke(lease)).collect();
        let mut attempted = self.done.clone();
        attempted.extend(step.clone().filter(|step| self.done.last() != Some(step)));
        if !mounts.is_empty() {
            (self.listener)(&Event::RollingBack { mounts: mounts.clone(), because: error.clone() });
            if let Err(left) = undo.switch_back(&self.switched).await {
                let left = left.into_iter().chain(leases).collect();
                return Outcome::NeedsPerson { done: self.done, step, error, left };
            }
            if let Some(needed) = self.needed_by_standbys().await {
                attempted.retain(|step| !self.is_of_version(step));
                stays.push(needed);
            }
        }
        let cleared = undo.clear(self.world, &attempted, self.listener).await.err().unwrap_or_default();
        let (left, done): (Vec<String>, _) =
            (cleared.into_iter().chain(stays).chain(leases).collect(), self.done);
        match (left.is_empty(), mounts.is_empty()) {
            (false, _) => Outcome::NeedsPerson { done, step, error, left },
            (true, true) => Outcome::Failed { done, step, error },
            (true, false) => Outcome::RolledBack { done, step, error, mounts },
        }
    }

    /// Whether a step brings the version that mounts were moved to: its file, or its entry under the plugin's own name.
    fn is_of_version(&self, step: &Step) -> bool {
        match (step, self.goal) {
            (Step::PlaceBinary { .. }, _) => true,
            (Step::RegisterVersion { name, .. }, Goal::Upgrade(upgrade)) => name == upgrade.name(),
            _ => false,
        }
    }

    /// A binary that the server refuses to know must not keep its file name from the right one.
    async fn nothing_registered(mut self, step: Option<Step>, error: String) -> Outcome {
        if let (Some(Step::PlaceBinary { nodes, file, .. }), Some(site)) =
            (self.done.last(), &self.world.site)
        {
            if let Err(cause) = site.take_away(file, nodes).await {
                let left = vec![format!(
                    "{file} is in the plugin directory and is not registered ({})",
                    chain(&cause)
                )];
                return Outcome::NeedsPerson { done: self.done, step, error, left };
            }
            self.done.pop();
        }
        Outcome::Failed { done: self.done, step, error }
    }
}

/// Whether a planned step is the one that is due. A node that has gone needs no file.
fn same(planned: &Step, due: &Step) -> bool {
    match (planned, due) {
        (
            Step::PlaceBinary { file: planned, sha256: planned_sha256, .. },
            Step::PlaceBinary { file, sha256, .. },
        ) => planned == file && planned_sha256 == sha256,
        (planned, due) => planned == due,
    }
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Transparent errors say the same as their cause.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
