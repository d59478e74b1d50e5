//! `reload`: reloads mounts, with the same version or the configured one.

use clap::{Args, ValueHint};
use rollout::{Consumer, Environment, Goal, Observed, ReloadGoal, ReloadTarget, observe_server};
use vault_api::catalog::PluginType;

use crate::commands::connect::connect;
use crate::commands::execute::{ConsentArgs, PlanReport, RestartArgs, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::plan_summary::describe_reload;
use crate::commands::plugin_name;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// Arguments of `reload`.
#[derive(Debug, Args)]
pub struct ReloadArgs {
    /// Name of the plugin in the catalog [default: the only one mounted]
    #[arg(value_name = "PLUGIN", value_parser = plugin_name::parse_registered, value_hint = ValueHint::Other)]
    plugin: Option<String>,
    /// Reload only this mount; repeatable [default: all]
    #[arg(long = "mount", value_name = "PATH")]
    mounts: Vec<Consumer>,
    /// Plugin type [default: as registered]
    ///
    /// secret, auth or database. Only needed if plugins of several types have the name.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<PluginType>,
    #[command(flatten)]
    restarts: RestartArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Reloads the mounts.
///
/// # Errors
/// If the reload is refused, fails, or is interrupted.
pub async fn run(args: ReloadArgs, context: &Context, ui: &mut Ui) -> Result<PlanReport, CommandError> {
    let ReloadArgs { mounts, plugin, kind, restarts, consent } = args;
    let (environment, target) = unless_interrupted(async {
        let environment = connect(context, None, None).await?;
        let target = reload_target(&environment, plugin, mounts, kind, ui).await?;
        Ok((environment, target))
    })
    .await?;
    let goal = Goal::Reload(ReloadGoal { target, restart_consent: restarts.consent() });
    let result = execute(&environment, &goal, consent.consent(), &mut Interrupts::default(), ui).await?;
    Ok(PlanReport::new(result, describe_reload))
}

/// Selects the mounts. With mounts only, each is reloaded whatever it runs; with a plugin, each must run it.
async fn reload_target(
    environment: &Environment,
    plugin: Option<String>,
    mounts: Vec<Consumer>,
    kind: Option<PluginType>,
    ui: &mut Ui,
) -> Result<ReloadTarget, CommandError> {
    let observed = observe_server(environment).await?;
    if plugin.is_none() && !mounts.is_empty() {
        let existing = |path: Consumer| existing_consumer(&observed, path, kind);
        return Ok(ReloadTarget::Mounts(mounts.into_iter().map(existing).collect()));
    }
    let name = match plugin {
        Some(name) => name,
        None => plugin_name::only_mounted(&observed, kind, "reload", ui)?,
    };
    let kind = plugin_name::kind_of(&observed, &name, kind)?;
    if mounts.is_empty() {
        return Ok(ReloadTarget::Plugin { kind, name });
    }
    let mounts: Vec<Consumer> = mounts.into_iter().map(|path| observed.resolve(path, kind)).collect();
    let runs_it = |path: &Consumer| observed.consumers_of(kind, &name).any(|(mount, _)| mount == *path);
    match mounts.iter().find(|path| !runs_it(path)) {
        Some(other) => Err(CommandError::usage(format!("{other} does not run {name}"))
            .hint("`vault-token-plugin status` shows what each mount runs.")),
        None => Ok(ReloadTarget::Mounts(mounts)),
    }
}

/// The consumer at a path: of the given type, else of the first type of which there is one.
fn existing_consumer(observed: &Observed, path: Consumer, kind: Option<PluginType>) -> Consumer {
    let of_kind = |kind| observed.resolve(path.clone(), kind);
    if let Some(kind) = kind {
        return of_kind(kind);
    }
    let kinds = [path.kind(), PluginType::Auth, PluginType::Database];
    let mut existing = kinds.into_iter().map(of_kind).filter(|path| observed.consumers.contains_key(path));
    existing.next().unwrap_or_else(|| of_kind(path.kind()))
}
