//! `deregister`: versions that nothing needs, out of the catalog and off the nodes.

use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Args};
use rollout::{Deregister, Goal, Version, Versions};
use vault_api::catalog::PluginType;

use crate::commands::carry_out::{CarriedReport, ConsentArgs, carry_out};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::place;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// What to remove.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("which").required(true)))]
pub struct DeregisterArgs {
    /// Plugin
    name: String,
    /// This version; can be given more than once
    #[arg(long = "version", value_name = "VERSION", group = "which")]
    versions: Vec<Version>,
    /// Every version
    #[arg(long, action = ArgAction::SetTrue, group = "which")]
    all: bool,
    /// Type of the plugin
    #[arg(long = "type", value_name = "TYPE", default_value = "secret")]
    kind: PluginType,
    /// Plugin directory of the server on this machine [default: what the server says]
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Removes them, the catalog first. What a mount runs or will run is refused.
///
/// # Errors
/// When it is refused, fails, or is interrupted.
pub async fn run(
    args: DeregisterArgs,
    context: &Context,
    ui: &mut Ui,
) -> Result<CarriedReport, CommandError> {
    let DeregisterArgs { name, versions, all, kind, plugin_dir, consent } = args;
    let world = unless_interrupted(place::found(context, plugin_dir)).await?;
    let versions = if all { Versions::All } else { Versions::These(versions) };
    let goal = Goal::Deregister(Deregister { kind, name, versions });
    let carried = carry_out(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(CarriedReport::new(carried))
}
