//! Pursues a goal: observes, plans, asks for confirmation, applies the plan.

use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, Args};
use rollout::{
    Environment, Event, Goal, Observed, Outcome, Plan, PlanError, QuorumLoss, RestartConsent, SealedRestart,
    Step, apply, observe, plan,
};
use serde::Serialize;
use tokio::time::Instant;

use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plan_summary::format_duration;
use crate::commands::plugin_args::SAFETY_HEADING;
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::{PlanListing, Report, Ui};

/// How a plan is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// By a prompt. Without a terminal, starting the command is the consent.
    Ask,
    /// By `--yes`.
    Given,
    /// Not at all: the plan is only shown.
    DryRun,
}

/// Result of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PlanStatus {
    /// The plan is empty.
    NothingToDo,
    /// The plan was only shown.
    DryRun,
    /// The plan was applied.
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

/// A plan and its result.
#[derive(Debug, Serialize)]
pub(crate) struct PlanResult {
    pub(crate) result: PlanStatus,
    pub(crate) plan: Plan,
    pub(crate) done: Vec<Step>,
    #[serde(skip)]
    pub(crate) elapsed: Duration,
    #[serde(skip)]
    pub(crate) observed: Observed,
}

impl PlanResult {
    /// One sentence about the result, followed by how long it took: `done` if the plan was applied, `unchanged` if it is empty.
    pub(crate) fn summary(&self, done: &str, unchanged: Option<&str>) -> String {
        match self.result {
            PlanStatus::DryRun => "Nothing was done: this was a dry run".to_owned(),
            PlanStatus::NothingToDo => match unchanged {
                Some(unchanged) => format!("Nothing to do: {unchanged}"),
                None => "Nothing to do".to_owned(),
            },
            PlanStatus::Done => {
                let steps = if self.done.len() == 1 { "step" } else { "steps" };
                format!("{done} ({} {steps}, {})", self.done.len(), format_duration(self.elapsed))
            }
        }
    }
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
    /// Which restarts of nodes the user has accepted.
    pub(crate) fn consent(self) -> RestartConsent {
        RestartConsent {
            sealed: if self.allow_sealed_restart { SealedRestart::Allow } else { SealedRestart::Refuse },
            quorum_loss: if self.allow_quorum_loss { QuorumLoss::Allow } else { QuorumLoss::Refuse },
        }
    }
}

impl ConsentArgs {
    /// How the plan is confirmed.
    pub(crate) fn consent(self) -> Consent {
        match self {
            Self { yes: _, dry_run: true } => Consent::DryRun,
            Self { yes: true, dry_run: false } => Consent::Given,
            Self { yes: false, dry_run: false } => Consent::Ask,
        }
    }
}

/// How long a command waits for an active node before it fails.
const MAX_ELECTION_TIME: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// Pursues a goal.
///
/// # Errors
/// If the plan cannot be made, is declined, fails, or is interrupted.
pub(crate) async fn execute(
    environment: &Environment,
    goal: &Goal,
    consent: Consent,
    interrupts: &mut Interrupts,
    ui: &mut Ui,
) -> Result<PlanResult, CommandError> {
    let (observed, plan) = unless_interrupted(plan_when_ready(environment, goal, ui)).await?;
    plan.notices.iter().for_each(|notice| ui.warn(&notice.to_string()));
    let unapplied = |result, plan, observed| {
        let result = PlanResult { result, plan, done: Vec::new(), elapsed: Duration::ZERO, observed };
        Ok(result)
    };
    if plan.is_empty() {
        return unapplied(PlanStatus::NothingToDo, plan, observed);
    }
    let asks = consent == Consent::Ask && ui.is_interactive();
    // Without a question the steps are listed once only, while they run.
    let listing = if asks || consent == Consent::DryRun { PlanListing::Shown } else { PlanListing::Omitted };
    ui.show_plan(&plan, listing);
    if consent == Consent::DryRun {
        return unapplied(PlanStatus::DryRun, plan, observed);
    }
    if asks {
        interrupts.exit_on_signal(ui.status_writer())?;
        if !ui.confirm("Apply this plan?")? {
            return Err(CommandError::failed("the plan was declined, nothing was changed"));
        }
    }
    interrupts.stop_after_step_on_signal(ui.status_writer())?;
    let started = Instant::now();
    let outcome =
        apply(environment, goal, &plan, &mut |event| ui.show_event(event), interrupts.cancel_flag()).await;
    ui.end_progress();
    let elapsed = started.elapsed();
    let applied =
        |plan, done, observed| PlanResult { result: PlanStatus::Done, plan, done, elapsed, observed };
    match outcome {
        // The last observation of the run. A new one could fail although everything is done.
        Outcome::Done { done, observed } => Ok(applied(plan, done, *observed)),
        other => match CommandError::from_outcome(other) {
            Some(error) => Err(error),
            None => Ok(applied(plan, Vec::new(), observed)),
        },
    }
}

/// Checks that a goal can be pursued. Changes nothing.
///
/// # Errors
/// If the plan cannot be made.
pub(crate) async fn check_plan(
    environment: &Environment,
    goal: &Goal,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    plan_when_ready(environment, goal, ui).await.map(drop)
}

/// Returns the plan once a node is active and the nodes that it needs are ready, which takes seconds after a failover.
async fn plan_when_ready(
    environment: &Environment,
    goal: &Goal,
    ui: &mut Ui,
) -> Result<(Observed, Plan), CommandError> {
    let started = Instant::now();
    let mut is_reported = false;
    loop {
        let observed = observe(environment, Some(goal)).await?;
        match plan(&observed, goal) {
            Ok(plan) => return Ok((observed, plan)),
            Err(PlanError::Waiting(on)) if started.elapsed() < MAX_ELECTION_TIME => {
                if !std::mem::replace(&mut is_reported, true) {
                    ui.show_event(&Event::Waiting { reason: on });
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
            Err(stop) => return Err(stop.into()),
        }
    }
}

/// The report of a command that has nothing to add to the result of its plan.
#[derive(Debug, Serialize)]
pub struct PlanReport {
    #[serde(flatten)]
    plan_result: PlanResult,
    #[serde(skip)]
    done: String,
}

impl PlanReport {
    /// `describe_done` describes the applied steps in one sentence.
    pub(crate) fn new(plan_result: PlanResult, describe_done: fn(&[Step]) -> String) -> PlanReport {
        PlanReport { done: describe_done(&plan_result.done), plan_result }
    }
}

impl Report for PlanReport {
    fn render(&self) -> String {
        self.plan_result.summary(&self.done, None) + "\n"
    }

    fn made_changes(&self) -> bool {
        self.plan_result.result.made_changes()
    }

    fn exit_code(&self) -> ExitCode {
        self.plan_result.result.exit_code()
    }
}
