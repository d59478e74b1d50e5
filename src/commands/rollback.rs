//! `rollback`: moves every mount of a plugin to the previous version, or to a given one.

use clap::{Args, ValueHint};
use rollout::{
    Canary, Consumer, DowngradePolicy, Environment, FailoverTest, Goal, Target, UpgradeGoal, Version,
    observe, rollback_version,
};
use vault_api::catalog::PluginType;

use crate::commands::execute::{ConsentArgs, RestartArgs, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::other_nodes::OtherNodesArgs;
use crate::commands::plugin_args::{DurabilityArgs, PluginDirArgs};
use crate::commands::smoke_args::{SmokeArgs, check_smoke_data};
use crate::commands::upgrade::{VersionChange, VersionChangeReport};
use crate::commands::{plugin_dir, plugin_name};
use crate::context::Context;
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::Ui;

/// Arguments of `rollback`.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Name of the plugin in the catalog [default: the only one mounted]
    #[arg(value_name = "PLUGIN", value_parser = plugin_name::parse_registered, value_hint = ValueHint::Other)]
    plugin: Option<String>,
    /// Plugin version [default: the one before]
    ///
    /// The default is the newest version before the running one whose file is on every node.
    #[arg(long, value_name = "VERSION")]
    version: Option<Version>,
    /// Roll back only this mount; repeatable [default: all]
    #[arg(long = "mount", value_name = "PATH")]
    mounts: Vec<Consumer>,
    /// Plugin type [default: as registered]
    ///
    /// secret, auth or database. Only needed if plugins of several types have the name.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<PluginType>,
    #[command(flatten)]
    smoke: SmokeArgs,
    #[command(flatten)]
    durability: DurabilityArgs,
    #[command(flatten)]
    directory: PluginDirArgs,
    #[command(flatten)]
    restarts: RestartArgs,
    #[command(flatten)]
    other_nodes: OtherNodesArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Moves the mounts and verifies what they run.
///
/// # Errors
/// If there is no such version, or the rollback is refused, fails, or is interrupted.
pub async fn run(
    args: RollbackArgs,
    context: &Context,
    ui: &mut Ui,
) -> Result<VersionChangeReport, CommandError> {
    let consent = args.consent.clone();
    ui.enable_event_stream();
    let (environment, upgrade) = unless_interrupted(resolve(args, context, ui)).await?;
    let (kind, plugin, version) = (upgrade.kind(), upgrade.name().to_owned(), upgrade.version().clone());
    let goal = Goal::Upgrade(Box::new(upgrade));
    let result = execute(&environment, &goal, consent.consent(), &mut Interrupts::default(), ui).await;
    let result = result.map_err(|error| match error.kind() {
        // Once mounts have moved, the default is another version.
        CommandErrorKind::Interrupted | CommandErrorKind::ManualIntervention => {
            error.hint(format!("Continue with the same version: --version {version}"))
        }
        _ => error,
    })?;
    Ok(VersionChangeReport::new(VersionChange::Rollback, (kind, plugin), version, result))
}

async fn resolve(
    args: RollbackArgs,
    context: &Context,
    ui: &mut Ui,
) -> Result<(Environment, UpgradeGoal), CommandError> {
    let RollbackArgs {
        plugin,
        version,
        mounts,
        kind,
        smoke,
        durability,
        directory: PluginDirArgs { plugin_dir },
        restarts,
        other_nodes,
        consent: _,
    } = args;
    durability.check_only_named()?;
    let smoke = smoke.parse()?;
    let environment = plugin_dir::connect_with_plugin_dir(context, plugin_dir).await?;
    let observed = observe(&environment, None).await?;
    let name = match plugin {
        Some(name) => name,
        None => plugin_name::only_mounted(&observed, kind, "rollback", ui)?,
    };
    let kind = plugin_name::kind_of(&observed, &name, kind)?;
    check_smoke_data(kind, smoke.as_ref())?;
    let mounts: Vec<Consumer> = mounts.into_iter().map(|path| observed.resolve(path, kind)).collect();
    let version = match version {
        Some(version) => version,
        None => rollback_version(&observed, kind, &name)?,
    };
    let moved = observed.consumers_of(kind, &name).map(|(path, _)| path);
    let moved = moved.filter(|path| mounts.is_empty() || mounts.contains(path));
    let smoke_test = |mount| Some(smoke.clone()?.on(mount));
    let upgrade = UpgradeGoal {
        smoke_tests: moved.filter_map(smoke_test).collect(),
        target: Target::Registered { kind, name, version },
        only_mounts: mounts,
        downgrade: DowngradePolicy::Allow,
        canary: Canary::Skip,
        breaking_changes: Vec::new(),
        durability: durability.durability(None),
        other_nodes_policy: other_nodes.policy(),
        failover_test: FailoverTest::None,
        restart_consent: restarts.consent(),
    };
    Ok((environment, upgrade))
}
