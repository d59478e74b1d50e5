//! `gc`: removes all unneeded versions from the catalog and from the nodes.

use clap::{Args, ValueHint};
use rollout::{GarbageCollectGoal, Goal};

use crate::commands::execute::{ConsentArgs, PlanReport, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plan_summary::describe_removal;
use crate::commands::plugin_args::PluginDirArgs;
use crate::commands::{plugin_dir, plugin_name};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// Arguments of `gc`.
#[derive(Debug, Args)]
pub struct GcArgs {
    /// Name of the plugin in the catalog [default: all plugins]
    #[arg(value_name = "PLUGIN", value_parser = plugin_name::parse_registered, value_hint = ValueHint::Other)]
    plugin: Option<String>,
    /// Number of older versions to keep
    ///
    /// They are the newest ones older than all versions in use, for a rollback.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    keep: usize,
    #[command(flatten)]
    directory: PluginDirArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Removes the versions that are older than all configured, pinned or running ones, except those that are kept.
///
/// # Errors
/// If the removal is refused, fails, or is interrupted.
pub async fn run(args: GcArgs, context: &Context, ui: &mut Ui) -> Result<PlanReport, CommandError> {
    let GcArgs { plugin, keep, directory: PluginDirArgs { plugin_dir }, consent } = args;
    let environment = unless_interrupted(plugin_dir::connect_with_plugin_dir(context, plugin_dir)).await?;
    let goal = Goal::GarbageCollect(GarbageCollectGoal { name: plugin, keep });
    let result = execute(&environment, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(PlanReport::new(result, describe_removal))
}
