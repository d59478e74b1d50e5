//! `rollback`: every mount of a plugin on the version before, or on one that is named.

use clap::{Args, ValueHint};
use rollout::{
    Canary, DowngradePolicy, Environment, FailoverTest, Goal, MountPath, SmokeTest, Target, UpgradeGoal,
    Version, observe, rollback_version,
};
use vault_api::catalog::PluginType;

use crate::commands::execute::{ConsentArgs, RestartArgs, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::placement::PlacementArgs;
use crate::commands::plugin_args::{DurabilityArgs, PluginDirArgs, SmokeArgs};
use crate::commands::upgrade::VersionChangeReport;
use crate::commands::{plugin_dir, plugin_name};
use crate::context::Context;
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::Ui;

/// What to roll back, and to what.
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
    mounts: Vec<MountPath>,
    #[command(flatten)]
    smoke: SmokeArgs,
    #[command(flatten)]
    durability: DurabilityArgs,
    #[command(flatten)]
    directory: PluginDirArgs,
    #[command(flatten)]
    restarts: RestartArgs,
    #[command(flatten)]
    placement: PlacementArgs,
    #[command(flatten)]
    consent: ConsentArgs,
}

/// Moves the mounts and proves what they run.
///
/// # Errors
/// When there is no such version, and when it is refused, fails, or is interrupted.
pub async fn run(
    args: RollbackArgs,
    context: &Context,
    ui: &mut Ui,
) -> Result<VersionChangeReport, CommandError> {
    let consent = args.consent.clone();
    ui.enable_event_stream();
    let (world, upgrade) = unless_interrupted(resolve(args, context, ui)).await?;
    let (plugin, version) = (upgrade.name().to_owned(), upgrade.version().clone());
    let goal = Goal::Upgrade(Box::new(upgrade));
    let carried = execute(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await;
    let carried = carried.map_err(|error| match error.kind() {
        // The version before is another one once mounts have moved.
        CommandErrorKind::Interrupted | CommandErrorKind::ManualIntervention => {
            error.hint(format!("To go on with this version: --version {version}"))
        }
        _ => error,
    })?;
    Ok(VersionChangeReport::new(plugin, version, carried))
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
        smoke: SmokeArgs { smoke },
        durability,
        directory: PluginDirArgs { plugin_dir },
        restarts,
        placement,
        consent: _,
    } = args;
    durability.check_only_named()?;
    let world = plugin_dir::connect_with_plugin_dir(context, plugin_dir).await?;
    let observed = observe(&world, None).await?;
    let name = match plugin {
        Some(name) => name,
        None => plugin_name::only_mounted(&observed, "rollback", ui)?,
    };
    let version = match version {
        Some(version) => version,
        None => rollback_version(&observed, PluginType::Secret, &name)?,
    };
    let moved = observed.mounts_of(PluginType::Secret, &name).map(|(path, _)| path);
    let moved = moved.filter(|path| mounts.is_empty() || mounts.contains(path));
    let smoke_test = |mount| Some(SmokeTest { mount, path: smoke.clone()? });
    let upgrade = UpgradeGoal {
        smoke_tests: moved.filter_map(smoke_test).collect(),
        target: Target::Registered { kind: PluginType::Secret, name, version },
        only_mounts: mounts,
        downgrade: DowngradePolicy::Allow,
        canary: Canary::Skip,
        breaking_changes: Vec::new(),
        durability: durability.durability(None),
        placement: placement.placement(),
        failover_test: FailoverTest::None,
        restart_consent: restarts.consent(),
    };
    Ok((world, upgrade))
}
