//! `upgrade`: every mount of a plugin on another version, without anybody noticing.

mod compatibility;
mod goal;
mod inherited_env;
mod report;

use clap::Args;
use rollout::Goal;

use crate::commands::execute::{ConsentArgs, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

pub use report::VersionChangeReport;

/// To what to upgrade, and how carefully.
#[derive(Debug, Args)]
#[command(
    after_long_help = "PLUGIN can be left out if only one plugin is mounted. Without --arg and --env, the new version gets the arguments of the \
                       running one, and its environment if that can be read."
)]
pub struct UpgradeArgs {
    #[command(flatten)]
    flags: goal::UpgradeFlags,
    #[command(flatten, next_help_heading = None::<&'static str>)]
    consent: ConsentArgs,
}

/// Places the version on every node, registers it, tries it on a mount of its own, moves the mounts, and proves what they
/// run. What fails after the switch is undone.
///
/// # Errors
/// When something is missing, and when it is refused, fails, or is interrupted.
pub async fn run(
    args: UpgradeArgs,
    context: &Context,
    ui: &mut Ui,
) -> Result<VersionChangeReport, CommandError> {
    let UpgradeArgs { flags: wanted, consent } = args;
    ui.enable_event_stream();
    let (world, upgrade, _extracted) = unless_interrupted(goal::resolve(wanted, context, ui)).await?;
    let (plugin, version) = (upgrade.name().to_owned(), upgrade.version().clone());
    let goal = Goal::Upgrade(Box::new(upgrade));
    let carried = execute(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(VersionChangeReport::new(plugin, version, carried))
}
