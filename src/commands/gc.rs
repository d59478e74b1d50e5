//! `gc`: every version that nothing can need any more, out of the catalog and off the nodes.

use std::path::PathBuf;

use clap::Args;
use rollout::{GarbageCollectGoal, Goal};

use crate::commands::execute::{ConsentArgs, PlanReport, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plugin_dir;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// What to keep.
#[derive(Debug, Args)]
pub struct GcArgs {
    /// Only this plugin
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
    /// How many versions before the newest in use are kept, to roll back to
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    keep: usize,
    /// Plugin directory of the server on this machine [default: what the server says]
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Removes what is older than all that is configured, pinned or running, except the versions before it that are kept.
///
/// # Errors
/// When it is refused, fails, or is interrupted.
pub async fn run(args: GcArgs, context: &Context, ui: &mut Ui) -> Result<PlanReport, CommandError> {
    let GcArgs { plugin, keep, plugin_dir, consent } = args;
    let world = unless_interrupted(plugin_dir::connect_with_plugin_dir(context, plugin_dir)).await?;
    let goal = Goal::GarbageCollect(GarbageCollectGoal { name: plugin, keep });
    let carried = execute(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(PlanReport::new(carried))
}
