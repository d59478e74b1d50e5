//! `upgrade`: moves every mount of a plugin to another version without failed requests.

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

pub(crate) use report::VersionChange;
pub use report::VersionChangeReport;

/// Arguments of `upgrade`.
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

/// Copies the version to every node, registers it, tests it on a canary mount, moves the mounts, and verifies what they run. A failure
/// after the switch is undone.
///
/// # Errors
/// If a value is missing, or the upgrade is refused, fails, or is interrupted.
pub async fn run(
    args: UpgradeArgs,
    context: &Context,
    ui: &mut Ui,
) -> Result<VersionChangeReport, CommandError> {
    let UpgradeArgs { flags, consent } = args;
    ui.enable_event_stream();
    let (environment, upgrade, _extracted) = unless_interrupted(goal::resolve(flags, context, ui)).await?;
    let (kind, plugin, version) = (upgrade.kind(), upgrade.name().to_owned(), upgrade.version().clone());
    let goal = Goal::Upgrade(Box::new(upgrade));
    let result = execute(&environment, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(VersionChangeReport::new(VersionChange::Upgrade, (kind, plugin), version, result))
}
