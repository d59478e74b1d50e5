//! From a goal to its end: look, plan, show, ask, do.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args};
use rollout::{
    Environment, Event, Goal, LeaseLock, Observed, Outcome, Plan, PlanError, QuorumLoss, RestartConsent,
    SealedRestart, Step, apply_and_hold, observe, plan,
};
use serde::Serialize;
use tokio::time::Instant;

use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plugin_args::SAFETY_HEADING;
use crate::error::{CommandError, CommandErrorKind};
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
pub(crate) enum PlanStatus {
    /// It was empty.
    NothingToDo,
    /// It was only shown.
    DryRun,
    /// It was carried out.
    Done,
}

impl PlanStatus {
    /// Whether the command has changed something.
    pub(crate) fn made_changes(self) -> bool {
        self == Self::Done
    }

    /// The exit code of the command: a dry run that would change something reports drift.
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::DryRun => CommandErrorKind::Drift.exit_code(),
            Self::NothingToDo | Self::Done => ExitCode::SUCCESS,
        }
    }
}

/// A plan and what became of it.
#[derive(Debug, Serialize)]
pub(crate) struct PlanResult {
    pub(crate) result: PlanStatus,
    pub(crate) plan: Plan,
    pub(crate) done: Vec<Step>,
    #[serde(skip)]
    pub(crate) observed: Observed,
}

/// The flags of every command that changes something.
#[derive(Clone, Debug, Args)]
pub(crate) struct ConsentArgs {
    /// Apply without confirmation
    #[arg(short, long, action = ArgAction::SetTrue)]
    yes: bool,
    /// Show the plan; exit with 3 if it is not empty
    #[arg(long, action = ArgAction::SetTrue)]
    dry_run: bool,
}

/// The flag of every command that may restart nodes.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct RestartArgs {
    /// Allow restarting OpenBao standbys that are unsealed by hand
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true, help_heading = SAFETY_HEADING)]
    allow_sealed_restart: bool,
    /// Allow restarting a raft voter that the quorum needs
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true, help_heading = SAFETY_HEADING)]
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
const MAX_ELECTION_TIME: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Pursues a goal.
pub(crate) async fn execute(
    world: &Environment,
    goal: &Goal,
    consent: Consent,
    interrupts: &mut Interrupts,
    ui: &mut Ui,
) -> Result<PlanResult, CommandError> {
    let (carried, held) = carry_out_and_hold(world, goal, consent, interrupts, ui).await?;
    held.release().await;
    Ok(carried)
}

/// Like [`execute`], but leaves the Lease of the change to the caller, who releases it after the smoke test.
pub(crate) async fn carry_out_and_hold(
    world: &Environment,
    goal: &Goal,
    consent: Consent,
    interrupts: &mut Interrupts,
    ui: &mut Ui,
) -> Result<(PlanResult, LeaseLock), CommandError> {
    let (observed, plan) = unless_interrupted(plan_when_ready(world, goal, ui)).await?;
    plan.notices.iter().for_each(|notice| ui.warn(&notice.to_string()));
    let ended = |result, plan, done, observed| PlanResult { result, plan, done, observed };
    if plan.is_empty() {
        return Ok((ended(PlanStatus::NothingToDo, plan, Vec::new(), observed), LeaseLock::noop()));
    }
    ui.show_plan(&plan);
    if consent == Consent::DryRun {
        return Ok((ended(PlanStatus::DryRun, plan, Vec::new(), observed), LeaseLock::noop()));
    }
    if consent == Consent::Ask && ui.is_interactive() {
        interrupts.exit_on_signal(ui.status_writer())?;
        if !ui.confirm("Apply this plan?")? {
            return Err(CommandError::failed("nothing was done, as answered"));
        }
    }
    interrupts.stop_after_step_on_signal(ui.status_writer())?;
    let (outcome, held) =
        apply_and_hold(world, goal, &plan, &mut |event| ui.show_event(event), interrupts.cancel_flag()).await;
    ui.end_progress();
    let carried = match outcome {
        // Of the look on which the run has ended: another one could fail after everything was done.
        Outcome::Done { done, observed } => ended(PlanStatus::Done, plan, done, *observed),
        other => match CommandError::from_outcome(other) {
            Some(error) => {
                held.release().await;
                return Err(error);
            }
            None => ended(PlanStatus::Done, plan, Vec::new(), observed),
        },
    };
    Ok((carried, held))
}

/// The plan, once a node is active and those that it needs are back: that takes seconds, and is no reason to be called again.
async fn plan_when_ready(
    world: &Environment,
    goal: &Goal,
    ui: &mut Ui,
) -> Result<(Observed, Plan), CommandError> {
    let started = Instant::now();
    let mut told = false;
    loop {
        let observed = observe(world, Some(goal)).await?;
        match plan(&observed, goal) {
            Ok(plan) => return Ok((observed, plan)),
            Err(PlanError::Waiting(on)) if started.elapsed() < MAX_ELECTION_TIME => {
                if !std::mem::replace(&mut told, true) {
                    ui.show_event(&Event::Waiting { reason: on });
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            Err(stop) => return Err(stop.into()),
        }
    }
}

/// A plan and what became of it, where that is all that there is to say.
#[derive(Debug, Serialize)]
pub struct PlanReport {
    #[serde(flatten)]
    plan_result: PlanResult,
}

impl PlanReport {
    pub(crate) fn new(carried: PlanResult) -> PlanReport {
        PlanReport { plan_result: carried }
    }
}

impl Report for PlanReport {
    fn render(&self) -> String {
        match self.plan_result.result {
            PlanStatus::NothingToDo => "Nothing to do\n".to_owned(),
            PlanStatus::DryRun => "Nothing was done: this was a dry run\n".to_owned(),
            PlanStatus::Done => {
                let done: Vec<String> =
                    self.plan_result.done.iter().map(|step| format!("Done: {step}\n")).collect();
                done.concat()
            }
        }
    }

    fn made_changes(&self) -> bool {
        self.plan_result.result.made_changes()
    }

    fn exit_code(&self) -> ExitCode {
        self.plan_result.result.exit_code()
    }
}
