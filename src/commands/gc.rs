//! `gc`: every version that nothing can need any more, out of the catalog and off the nodes.

use clap::{Args, ValueHint};
use rollout::{GarbageCollectGoal, Goal};

use crate::commands::execute::{ConsentArgs, PlanReport, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plugin_args::PluginDirArgs;
use crate::commands::{plugin_dir, plugin_name};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// What to keep.
#[derive(Debug, Args)]
pub struct GcArgs {
    /// Name of the plugin in the catalog [default: all plugins]
    #[arg(value_name = "PLUGIN", value_parser = plugin_name::parse_registered, value_hint = ValueHint::Other)]
    plugin: Option<String>,
    /// Number of older versions to keep
    ///
    /// They are the newest of those that are older than all versions in use, and are there for a rollback.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    keep: usize,
    #[command(flatten)]
    directory: PluginDirArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Removes what is older than all that is configured, pinned or running, except the versions before it that are kept.
///
/// # Errors
/// When it is refused, fails, or is interrupted.
pub async fn run(args: GcArgs, context: &Context, ui: &mut Ui) -> Result<PlanReport, CommandError> {
    let GcArgs { plugin, keep, directory: PluginDirArgs { plugin_dir }, consent } = args;
    let world = unless_interrupted(plugin_dir::connect_with_plugin_dir(context, plugin_dir)).await?;
    let goal = Goal::GarbageCollect(GarbageCollectGoal { name: plugin, keep });
    let carried = execute(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(PlanReport::new(carried))
}
