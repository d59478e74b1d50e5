//! `reload`: the same version again, or the one that is configured, on mounts.

use clap::{ArgGroup, Args};
use rollout::{Goal, MountPath, ReloadGoal, ReloadTarget};
use vault_api::catalog::PluginType;

use crate::commands::deployment;
use crate::commands::execute::{ConsentArgs, PlanReport, RestartArgs, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// What to reload.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("target").required(true)))]
pub struct ReloadArgs {
    /// Mount; can be given more than once
    #[arg(long = "mount", value_name = "PATH", group = "target")]
    mounts: Vec<MountPath>,
    /// Plugin: all its mounts
    #[arg(long, value_name = "NAME", group = "target")]
    plugin: Option<String>,
    /// Type of the plugin
    #[arg(long = "type", value_name = "TYPE", default_value = "secret")]
    kind: PluginType,
    #[command(flatten)]
    restarts: RestartArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Reloads.
///
/// # Errors
/// When it is refused, fails, or is interrupted.
pub async fn run(args: ReloadArgs, context: &Context, ui: &mut Ui) -> Result<PlanReport, CommandError> {
    let ReloadArgs { mounts, plugin, kind, restarts, consent } = args;
    let target = match plugin {
        Some(name) => ReloadTarget::Plugin { kind, name },
        None => ReloadTarget::Mounts(mounts),
    };
    let world = unless_interrupted(deployment::connect(context, None, None)).await?;
    let goal = Goal::Reload(ReloadGoal { target, restart_consent: restarts.consent() });
    let carried = execute(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(PlanReport::new(carried))
}
