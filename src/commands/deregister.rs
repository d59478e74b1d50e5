//! `deregister`: versions that nothing needs, out of the catalog and off the nodes.

use std::path::PathBuf;

use clap::{ArgAction, ArgGroup, Args};
use rollout::{DeregisterGoal, Goal, Version, VersionSelector};
use vault_api::catalog::PluginType;

use crate::commands::execute::{ConsentArgs, PlanReport, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plugin_dir;
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
pub async fn run(args: DeregisterArgs, context: &Context, ui: &mut Ui) -> Result<PlanReport, CommandError> {
    let DeregisterArgs { name, versions, all, kind, plugin_dir, consent } = args;
    let world = unless_interrupted(plugin_dir::connect_with_plugin_dir(context, plugin_dir)).await?;
    let versions = if all { VersionSelector::All } else { VersionSelector::Only(versions) };
    let goal = Goal::Deregister(DeregisterGoal { kind, name, versions });
    let carried = execute(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(PlanReport::new(carried))
}
