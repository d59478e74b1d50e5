//! From a goal to its end: look, plan, show, ask, do.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args};
use rollout::{
    Event, Goal, HeldLease, Observed, Outcome, Plan, QuorumLoss, RestartConsent, SealedRestart, Step, Stop,
    ThisRun, World, apply_and_hold, observe, plan,
};
use serde::Serialize;
use tokio::time::Instant;

use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::error::{CommandError, Kind};
use crate::ui::{Report, Ui};

/// Who agrees with a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// Somebody at the terminal; without one, starting the command was the consent.
    Ask,
    /// Given beforehand.
    Given,
    /// Nobody: only the plan is wanted.
    DryRun,
}

/// What became of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Ended {
    /// It was empty.
    NothingToDo,
    /// It was only shown.
    DryRun,
    /// It was carried out.
    Done,
}

/// A plan and what became of it.
#[derive(Debug, Serialize)]
pub(crate) struct Carried {
    pub(crate) result: Ended,
    pub(crate) plan: Plan,
    pub(crate) done: Vec<Step>,
    #[serde(skip)]
    pub(crate) observed: Observed,
}

/// The flags of every command that changes something.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConsentArgs {
    /// Do not ask
    #[arg(short, long, action = ArgAction::SetTrue)]
    yes: bool,
    /// Only show what would be done; exit code 3 when that is something
    #[arg(long, action = ArgAction::SetTrue)]
    dry_run: bool,
}

/// The flag of every command that may restart nodes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct RestartArgs {
    /// Restart OpenBao standbys that somebody has to unseal afterwards
    #[arg(long, action = ArgAction::SetTrue)]
    allow_sealed_restart: bool,
    /// Restart a voter of raft though the others are no majority until it is back
    #[arg(long, action = ArgAction::SetTrue)]
    allow_quorum_loss: bool,
}

impl RestartArgs {
    /// Which restarts of nodes somebody has agreed to.
    pub(crate) fn consent(self) -> RestartConsent {
        RestartConsent {
            sealed: if self.allow_sealed_restart { SealedRestart::Allow } else { SealedRestart::Refuse },
            quorum_loss: if self.allow_quorum_loss { QuorumLoss::Allow } else { QuorumLoss::Refuse },
        }
    }
}

impl ConsentArgs {
    /// Who agrees.
    pub(crate) fn consent(self) -> Consent {
        match self {
            Self { yes: _, dry_run: true } => Consent::DryRun,
            Self { yes: true, dry_run: false } => Consent::Given,
            Self { yes: false, dry_run: false } => Consent::Ask,
        }
    }
}

/// How long no node may be active before it is an error.
const LONGEST_ELECTION: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Pursues a goal.
pub(crate) async fn carry_out(
    world: &World,
    goal: &Goal,
    consent: Consent,
    interrupts: &mut Interrupts,
    ui: &mut Ui,
) -> Result<Carried, CommandError> {
    let (carried, held) = carry_out_and_hold(world, goal, consent, interrupts, ui).await?;
    held.release().await;
    Ok(carried)
}

/// As [`carry_out`]. What was carried out leaves the Lease of the change to the caller, who releases it after the trial of it.
pub(crate) async fn carry_out_and_hold(
    world: &World,
    goal: &Goal,
    consent: Consent,
    interrupts: &mut Interrupts,
    ui: &mut Ui,
) -> Result<(Carried, HeldLease), CommandError> {
    let (observed, plan) = unless_interrupted(planned(world, goal, ui)).await?;
    plan.notices.iter().for_each(|notice| ui.warn(&notice.to_string()));
    let ended = |result, plan, done, observed| Carried { result, plan, done, observed };
    if plan.is_empty() {
        return Ok((ended(Ended::NothingToDo, plan, Vec::new(), observed), HeldLease::needless()));
    }
    ui.planned(&plan);
    if consent == Consent::DryRun {
        return Ok((ended(Ended::DryRun, plan, Vec::new(), observed), HeldLease::needless()));
    }
    if consent == Consent::Ask && ui.can_ask() {
        interrupts.leave_at_once(ui.aside())?;
        if !ui.confirm("Do this?")? {
            return Err(CommandError::failed("nothing was done, as answered"));
        }
    }
    interrupts.watch(ui.aside())?;
    let (outcome, held) =
        apply_and_hold(world, goal, &plan, &mut |event| ui.event(event), interrupts.cancel()).await;
    ui.end_progress();
    let carried = match outcome {
        // Of the look on which the run has ended: another one could fail after everything was done.
        Outcome::Done { done, observed } => ended(Ended::Done, plan, done, *observed),
        other => match CommandError::from_outcome(other) {
            Some(error) => {
                held.release().await;
                return Err(error);
            }
            None => ended(Ended::Done, plan, Vec::new(), observed),
        },
    };
    Ok((carried, held))
}

/// The plan, once a node is active and those that it needs are back: that takes seconds, and is no reason to be called again.
async fn planned(world: &World, goal: &Goal, ui: &mut Ui) -> Result<(Observed, Plan), CommandError> {
    let started = Instant::now();
    let mut told = false;
    loop {
        let observed = observe(world, Some(goal), &ThisRun::default()).await?;
        match plan(&observed, goal) {
            Ok(plan) => return Ok((observed, plan)),
            Err(Stop::Waiting(on)) if started.elapsed() < LONGEST_ELECTION => {
                if !std::mem::replace(&mut told, true) {
                    ui.event(&Event::Waiting { on });
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(stop) => return Err(stop.into()),
        }
    }
}

/// A plan and what became of it, where that is all that there is to say.
#[derive(Debug, Serialize)]
pub struct CarriedReport {
    #[serde(flatten)]
    carried: Carried,
}

impl CarriedReport {
    pub(crate) fn new(carried: Carried) -> CarriedReport {
        CarriedReport { carried }
    }
}

impl Report for CarriedReport {
    fn render(&self) -> String {
        match self.carried.result {
            Ended::NothingToDo => "Nothing to do\n".to_owned(),
            Ended::DryRun => "Nothing was done: this was a dry run\n".to_owned(),
            Ended::Done => {
                let done: Vec<String> =
                    self.carried.done.iter().map(|step| format!("Done: {step}\n")).collect();
                done.concat()
            }
        }
    }

    fn is_of_a_change(&self) -> bool {
        self.carried.result == Ended::Done
    }

    fn exit_code(&self) -> ExitCode {
        match self.carried.result {
            Ended::DryRun => Kind::Drift.exit_code(),
            Ended::NothingToDo | Ended::Done => ExitCode::SUCCESS,
        }
    }
}
