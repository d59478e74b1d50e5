//! `rollback`: every mount of a plugin on the version before, or on one that is named.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use rollout::{
    Canary, DowngradePolicy, Environment, FailoverTest, Goal, MountPath, SmokeTest, Target, UpgradeGoal,
    Version, observe, rollback_version,
};
use vault_api::catalog::PluginType;

use crate::commands::execute::{ConsentArgs, RestartArgs, execute};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::placement::PlacementArgs;
use crate::commands::plugin_dir;
use crate::commands::register::durability;
use crate::commands::upgrade::{VersionChangeReport, only_plugin};
use crate::context::Context;
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::Ui;

/// What to roll back, and to what.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// Plugin [default: the one that is mounted]
    name: Option<String>,
    /// Version to go to [default: the newest before the running one that is in place on every node]
    #[arg(long, value_name = "VERSION")]
    to: Option<Version>,
    /// Only this mount; can be given more than once [default: every mount of the plugin]
    #[arg(long = "mount", value_name = "PATH")]
    mounts: Vec<MountPath>,
    /// Path to try on every mount afterwards, such as creds/developer; a lease is revoked again
    #[arg(long, value_name = "PATH")]
    smoke: Option<String>,
    /// Plugin directory of the server on this machine [default: what the server says]
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// Image of the init container that brings this version
    #[arg(long, value_name = "IMAGE", conflicts_with = "allow_ephemeral")]
    image: Option<String>,
    /// Go back though a node that is started anew loses the version
    #[arg(long, action = ArgAction::SetTrue)]
    allow_ephemeral: bool,
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
    let (world, upgrade) = unless_interrupted(resolve(args, context)).await?;
    let (plugin, version) = (upgrade.name().to_owned(), upgrade.version().clone());
    let goal = Goal::Upgrade(Box::new(upgrade));
    let carried = execute(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await;
    let carried = carried.map_err(|error| match error.kind() {
        // The version before is another one once mounts have moved.
        CommandErrorKind::Interrupted | CommandErrorKind::ManualIntervention => {
            error.hint(format!("To go on with this version: --to {version}"))
        }
        _ => error,
    })?;
    Ok(VersionChangeReport::new(plugin, version, carried))
}

async fn resolve(args: RollbackArgs, context: &Context) -> Result<(Environment, UpgradeGoal), CommandError> {
    let RollbackArgs {
        name,
        to,
        mounts,
        smoke,
        plugin_dir,
        image,
        allow_ephemeral,
        placement,
        restarts,
        consent: _,
    } = args;
    let world = plugin_dir::connect_with_plugin_dir(context, plugin_dir).await?;
    let observed = observe(&world, None).await?;
    let name = match name {
        Some(name) => name,
        None => only_plugin(&observed, "Name it: `vault-token-plugin rollback NAME`.")?,
    };
    let version = match to {
        Some(version) => version,
        None => rollback_version(&observed, PluginType::Secret, &name)?,
    };
    let moved = observed.mounts_of(PluginType::Secret, &name).map(|(path, _)| path);
    let moved = moved.filter(|path| mounts.is_empty() || mounts.contains(path));
    let trial = |mount| Some(SmokeTest { mount, path: smoke.clone()? });
    let upgrade = UpgradeGoal {
        smoke_tests: moved.filter_map(trial).collect(),
        target: Target::Registered { kind: PluginType::Secret, name, version },
        only_mounts: mounts,
        downgrade: DowngradePolicy::Allow,
        canary: Canary::Skip,
        breaking_changes: Vec::new(),
        durability: durability(image.map(|image| (image, None)), allow_ephemeral),
        placement: placement.placement(),
        failover_test: FailoverTest::None,
        restart_consent: restarts.consent(),
    };
    Ok((world, upgrade))
}
