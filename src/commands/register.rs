//! `register`: a plugin on its mounts, as described by flags or a file; does only what is missing.

mod goal;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use rollout::{Goal, MountObserved, RegisterGoal, Version};
use serde::Serialize;

use crate::commands::execute::{ConsentArgs, PlanResult, PlanStatus, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::{Report, Ui};

/// What to register, and what to do with it.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Only missing steps are executed, so a second run has nothing to do. On a terminal, missing values are asked for."
)]
pub struct RegisterArgs {
    #[command(flatten)]
    flags: goal::RegisterFlags,
    #[command(flatten, next_help_heading = None::<&'static str>)]
    consent: ConsentArgs,
}

/// What was registered.
#[derive(Debug, Serialize)]
pub struct RegisterReport {
    plugin: String,
    version: Version,
    sha256: String,
    #[serde(flatten)]
    plan_result: PlanResult,
    mounts: BTreeMap<String, MountObserved>,
}

/// Registers.
///
/// # Errors
/// When something is missing and nobody can be asked, and when it is refused, fails, or is interrupted.
pub async fn run(args: RegisterArgs, context: &Context, ui: &mut Ui) -> Result<RegisterReport, CommandError> {
    let RegisterArgs { flags: wanted, consent } = args;
    let (world, register, _extracted) = unless_interrupted(goal::resolve(wanted, context, ui)).await?;
    let goal = Goal::Register(Box::new(register.clone()));
    let mut interrupts = Interrupts::default();
    let carried = execute(&world, &goal, consent.consent(), &mut interrupts, ui).await?;
    let mut mounts = carried.observed.mounts.clone();
    mounts.retain(|path, _| register.mounts.iter().any(|mount| mount.path.as_str() == path));
    let RegisterGoal { plugin, .. } = register;
    Ok(RegisterReport {
        plugin: plugin.name,
        version: plugin.version,
        sha256: plugin.binary.sha256,
        plan_result: carried,
        mounts,
    })
}

impl Report for RegisterReport {
    fn render(&self) -> String {
        let mut lines = match self.plan_result.result {
            PlanStatus::NothingToDo => vec!["Nothing to do".to_owned()],
            PlanStatus::DryRun => return "Nothing was done: this was a dry run\n".to_owned(),
            PlanStatus::Done => self.plan_result.done.iter().map(|step| format!("Done: {step}")).collect(),
        };
        for (path, mount) in &self.mounts {
            let MountObserved { running_version, running_sha256, .. } = mount;
            lines.push(format!("{path} runs {} {running_version} (sha256 {running_sha256})", mount.plugin));
        }
        lines.join("\n") + "\n"
    }

    fn made_changes(&self) -> bool {
        self.plan_result.result.made_changes()
    }

    fn exit_code(&self) -> ExitCode {
        self.plan_result.result.exit_code()
    }
}
