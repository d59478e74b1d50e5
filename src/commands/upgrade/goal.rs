//! To what to upgrade: flags before the file, the file before what the server says of the running version.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use rollout::{
    Canary, DesiredMount, DesiredWrite, DowngradePolicy, Environment, FailoverTest, MountPath, Observed,
    Plugin, SmokeTest, Target, UpgradeGoal, Version, observe, observe_server,
};
use vault_api::catalog::{self, PluginDetails, PluginRef, PluginType};

use super::compatibility::breaking_changes;
use super::image::{ExtractedBinary, UpgradeImage};
use super::inherited_env::{InheritedEnv, inherit_env};
use crate::commands::execute::RestartArgs;
use crate::commands::mount_data::{inline_values, parse_writes};
use crate::commands::placement::PlacementArgs;
use crate::commands::plugin_source::{binary_path, plugin_env, plugin_version, read_binary};
use crate::commands::probe::{probe_for_deployment, untrusted_launch};
use crate::commands::register::{durability, mounts_from_file};
use crate::commands::sensitive_fields::SensitiveFields;
use crate::commands::{deployment, plugin_dir};
use crate::config::PluginYaml;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// The flags of `upgrade` that say what is wanted.
#[derive(Debug, Args)]
pub(super) struct UpgradeFlags {
    /// The new version's binary, or an image that `package` has made: HOST/NAME:TAG, or the directory of a layout
    /// [default: the file's binary, else this program]
    #[arg(value_name = "BINARY|IMAGE")]
    binary: Option<PathBuf>,
    /// Name in the catalog [default: the file's, else the one plugin that is mounted]
    #[arg(long)]
    name: Option<String>,
    /// Version [default: what the binary reports]
    #[arg(long)]
    version: Option<Version>,
    /// Argument of the plugin; can be given more than once [default: those of the running version]
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,
    /// Environment of the plugin, which no server shows; the value can be @FILE or - (standard input)
    #[arg(long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// Only this mount; can be given more than once [default: every mount of the plugin]
    #[arg(long = "mount", value_name = "PATH")]
    mounts: Vec<MountPath>,
    /// Plugin directory of the server on this machine [default: what the server says]
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// Data of the trial mount's `config`; the value can be @FILE or - (standard input)
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// Data of the trial mount's `roles/NAME`
    #[arg(long, value_name = "NAME:KEY=VALUE")]
    role: Vec<String>,
    /// Data of any other path of the trial mount
    #[arg(long, num_args = 2, value_names = ["PATH", "KEY=VALUE"], action = ArgAction::Append)]
    write: Vec<String>,
    /// Path to try on every mount that is moved, and on a trial mount that has data; a lease is revoked again
    #[arg(long, value_name = "PATH")]
    smoke: Option<String>,
    /// Plugin, data and trials in a file, as `register` takes it; flags come before it
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Which configuration the trial mount gets [default: trial where there is data of it, else live]
    #[arg(long, value_name = "WHICH", value_enum, conflicts_with = "no_canary")]
    canary_config: Option<CanaryConfig>,
    /// Do not try the version on a mount of its own first
    #[arg(long, action = ArgAction::SetTrue)]
    no_canary: bool,
    /// Move mounts to an older version
    #[arg(long, action = ArgAction::SetTrue)]
    allow_downgrade: bool,
    /// Upgrade though paths or fields are gone that clients may use
    #[arg(long, action = ArgAction::SetTrue)]
    allow_breaking: bool,
    /// Upgrade though a node that is started anew loses the version
    #[arg(long, action = ArgAction::SetTrue, conflicts_with = "image")]
    allow_ephemeral: bool,
    /// Image of the init container that brings this version and those before
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    #[command(flatten)]
    placement: PlacementArgs,
    /// At the end make every node the active one, and prove it
    #[arg(long, action = ArgAction::SetTrue)]
    rehearse_failover: bool,
    #[command(flatten)]
    restarts: RestartArgs,
}

/// Which configuration the trial mount gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CanaryConfig {
    /// That of the first mount of the file that has one. Not for an engine that changes its own credential when it is
    /// configured: it would take that of the live mount away
    Live,
    /// What --config, --role and --write say
    Trial,
    /// None: the version is started there, and not tried
    None,
}

/// Puts everything together. Nothing is changed; the binary is started and ended. One that was taken out of an image goes with the
/// last part of the answer.
pub(super) async fn resolve(
    flags: UpgradeFlags,
    context: &Context,
    ui: &mut Ui,
) -> Result<(Environment, UpgradeGoal, Option<ExtractedBinary>), CommandError> {
    let yaml = flags.file.as_deref().map(PluginYaml::read).transpose()?.unwrap_or_default();
    let mut flagged = parse_writes(&flags.config, &flags.role, &flags.write)?;
    let typed = inline_values(&flags.config, &flags.role, &flags.write);
    let own = flags.binary.is_none() && yaml.plugin.binary.is_none();
    let image =
        flags.binary.as_deref().map(|named| UpgradeImage::parse(named, context)).transpose()?.flatten();
    let mut world = deployment::connect(context, yaml.site.as_ref(), flags.plugin_dir.as_ref()).await?;
    // What is in an image is chosen by the machines of the nodes.
    let observed = match &image {
        Some(_) => observe(&world, None).await?,
        None => observe_server(&world).await?,
    };
    let name = match flags.name.or_else(|| yaml.plugin.name.clone()) {
        Some(name) => name,
        None => only_plugin(&observed, "Give it with --name or in the file of -f.")?,
    };
    let running = observed
        .mounts_of(PluginType::Secret, &name)
        .find(|(path, _)| flags.mounts.is_empty() || flags.mounts.contains(path));
    let entry = match &running {
        Some((_, mount)) => running_catalog_entry(&world, &name, &mount.running_version).await?,
        None => None,
    };
    let args = match (flags.args.is_empty(), yaml.plugin.args.is_empty(), &entry) {
        (false, _, _) => flags.args,
        (true, false, _) => yaml.plugin.args.clone(),
        (true, true, Some(entry)) => entry.args.clone(),
        (true, true, None) => Vec::new(),
    };
    let directory = match world.deployment {
        Some(_) => None,
        None => plugin_dir::resolve_plugin_dir(flags.plugin_dir, &yaml, &observed.plugin_directory, ui)?,
    };
    let env = plugin_env(&flags.env, &yaml)?;
    let InheritedEnv { env, warning: unseen } = match &entry {
        Some(entry) => inherit_env(env, directory.as_deref(), &entry.command, ui)?,
        None => InheritedEnv { env, warning: None },
    };
    let taken = match image {
        Some(image) => Some(image.extract(&name, flags.version.as_ref(), &observed, ui).await?),
        None => None,
    };
    let program = match &taken {
        Some(taken) => taken.path(),
        None => binary_path(flags.binary, &yaml)?,
    };
    let binary = read_binary(&program, ui)?;
    // Before the binary is started, so that it cannot read the files of secrets.
    let mounts = mounts_from_file(&yaml)?;
    let plugin = untrusted_launch(&program, &args, &env, context, ui);
    let probed = probe_for_deployment(&world, &binary, PluginType::Secret, plugin.clone()).await?;
    let version = plugin_version(flags.version, &yaml, &program, &probed, own)?;
    if running.as_ref().is_some_and(|(_, mount)| mount.running_version != version.v_prefixed()) {
        unseen.iter().for_each(|text| ui.warn(text));
    }
    let breaks = match running {
        Some((path, mount)) if !flags.allow_breaking && mount.running_version != version.v_prefixed() => {
            breaking_changes(&world.client, &path, plugin.clone(), ui).await?
        }
        _ => Vec::new(),
    };
    if world.deployment.is_none() {
        world.deployment = plugin_dir::local_deployment(directory);
    }

    if !flagged.is_empty() || mounts.iter().any(|mount| !mount.writes.is_empty()) {
        let sensitive = SensitiveFields::query(&name, &binary, plugin, &world.client, &observed).await;
        sensitive.apply(&mounts, &mut flagged, &typed, ui)?;
    }
    let trials = smoke_tests(&observed, &name, &flags.mounts, &mounts, flags.smoke.as_deref());
    let canary = if flags.no_canary {
        Canary::Skip
    } else {
        let flagged: Vec<DesiredWrite> =
            flagged.into_iter().map(|(path, data)| DesiredWrite { path, data }).collect();
        canary(flags.canary_config, flagged, mounts, flags.smoke)?
    };
    let named = flags.image.map(|image| (image, None));
    let image = named.or_else(|| {
        let taken = taken.as_ref().filter(|_| !flags.allow_ephemeral)?;
        Some((taken.reference()?, Some(taken.bundled_files().clone())))
    });
    let survival = durability(image, flags.allow_ephemeral);
    let plugin = Plugin { kind: PluginType::Secret, name, version, args, env, binary, probe: probed };
    let upgrade = UpgradeGoal {
        target: Target::Provided(Box::new(plugin)),
        only_mounts: flags.mounts,
        downgrade: if flags.allow_downgrade { DowngradePolicy::Allow } else { DowngradePolicy::Refuse },
        canary,
        smoke_tests: trials,
        breaking_changes: breaks,
        durability: survival,
        placement: flags.placement.placement(),
        failover_test: if flags.rehearse_failover { FailoverTest::EveryNode } else { FailoverTest::None },
        restart_consent: flags.restarts.consent(),
    };
    Ok((world, upgrade, taken))
}

/// The one plugin that is registered and mounted; `how` says how another is named.
pub(crate) fn only_plugin(observed: &Observed, how: &str) -> Result<String, CommandError> {
    let names: std::collections::BTreeSet<&str> = observed
        .catalog
        .iter()
        .map(|entry| entry.name.as_str())
        .filter(|name| observed.mounts_of(PluginType::Secret, name).next().is_some())
        .collect();
    match names.iter().collect::<Vec<_>>()[..] {
        [name] => Ok((*name).to_owned()),
        [] => Err(CommandError::usage("the name of the plugin is missing, and none is mounted").hint(how)),
        _ => Err(CommandError::usage("the name of the plugin is missing, and several are mounted")
            .hint(how)
            .hint(format!("These are mounted: {}", names.into_iter().collect::<Vec<_>>().join(", ")))),
    }
}

/// What the server starts the running version with; `None` for what comes with the server.
async fn running_catalog_entry(
    world: &Environment,
    name: &str,
    version: &str,
) -> Result<Option<PluginDetails>, CommandError> {
    let version = Some(version.to_owned()).filter(|version| !version.is_empty());
    let name = PluginRef { kind: PluginType::Secret, name: name.to_owned(), version };
    let entry = world.client.send(&catalog::Read(name)).await.map_err(|error| {
        CommandError::failed("could not read with which arguments the running version is started")
            .caused_by(error)
    })?;
    Ok(entry.filter(|entry| !entry.builtin))
}

/// The file's of each mount, else the flag's on every mount that is moved.
fn smoke_tests(
    observed: &Observed,
    name: &str,
    only: &[MountPath],
    file: &[DesiredMount],
    flag: Option<&str>,
) -> Vec<SmokeTest> {
    let moved = observed.mounts_of(PluginType::Secret, name).map(|(path, _)| path);
    let moved = moved.filter(|path| only.is_empty() || only.contains(path));
    moved
        .filter_map(|mount| {
            let own = file.iter().find(|goal| goal.path == mount).and_then(|goal| goal.smoke.clone());
            let below = flag.map(str::to_owned).or(own)?;
            Some(SmokeTest { mount, path: below })
        })
        .collect()
}

/// Configured by the flags, else as the file configures the first mount that it tries. Without data it can only be started.
fn canary(
    config: Option<CanaryConfig>,
    flagged: Vec<DesiredWrite>,
    file: Vec<DesiredMount>,
    smoke: Option<String>,
) -> Result<Canary, CommandError> {
    let has_flags = !flagged.is_empty();
    let live = file.into_iter().find(|mount| !mount.writes.is_empty());
    match (config, live) {
        (Some(CanaryConfig::Trial), _) if !has_flags => {
            Err(CommandError::usage("there is no data for --canary-config trial")
                .hint("Give it with --config, --role or --write."))
        }
        (Some(CanaryConfig::Live | CanaryConfig::None), _) if has_flags => {
            Err(CommandError::usage("--config, --role and --write are data of the trial mount")
                .hint("They go with --canary-config trial."))
        }
        (Some(CanaryConfig::Trial), _) | (None, _) if has_flags => {
            Ok(Canary::Mount { writes: flagged, source_mount: None, smoke_path: smoke })
        }
        (Some(CanaryConfig::Live), None) => {
            Err(CommandError::usage("there is no configuration for --canary-config live")
                .hint("No server shows secrets, so it comes from the file of -f that `register` takes."))
        }
        (Some(CanaryConfig::Live) | None, Some(DesiredMount { path, writes, smoke: own })) => {
            Ok(Canary::Mount { writes, source_mount: Some(path), smoke_path: smoke.or(own) })
        }
        (Some(CanaryConfig::None | CanaryConfig::Trial), _) | (None, None) => {
            Ok(Canary::Mount { writes: Vec::new(), source_mount: None, smoke_path: None })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_trial_mount_gets_what_was_asked_for_or_nothing_is_done() {
        use CanaryConfig::{Live, None as Nothing, Trial};
        let write = |path: &str| DesiredWrite { path: path.into(), data: BTreeMap::new() };
        let file = || {
            vec![DesiredMount {
                path: "custom".parse().expect("a path"),
                writes: vec![write("config")],
                smoke: Some("creds/file".into()),
            }]
        };
        let smoke = || Some("creds/flag".to_owned());
        let shown = |config, flags: &[DesiredWrite], file: Vec<DesiredMount>| match canary(
            config,
            flags.to_vec(),
            file,
            smoke(),
        ) {
            Ok(Canary::Mount { writes, source_mount: live, smoke_path: read }) => {
                let paths: Vec<String> = writes.into_iter().map(|write| write.path).collect();
                format!(
                    "{} {} {}",
                    paths.join(","),
                    live.map_or("-".into(), |it| it.to_string()),
                    read.is_some()
                )
            }
            Ok(Canary::Skip) => "skipped".to_owned(),
            Err(error) => error.to_string(),
        };
        let flags = [write("roles/a")];
        for (config, flags, file, expected) in [
            (None, &flags[..], file(), "roles/a - true"),
            (None, &[], file(), "config custom/ true"),
            (None, &[], Vec::new(), " - false"),
            (Some(Live), &[], file(), "config custom/ true"),
            (Some(Live), &[], Vec::new(), "there is no configuration for --canary-config live"),
            (Some(Live), &flags, file(), "--config, --role and --write are data of the trial mount"),
            (Some(Trial), &flags, file(), "roles/a - true"),
            (Some(Trial), &[], file(), "there is no data for --canary-config trial"),
            (Some(Nothing), &[], file(), " - false"),
            (Some(Nothing), &flags, file(), "--config, --role and --write are data of the trial mount"),
        ] {
            assert_eq!(shown(config, flags, file), expected, "{config:?}");
        }
    }
}
