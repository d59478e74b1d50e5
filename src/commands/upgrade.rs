//! `upgrade`: every mount of a plugin on another version, without anybody noticing.

mod compatible;
mod environment;
mod image;
mod report;
mod wanted;

use clap::Args;
use rollout::Goal;

use crate::commands::carry_out::{ConsentArgs, carry_out};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

pub use report::MoveReport;
pub(crate) use wanted::only_plugin;

/// To what to upgrade, and how carefully.
#[derive(Debug, Args)]
pub struct UpgradeArgs {
    #[command(flatten)]
    wanted: wanted::Flags,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Places the version on every node, registers it, tries it on a mount of its own, moves the mounts, and proves what they
/// run. What fails after the switch is undone.
///
/// # Errors
/// When something is missing, and when it is refused, fails, or is interrupted.
pub async fn run(args: UpgradeArgs, context: &Context, ui: &mut Ui) -> Result<MoveReport, CommandError> {
    let UpgradeArgs { wanted, consent } = args;
    ui.stream();
    let (world, upgrade, _taken) = unless_interrupted(wanted::gather(wanted, context, ui)).await?;
    let (plugin, version) = (upgrade.name().to_owned(), upgrade.version().clone());
    let goal = Goal::Upgrade(Box::new(upgrade));
    let carried = carry_out(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(MoveReport::new(plugin, version, carried))
}
