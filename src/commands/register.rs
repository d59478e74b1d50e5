//! `register`: installs, registers, mounts and configures a plugin as described by flags or a file. Steps that are done are skipped.

mod goal;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use rollout::{Consumer, ConsumerObserved, Goal, RegisterGoal, Version};
use serde::Serialize;

use crate::commands::execute::{ConsentArgs, PlanResult, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plan_summary::list_or_count;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::{Report, Ui};

/// Arguments of `register`.
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

/// Result of `register`.
#[derive(Debug, Serialize)]
pub struct RegisterReport {
    plugin: String,
    version: Version,
    sha256: String,
    #[serde(flatten)]
    plan_result: PlanResult,
    mounts: BTreeMap<Consumer, ConsumerObserved>,
}

/// Registers the plugin, and smoke-tests its mounts.
///
/// # Errors
/// If a value is missing and there is no terminal to ask for it, or the registration is refused, fails, or is interrupted.
pub async fn run(args: RegisterArgs, context: &Context, ui: &mut Ui) -> Result<RegisterReport, CommandError> {
    let RegisterArgs { flags, consent } = args;
    let (environment, register, _extracted) = unless_interrupted(goal::resolve(flags, context, ui)).await?;
    let goal = Goal::Register(Box::new(register.clone()));
    let mut interrupts = Interrupts::default();
    let result = execute(&environment, &goal, consent.consent(), &mut interrupts, ui).await?;
    let mut mounts = result.observed.consumers.clone();
    mounts.retain(|path, _| register.mounts.iter().any(|mount| mount.path == *path));
    let RegisterGoal { plugin, .. } = register;
    Ok(RegisterReport {
        plugin: plugin.name,
        version: plugin.version,
        sha256: plugin.binary.sha256,
        plan_result: result,
        mounts,
    })
}

impl Report for RegisterReport {
    fn render(&self) -> String {
        let mounts: Vec<&str> = self.mounts.keys().map(Consumer::as_str).collect();
        let runs_on = match mounts.as_slice() {
            [] => String::new(),
            mounts => format!(" and runs on {}", list_or_count(mounts, "mounts")),
        };
        let state = format!("{} {} is registered{runs_on}", self.plugin, self.version.v_prefixed());
        self.plan_result.summary(&state, Some(&state)) + "\n"
    }

    fn made_changes(&self) -> bool {
        self.plan_result.result.made_changes()
    }

    fn exit_code(&self) -> ExitCode {
        self.plan_result.result.exit_code()
    }
}
