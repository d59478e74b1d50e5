//! Carries a confirmed plan out, one proven step after the other.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use vault_api::catalog::{EntryName, Register as RegisterEntry};
use vault_api::logical::{Data, Write};
use vault_api::mounts::{Disable, Enable, TuneVersion};
use vault_api::{CallError, reload};

use crate::compare::Comparison;
use crate::decide::{Decision, Plan, decide};
use crate::event::Event;
use crate::goal::{Goal, MountPath};
use crate::observe::{World, observe};
use crate::observed::site::NodeName;
use crate::observed::{Observed, ThisRun};
use crate::refusal::Refusal;
use crate::site::{Copied, SiteError};
use crate::step::{Step, VersionFrom};
use crate::switch_back::{Switched, switch_back};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[must_use = "an outcome says whether somebody has to act"]
pub enum Outcome {
    /// Everything is as wanted and was read back.
    Done {
        /// What was done; empty when there was nothing to do.
        done: Vec<Step>,
    },
    /// Stopped between two steps, as asked. The same run again goes on.
    Interrupted {
        /// What was done.
        done: Vec<Step>,
        /// What was not.
        left: Vec<Step>,
    },
    /// Refused before anything was changed.
    Refused {
        /// Why.
        refusal: Refusal,
    },
    /// Something else has to be done than was confirmed, because the world has changed. Nothing of it was done.
    Changed {
        /// What was done.
        done: Vec<Step>,
        /// What the plan said.
        expected: Option<Step>,
        /// What would be next now.
        found: Step,
    },
    /// A step failed and nothing runs that did not run before.
    Failed {
        /// What was done.
        done: Vec<Step>,
        /// What failed; `None` when it was the look at the world.
        step: Option<Step>,
        /// Why.
        error: String,
    },
    /// A step failed after mounts had been moved, and they run the version before again.
    RolledBack {
        /// What was done, before it was undone.
        done: Vec<Step>,
        /// What failed.
        step: Option<Step>,
        /// Why.
        error: String,
        /// What was moved back.
        mounts: Vec<MountPath>,
    },
    /// A step failed, and what is there now has to be looked at.
    NeedsPerson {
        /// What was done.
        done: Vec<Step>,
        /// What failed.
        step: Option<Step>,
        /// Why.
        error: String,
        /// What is where, a sentence each.
        left: Vec<String>,
    },
}

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
    let run = Run {
        world,
        goal,
        listener,
        this_run: ThisRun::default(),
        of: plan.steps.len(),
        done: Vec::new(),
        left: plan.steps.iter().cloned().collect(),
        switched: Vec::new(),
    };
    run.carry_out(cancel).await
}

/// How long no node may be active before it is an error: failovers take seconds.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

struct Run<'a> {
    world: &'a World,
    goal: &'a Goal,
    listener: &'a mut dyn FnMut(&Event),
    this_run: ThisRun,
    of: usize,
    done: Vec<Step>,
    left: VecDeque<Step>,
    switched: Vec<Switched>,
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("the server did not do it")]
    Call(#[from] CallError),
    #[error("the file was not placed")]
    Site(#[from] SiteError),
    #[error("there is no plugin directory to place it in")]
    NoSite,
}

impl Run<'_> {
    async fn carry_out(mut self, cancel: &CancelFlag) -> Outcome {
        loop {
            let decision = match self.next(cancel).await {
                Ok(decision) => decision,
                Err(error) => return self.failed(None, error).await,
            };
            let step = match decision {
                Decision::Do(step) => step,
                Decision::Done => return Outcome::Done { done: self.done },
                Decision::Refuse(refusal) if self.done.is_empty() => return Outcome::Refused { refusal },
                Decision::Refuse(refusal) => {
                    let last = self.done.last().cloned();
                    return self.failed(last, refusal.to_string()).await;
                }
                Decision::Wait(_) if cancel.is_cancelled() && !self.is_mid_switch() => {
                    return Outcome::Interrupted { done: self.done, left: self.left.into() };
                }
                Decision::Wait(on) => return self.failed(None, on.to_string()).await,
            };
            if !self.is_planned(&step) {
                return self.unplanned(step).await;
            }
            if cancel.is_cancelled() && !self.is_mid_switch() {
                return Outcome::Interrupted { done: self.done, left: self.left.into() };
            }
            if let Err(error) = self.do_step(&step).await {
                return self.failed(Some(step), chain(&error)).await;
            }
        }
    }

    /// The decision on a fresh look, once a node is active.
    async fn next(&mut self, cancel: &CancelFlag) -> Result<Decision, String> {
        let mut waited = Duration::ZERO;
        loop {
            let observed =
                observe(self.world, Some(self.goal), &self.this_run).await.map_err(|error| chain(&error))?;
            match decide(&observed, self.goal) {
                Decision::Wait(on) if waited < LONGEST_WAIT && !cancel.is_cancelled() => {
                    (self.listener)(&Event::Waiting { on });
                    tokio::time::sleep(LOOK_AGAIN).await;
                    waited += LOOK_AGAIN;
                }
                decision => {
                    self.tell_what_reads_back_differently(&observed);
                    return Ok(decision);
                }
            }
        }
    }

    /// True for the next step of the plan. Writes that have become needless are passed over: a new version may show
    /// what the old one did not.
    fn is_planned(&mut self, step: &Step) -> bool {
        let at = self.left.iter().position(|planned| planned == step);
        let Some(at) =
            at.filter(|at| self.left.iter().take(*at).all(|step| matches!(step, Step::Write { .. })))
        else {
            return false;
        };
        self.left.drain(..at);
        true
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
            return match self.world.client.send(&Disable { path: path.to_string() }).await {
                Ok(_) => Outcome::Failed { done: self.done, step: last, error },
                Err(cause) => {
                    let left =
                        vec![format!("{path} is mounted and could not be removed ({})", chain(&cause))];
                    Outcome::NeedsPerson { done: self.done, step: last, error, left }
                }
            };
        }
        if self.switched.is_empty() {
            return Outcome::Changed { done: self.done, expected: self.left.pop_front(), found };
        }
        match &found {
            // The mounts run what they should; only their configuration needs another plan.
            Step::Write { .. } => {
                Outcome::Changed { done: self.done, expected: self.left.pop_front(), found }
            }
            _ => {
                let error = format!("after the switch the next step would be: {found}");
                let last = self.done.last().cloned();
                self.failed(last, error).await
            }
        }
    }

    /// Between a switch and its reload the next failover would start what was never proven.
    fn is_mid_switch(&self) -> bool {
        matches!(self.done.last(), Some(Step::TuneMount { .. }))
    }

    async fn do_step(&mut self, step: &Step) -> Result<(), StepError> {
        let number = self.done.len() + 1;
        (self.listener)(&Event::StepStarted { number, of: self.of, step: step.clone() });
        // Noted before it is done: a call that was cut off may have been carried out.
        self.switched.extend(Switched::by(step));
        let warnings = self.send(step).await?;
        self.left.pop_front();
        self.this_run = std::mem::take(&mut self.this_run).with(step);
        self.done.push(step.clone());
        (self.listener)(&Event::StepDone { number, of: self.of, step: step.clone(), warnings });
        Ok(())
    }

    async fn send(&mut self, step: &Step) -> Result<Vec<String>, StepError> {
        let client = &self.world.client;
        Ok(match step {
            Step::PlaceBinary { nodes, file, .. } => {
                self.place(nodes, file).await?;
                Vec::new()
            }
            Step::RegisterVersion { kind, name, version, sha256, command, args } => {
                let env = match self.goal {
                    Goal::Register(register) => register.plugin.env.clone(),
                    Goal::Reload(_) => Vec::new(),
                };
                let entry = EntryName { kind: *kind, name: name.clone(), version: Some(version.tagged()) };
                let (sha256, command, args) = (sha256.clone(), command.clone(), args.clone());
                client.send(&RegisterEntry { entry, sha256, command, args, env }).await?
            }
            Step::EnableMount { path, plugin, version, version_from } => {
                let version = (*version_from == VersionFrom::Mount).then(|| version.tagged());
                client.send(&Enable { path: path.to_string(), plugin: plugin.clone(), version }).await?
            }
            Step::TuneMount { path, to, .. } => {
                client.send(&TuneVersion { path: path.to_string(), version: to.tagged() }).await?
            }
            Step::ReloadMounts { paths } => {
                let paths = paths.iter().map(ToString::to_string).collect();
                client.send(&reload::Mounts { paths }).await?
            }
            Step::Write { path, .. } => {
                client.send(&Write { path: path.clone(), data: self.data(path) }).await?.warnings
            }
        })
    }

    /// Tells how far it is while it goes on.
    async fn place(&mut self, nodes: &[NodeName], file: &str) -> Result<(), StepError> {
        let (Some(site), Goal::Register(register)) = (&self.world.site, self.goal) else {
            return Err(StepError::NoSite);
        };
        let (progress, mut told) = mpsc::unbounded_channel();
        let placing = site.place(&register.plugin.binary, file, nodes, progress);
        let telling = async {
            while let Some(Copied { node, done, total }) = told.recv().await {
                (self.listener)(&Event::Bytes { node, done, total });
            }
        };
        let (placed, ()) = tokio::join!(placing, telling);
        Ok(placed?)
    }

    fn data(&self, path: &str) -> Data {
        let writes =
            self.goal.mounts().iter().flat_map(|mount| mount.writes.iter().map(move |write| (mount, write)));
        let wanted = writes.filter(|(mount, write)| mount.path.join(&write.path) == path);
        Data(
            wanted
                .flat_map(|(_, write)| write.data.iter().map(|(field, value)| (field.clone(), value.value())))
                .collect(),
        )
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

    async fn failed(self, step: Option<Step>, error: String) -> Outcome {
        if self.switched.is_empty() {
            return match &step {
                Some(Step::ReloadMounts { paths }) => {
                    let left = paths.iter().map(|path| format!(
                        "{path} was told to reload and is not proven to run what it is configured to run; \
                         the server's log says why its plugin does not start"
                    ));
                    Outcome::NeedsPerson { left: left.collect(), done: self.done, step, error }
                }
                Some(Step::RegisterVersion { .. }) => self.nothing_registered(step, error).await,
                _ => Outcome::Failed { done: self.done, step, error },
            };
        }
        let done = self.done;
        let mounts: Vec<MountPath> = self.switched.iter().map(|switched| switched.path.clone()).collect();
        (self.listener)(&Event::RollingBack { mounts: mounts.clone(), because: error.clone() });
        match switch_back(&self.world.client, &self.switched).await {
            Ok(()) => Outcome::RolledBack { done, step, error, mounts },
            Err(left) => Outcome::NeedsPerson { done, step, error, left },
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
