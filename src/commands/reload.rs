//! `reload`: reloads mounts, with the same version or the configured one.

use clap::{Args, ValueHint};
use rollout::{Consumer, Environment, Goal, ReloadGoal, ReloadTarget, observe_server};
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
    if plugin.is_none() && !mounts.is_empty() {
        let typed = |path: Consumer| match kind {
            Some(kind) => path.of_kind(kind),
            None => path,
        };
        let mounts: Vec<Consumer> = mounts.into_iter().map(typed).collect();
        return Ok(ReloadTarget::Mounts(with_connections(environment, mounts).await?));
    }
    let observed = observe_server(environment).await?;
    let name = match plugin {
        Some(name) => name,
        None => plugin_name::only_mounted(&observed, kind, "reload", ui)?,
    };
    let kind = plugin_name::kind_of(&observed, &name, kind)?;
    if mounts.is_empty() {
        return Ok(ReloadTarget::Plugin { kind, name });
    }
    let mounts: Vec<Consumer> = mounts.into_iter().map(|path| path.of_kind(kind)).collect();
    let runs_it = |path: &Consumer| observed.consumers_of(kind, &name).any(|(mount, _)| mount == *path);
    match mounts.iter().find(|path| !runs_it(path)) {
        Some(other) => Err(CommandError::usage(format!("{other} does not run {name}"))
            .hint("`vault-token-plugin status` shows what each mount runs.")),
        None => Ok(ReloadTarget::Mounts(mounts)),
    }
}

/// Finds the connections among paths that could also be those of mounts.
async fn with_connections(
    environment: &Environment,
    mounts: Vec<Consumer>,
) -> Result<Vec<Consumer>, CommandError> {
    let may_be_connection =
        |path: &Consumer| path.kind() == PluginType::Secret && path.as_str().contains("/config/");
    if !mounts.iter().any(may_be_connection) {
        return Ok(mounts);
    }
    let observed = observe_server(environment).await?;
    let resolve = |path: Consumer| {
        let connection = path.clone().of_kind(PluginType::Database);
        if observed.consumers.contains_key(&connection) { connection } else { path }
    };
    Ok(mounts.into_iter().map(resolve).collect())
}
