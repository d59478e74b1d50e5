//! `rollback`: every mount of a plugin on the version before, or on one that is named.

use std::path::PathBuf;

use clap::{ArgAction, Args};
use rollout::{
    Canary, Downgrade, Goal, MountPath, Rehearsal, Target, ThisRun, Trial, Upgrade, Version, World, observe,
    version_before,
};
use vault_api::catalog::PluginType;

use crate::commands::carry_out::{ConsentArgs, RestartArgs, carry_out};
use crate::commands::interrupts::{Interrupts, unless_interrupted};
use crate::commands::place;
use crate::commands::placement::PlacementArgs;
use crate::commands::register::survival;
use crate::commands::upgrade::{MoveReport, only_plugin};
use crate::context::Context;
use crate::error::{CommandError, Kind};
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
pub async fn run(args: RollbackArgs, context: &Context, ui: &mut Ui) -> Result<MoveReport, CommandError> {
    let consent = args.consent.clone();
    ui.stream();
    let (world, upgrade) = unless_interrupted(gather(args, context)).await?;
    let (plugin, version) = (upgrade.name().to_owned(), upgrade.version().clone());
    let goal = Goal::Upgrade(Box::new(upgrade));
    let carried = carry_out(&world, &goal, consent.consent(), &mut Interrupts::default(), ui).await;
    let carried = carried.map_err(|error| match error.kind() {
        // The version before is another one once mounts have moved.
        Kind::Interrupted | Kind::NeedsPerson => {
            error.hint(format!("To go on with this version: --to {version}"))
        }
        _ => error,
    })?;
    Ok(MoveReport::new(plugin, version, carried))
}

async fn gather(args: RollbackArgs, context: &Context) -> Result<(World, Upgrade), CommandError> {
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
    let world = place::found(context, plugin_dir).await?;
    let observed = observe(&world, None, &ThisRun::default()).await?;
    let name = match name {
        Some(name) => name,
        None => only_plugin(&observed, "Name it: `vault-token-plugin rollback NAME`.")?,
    };
    let version = match to {
        Some(version) => version,
        None => version_before(&observed, PluginType::Secret, &name)?,
    };
    let moved = observed.mounts_of(PluginType::Secret, &name).map(|(path, _)| path);
    let moved = moved.filter(|path| mounts.is_empty() || mounts.contains(path));
    let trial = |mount| Some(Trial { mount, below: smoke.clone()? });
    let upgrade = Upgrade {
        trials: moved.filter_map(trial).collect(),
        target: Target::Registered { kind: PluginType::Secret, name, version },
        only: mounts,
        downgrade: Downgrade::Allow,
        canary: Canary::Skip,
        breaks: Vec::new(),
        survival: survival(image.map(|image| (image, None)), allow_ephemeral),
        placement: placement.placement(),
        rehearsal: Rehearsal::None,
        restarts: restarts.consent(),
    };
    Ok((world, upgrade))
}
