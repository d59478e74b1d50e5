//! `register`: installs, registers, mounts and configures a plugin as described by flags or a file. Steps that are done are skipped.

mod goal;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use rollout::{Consumer, ConsumerObserved, Environment, Goal, RegisterGoal, Version};
use serde::Serialize;

use crate::commands::execute::{Consent, ConsentArgs, PlanResult, PlanStatus, check_plan, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plan_summary::list_or_count;
use crate::commands::plugin_image::ExtractedBinary;
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

/// Result of `register`: of one plugin, or of all plugins of a file.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum RegisterReport {
    /// Of one plugin.
    One(Box<PluginReport>),
    /// Of each plugin of the file, in its order.
    Several {
        /// The results.
        plugins: Vec<PluginReport>,
    },
}

/// Result for one plugin.
#[derive(Debug, Serialize)]
pub struct PluginReport {
    plugin: String,
    version: Version,
    sha256: String,
    #[serde(flatten)]
    plan_result: PlanResult,
    mounts: BTreeMap<Consumer, ConsumerObserved>,
}

/// A plugin that is ready to be registered.
struct Prepared {
    environment: Environment,
    register: RegisterGoal,
    /// Keeps the binary that was extracted from an image.
    _extracted: Option<ExtractedBinary>,
}

/// Registers the plugins, and smoke-tests their mounts. Plans all of them before the first is changed.
///
/// # Errors
/// If a value is missing and there is no terminal to ask for it, or a registration is refused, fails, or is interrupted.
pub async fn run(args: RegisterArgs, context: &Context, ui: &mut Ui) -> Result<RegisterReport, CommandError> {
    let RegisterArgs { flags, consent } = args;
    let documents = flags.documents()?;
    let is_single = documents.len() == 1;
    let mut all = Vec::new();
    for yaml in documents {
        let resolved = unless_interrupted(goal::resolve(yaml, flags.clone(), context, ui)).await?;
        let (environment, register, extracted) = resolved;
        if !is_single {
            let goal = Goal::Register(Box::new(register.clone()));
            unless_interrupted(check_plan(&environment, &goal, ui)).await.map_err(|error| {
                error.hint(format!("This is about {}. Nothing was changed.", register.plugin.name))
            })?;
        }
        all.push(Prepared { environment, register, _extracted: extracted });
    }
    let consent = consent.consent();
    let mut plugins: Vec<PluginReport> = Vec::new();
    let mut remaining = all.into_iter();
    while let Some(prepared) = remaining.next() {
        match register_plugin(prepared, consent, ui).await {
            Ok(report) => plugins.push(report),
            Err(error) if is_single => return Err(error),
            Err(error) => return Err(error.hint(describe_others(&plugins, remaining.as_slice()))),
        }
    }
    Ok(match (plugins.pop(), is_single) {
        (Some(report), true) => RegisterReport::One(Box::new(report)),
        (last, _) => {
            plugins.extend(last);
            RegisterReport::Several { plugins }
        }
    })
}

async fn register_plugin(
    prepared: Prepared,
    consent: Consent,
    ui: &mut Ui,
) -> Result<PluginReport, CommandError> {
    let Prepared { environment, register, _extracted } = prepared;
    let goal = Goal::Register(Box::new(register.clone()));
    let mut interrupts = Interrupts::default();
    let result = execute(&environment, &goal, consent, &mut interrupts, ui).await?;
    let mut mounts = result.observed.consumers.clone();
    mounts.retain(|path, _| register.mounts.iter().any(|mount| mount.path == *path));
    let RegisterGoal { plugin, .. } = register;
    Ok(PluginReport {
        plugin: plugin.name,
        version: plugin.version,
        sha256: plugin.binary.sha256,
        plan_result: result,
        mounts,
    })
}

/// Describes the plugins before and after the one that failed.
fn describe_others(done: &[PluginReport], remaining: &[Prepared]) -> String {
    let list = |title: &str, names: Vec<&str>| {
        if names.is_empty() { String::new() } else { format!("{title}: {}. ", names.join(", ")) }
    };
    let done = list("Registered before", done.iter().map(|report| report.plugin.as_str()).collect());
    let remaining =
        list("Not started", remaining.iter().map(|it| it.register.plugin.name.as_str()).collect());
    format!("{done}{remaining}The same command continues.")
}

impl Report for RegisterReport {
    fn render(&self) -> String {
        self.plugins().iter().map(PluginReport::render).collect()
    }

    fn made_changes(&self) -> bool {
        self.plugins().iter().any(|report| report.plan_result.result.made_changes())
    }

    fn exit_code(&self) -> ExitCode {
        let mut results = self.plugins().iter().map(|report| report.plan_result.result);
        let would_change = results.find(|result| *result == PlanStatus::DryRun);
        would_change.map_or(ExitCode::SUCCESS, PlanStatus::exit_code)
    }
}

impl RegisterReport {
    fn plugins(&self) -> &[PluginReport] {
        match self {
            Self::One(report) => std::slice::from_ref(report),
            Self::Several { plugins } => plugins,
        }
    }
}

impl PluginReport {
    fn render(&self) -> String {
        let mounts: Vec<&str> = self.mounts.keys().map(Consumer::as_str).collect();
        let runs_on = match mounts.as_slice() {
            [] => String::new(),
            mounts => format!(" and runs on {}", list_or_count(mounts, "mounts")),
        };
        let state = format!("{} {} is registered{runs_on}", self.plugin, self.version.v_prefixed());
        self.plan_result.summary(&state, Some(&state)) + "\n"
    }
}
