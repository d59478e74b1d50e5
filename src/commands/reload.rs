//! `reload`: the same version again, or the one that is configured, on mounts.

use clap::{Args, ValueHint};
use rollout::{Environment, Goal, MountPath, ReloadGoal, ReloadTarget, observe_server};
use vault_api::catalog::PluginType;

use crate::commands::deployment;
use crate::commands::execute::{ConsentArgs, PlanReport, RestartArgs, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plugin_name;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// What to reload.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Name of the plugin in the catalog [default: the only one mounted]
    #[arg(value_name = "PLUGIN", value_parser = plugin_name::parse_registered, value_hint = ValueHint::Other)]
    plugin: Option<String>,
    /// Reload only this mount; repeatable [default: all]
    #[arg(long = "mount", value_name = "PATH")]
    mounts: Vec<MountPath>,
    /// Plugin type: secret, auth, database
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
    let (world, target) = unless_interrupted(async {
        let world = deployment::connect(context, None, None).await?;
        let target = reload_target(&world, plugin, mounts, kind, ui).await?;
        Ok((world, target))
    })
    .await?;
    let goal = Goal::Reload(ReloadGoal { target, restart_consent: restarts.consent() });
    let carried = execute(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(PlanReport::new(carried))
}

/// Which mounts are reloaded. Mounts alone are reloaded whatever they run; beside a plugin, each must run it.
async fn reload_target(
    world: &Environment,
    plugin: Option<String>,
    mounts: Vec<MountPath>,
    kind: PluginType,
    ui: &mut Ui,
) -> Result<ReloadTarget, CommandError> {
    let name = match plugin {
        Some(name) => name,
        None if !mounts.is_empty() => return Ok(ReloadTarget::Mounts(mounts)),
        None => plugin_name::only_mounted(&observe_server(world).await?, "reload", ui)?,
    };
    if mounts.is_empty() {
        return Ok(ReloadTarget::Plugin { kind, name });
    }
    let observed = observe_server(world).await?;
    let runs_it = |path: &MountPath| observed.mounts_of(kind, &name).any(|(mount, _)| mount == *path);
    match mounts.iter().find(|path| !runs_it(path)) {
        Some(other) => Err(CommandError::usage(format!("{other} does not run {name}"))
            .hint("`vault-token-plugin status` shows what each mount runs.")),
        None => Ok(ReloadTarget::Mounts(mounts)),
    }
}
