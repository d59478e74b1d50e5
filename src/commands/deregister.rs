//! `deregister`: versions that nothing needs, out of the catalog and off the nodes.

use clap::{ArgAction, ArgGroup, Args, ValueHint};
use rollout::{DeregisterGoal, Goal, Version, VersionSelector, observe_server};
use vault_api::catalog::PluginType;

use crate::commands::execute::{ConsentArgs, PlanReport, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plugin_args::PluginDirArgs;
use crate::commands::{plugin_dir, plugin_name};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// What to remove.
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("which").required(true)),
    override_usage = "vault-token-plugin deregister [PLUGIN] <--version <VERSION>|--all>"
)]
pub struct DeregisterArgs {
    /// Name of the plugin in the catalog [default: the only one]
    #[arg(value_name = "PLUGIN", value_parser = plugin_name::parse_registered, value_hint = ValueHint::Other)]
    plugin: Option<String>,
    /// Plugin version to remove; repeatable
    #[arg(long = "version", value_name = "VERSION", group = "which")]
    versions: Vec<Version>,
    /// Remove all versions
    #[arg(long, action = ArgAction::SetTrue, group = "which")]
    all: bool,
    /// Plugin type: secret, auth, database
    #[arg(long = "type", value_name = "TYPE", default_value = "secret")]
    kind: PluginType,
    #[command(flatten)]
    directory: PluginDirArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Removes them, the catalog first. What a mount runs or will run is refused.
///
/// # Errors
/// When it is refused, fails, or is interrupted.
pub async fn run(args: DeregisterArgs, context: &Context, ui: &mut Ui) -> Result<PlanReport, CommandError> {
    let DeregisterArgs { plugin, versions, all, kind, directory: PluginDirArgs { plugin_dir }, consent } =
        args;
    let (world, name) = unless_interrupted(async {
        let world = plugin_dir::connect_with_plugin_dir(context, plugin_dir).await?;
        let name = match plugin {
            Some(name) => name,
            None => plugin_name::only_registered(&observe_server(&world).await?, kind, "deregister", ui)?,
        };
        Ok((world, name))
    })
    .await?;
    let versions = if all { VersionSelector::All } else { VersionSelector::Only(versions) };
    let goal = Goal::Deregister(DeregisterGoal { kind, name, versions });
    let carried = execute(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(PlanReport::new(carried))
}
