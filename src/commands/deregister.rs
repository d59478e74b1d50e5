//! `deregister`: removes unused versions from the catalog and from the nodes.

use clap::{ArgAction, ArgGroup, Args, ValueHint};
use rollout::{DeregisterGoal, Goal, Version, VersionSelector, observe_server};
use vault_api::catalog::PluginType;

use crate::commands::execute::{ConsentArgs, PlanReport, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plan_summary::describe_removal;
use crate::commands::plugin_args::PluginDirArgs;
use crate::commands::{plugin_dir, plugin_name};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// Arguments of `deregister`.
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
    /// Plugin type [default: as registered]
    ///
    /// secret, auth or database. Only needed if plugins of several types have the name.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<PluginType>,
    #[command(flatten)]
    directory: PluginDirArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Removes the versions, first from the catalog. A version that a mount runs or is configured to run is refused.
///
/// # Errors
/// If the removal is refused, fails, or is interrupted.
pub async fn run(args: DeregisterArgs, context: &Context, ui: &mut Ui) -> Result<PlanReport, CommandError> {
    let DeregisterArgs { plugin, versions, all, kind, directory: PluginDirArgs { plugin_dir }, consent } =
        args;
    let (environment, name, kind) = unless_interrupted(async {
        let environment = plugin_dir::connect_with_plugin_dir(context, plugin_dir).await?;
        let (name, kind) = match (plugin, kind) {
            (Some(name), Some(kind)) => (name, kind),
            (name, kind) => {
                let observed = observe_server(&environment).await?;
                let name = match name {
                    Some(name) => name,
                    None => plugin_name::only_registered(&observed, kind, "deregister", ui)?,
                };
                let kind = plugin_name::kind_of(&observed, &name, kind)?;
                (name, kind)
            }
        };
        Ok((environment, name, kind))
    })
    .await?;
    let versions = if all { VersionSelector::All } else { VersionSelector::Only(versions) };
    let goal = Goal::Deregister(DeregisterGoal { kind, name, versions });
    let result = execute(&environment, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(PlanReport::new(result, describe_removal))
}
