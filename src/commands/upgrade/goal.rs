//! The goal of `upgrade`. Flags take precedence over the file, and the file over what the server reports about the running version.

use clap::{ArgAction, Args, ValueEnum};
use rollout::{
    Canary, Consumer, DesiredMount, DesiredWrite, Environment, FailoverTest, Observed, SmokeRequest,
    SmokeTest, Target, UpgradeGoal,
};
use vault_api::catalog::{self, PluginDetails, PluginRef, PluginType};

use super::compatibility::breaking_changes;
use super::inherited_env::{InheritedEnv, inherit_env};
use crate::commands::execute::RestartArgs;
use crate::commands::mount_data::MountDataArgs;
use crate::commands::other_nodes::OtherNodesArgs;
use crate::commands::plugin_args::{PluginArgs, SAFETY_HEADING};
use crate::commands::plugin_image::ExtractedBinary;
use crate::commands::plugin_inputs::given_type;
use crate::commands::plugin_request::{PluginRequest, PreparedPlugin, Registration};
use crate::commands::smoke_args::{SmokeArgs, check_smoke_data};
use crate::commands::{plugin_dir, plugin_name};
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// The flags of `upgrade` that describe the goal.
#[derive(Debug, Args)]
pub(super) struct UpgradeFlags {
    #[command(flatten)]
    plugin: PluginArgs,
    /// Upgrade only this mount; repeatable [default: all]
    #[arg(long = "mount", value_name = "PATH")]
    mounts: Vec<Consumer>,
    /// Plugin type [default: as registered]
    ///
    /// secret, auth or database. Only needed if plugins of several types have the name.
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<PluginType>,
    #[command(flatten)]
    smoke: SmokeArgs,
    /// Configuration of the canary mount: live, own or none
    ///
    /// [default: own where flags have data for it, else live]
    #[arg(long, value_name = "WHICH", value_enum, conflicts_with = "no_canary", hide_short_help = true)]
    canary_config: Option<CanaryConfig>,
    /// Skip the canary mount
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true, help_heading = SAFETY_HEADING)]
    no_canary: bool,
    /// Allow removing paths or fields that clients may use
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true, help_heading = SAFETY_HEADING)]
    allow_breaking: bool,
    /// Make every node the active one in turn at the end, and verify it
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true)]
    test_failover: bool,
    #[command(flatten)]
    other_nodes: OtherNodesArgs,
    #[command(flatten)]
    restarts: RestartArgs,
    #[command(flatten, next_help_heading = "Data of the canary mount")]
    data: MountDataArgs,
}

/// The configuration of the canary mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum CanaryConfig {
    /// The data of the first mount of plugin.yaml that has any. Not for an engine that changes its root credential when it is configured:
    /// that would invalidate the credential of the live mount
    Live,
    /// The data of --config, --role and --write
    Own,
    /// No data: the version is started there, and not tested
    None,
}

/// Combines flags, file and the observed state. Changes nothing; the binary is started once. The last part of the result keeps a binary
/// that was extracted from an image.
pub(super) async fn resolve(
    flags: UpgradeFlags,
    context: &Context,
    ui: &mut Ui,
) -> Result<(Environment, UpgradeGoal, Option<ExtractedBinary>), CommandError> {
    let smoke = flags.smoke.parse()?;
    let yaml = flags.plugin.document(flags.kind)?;
    let request = PluginRequest::parse(yaml, flags.plugin, &flags.data, context)?;
    let given_kind = given_type(flags.kind, &request.yaml)?;
    let (mut environment, observed) = request.connect().await?;
    let name = match request.name() {
        Some(name) => name,
        None => plugin_name::only_mounted(&observed, given_kind, "upgrade", ui)?,
    };
    let kind = plugin_name::kind_of(&observed, &name, given_kind)?;
    check_smoke_data(kind, smoke.as_ref())?;
    let only_mounts: Vec<Consumer> =
        flags.mounts.into_iter().map(|path| observed.resolve(path, kind)).collect();
    let running = observed
        .consumers_of(kind, &name)
        .find(|(path, _)| only_mounts.is_empty() || only_mounts.contains(path));
    let entry = match &running {
        Some((_, mount)) => running_catalog_entry(&environment, kind, &name, &mount.running_version).await?,
        None => None,
    };
    let args = match (request.args(), &entry) {
        (Some(args), _) => args,
        (None, Some(entry)) => entry.args.clone(),
        (None, None) => Vec::new(),
    };
    let directory = match environment.deployment {
        Some(_) => None,
        None => request.directory().require(&observed.plugin_directory, ui)?,
    };
    let env = request.env()?;
    let InheritedEnv { env, warning: unseen } = match &entry {
        Some(entry) => inherit_env(env, directory.as_deref(), &entry.command, ui)?,
        None => InheritedEnv { env, warning: None },
    };
    let registration = Registration { kind, name, args, env };
    let prepared = request.prepare(registration, &environment, &observed, ui).await?;
    let PreparedPlugin { plugin, launch, mounts, writes, downgrade, durability, extracted } = prepared;
    let changed = running.filter(|(_, mount)| mount.running_version != plugin.version.v_prefixed());
    if changed.is_some() {
        unseen.iter().for_each(|text| ui.warn(text));
    }
    let breaking_changes = match changed {
        // A database plugin describes no paths.
        Some((path, _)) if !flags.allow_breaking && kind != PluginType::Database => {
            breaking_changes(&environment.client, &path, launch, ui).await?
        }
        _ => Vec::new(),
    };
    if environment.deployment.is_none() {
        environment.deployment = plugin_dir::local_deployment(directory);
    }

    let smoke_tests = smoke_tests(&observed, (kind, &plugin.name), &only_mounts, &mounts, smoke.as_ref());
    let canary = if flags.no_canary {
        Canary::Skip
    } else {
        let writes = writes.into_iter().map(|(path, data)| DesiredWrite { path, data }).collect();
        canary(kind, flags.canary_config, writes, mounts, smoke)?.granting_nothing(kind)
    };
    let upgrade = UpgradeGoal {
        target: Target::Provided(Box::new(plugin)),
        only_mounts,
        downgrade,
        canary,
        smoke_tests,
        breaking_changes,
        durability,
        other_nodes_policy: flags.other_nodes.policy(),
        failover_test: if flags.test_failover { FailoverTest::EveryNode } else { FailoverTest::None },
        restart_consent: flags.restarts.consent(),
    };
    Ok((environment, upgrade, extracted))
}

/// The command of the running version; `None` for a built-in plugin, and in a namespace that does not show it.
async fn running_catalog_entry(
    environment: &Environment,
    kind: PluginType,
    name: &str,
    version: &str,
) -> Result<Option<PluginDetails>, CommandError> {
    let version = Some(version.to_owned()).filter(|version| !version.is_empty());
    let name = PluginRef { kind, name: name.to_owned(), version };
    match environment.client.send(&catalog::Read(name)).await {
        Ok(entry) => Ok(entry.filter(|entry| !entry.builtin)),
        Err(error) if catalog::is_of_root_namespace(&environment.client, &error) => Ok(None),
        Err(error) => {
            Err(CommandError::failed("could not read the arguments of the running version").caused_by(error))
        }
    }
}

/// The smoke test of each mount: from the flag, or else from the file.
fn smoke_tests(
    observed: &Observed,
    (kind, name): (PluginType, &str),
    only: &[Consumer],
    file: &[DesiredMount],
    flag: Option<&SmokeRequest>,
) -> Vec<SmokeTest> {
    let moved = observed.consumers_of(kind, name).map(|(path, _)| path);
    let moved = moved.filter(|path| only.is_empty() || only.contains(path));
    moved
        .filter_map(|mount| {
            let own = file.iter().find(|goal| goal.path == mount).and_then(|goal| goal.smoke.clone());
            Some(flag.cloned().or(own)?.on(mount))
        })
        .collect()
}

/// The canary configuration: from the flags, or else from the first mount in the file with data. Without data, the version is only started.
fn canary(
    kind: PluginType,
    config: Option<CanaryConfig>,
    flagged: Vec<DesiredWrite>,
    file: Vec<DesiredMount>,
    smoke: Option<SmokeRequest>,
) -> Result<Canary, CommandError> {
    let has_flags = !flagged.is_empty();
    // The server verifies a new connection before it closes the previous one.
    if kind == PluginType::Database {
        return if has_flags || config.is_some() {
            Err(CommandError::usage(
                "a database plugin has no canary mount, so there is nothing to configure",
            ))
        } else {
            Ok(Canary::Skip)
        };
    }
    let live = file.into_iter().find(|mount| !mount.writes.is_empty());
    match (config, live) {
        (Some(CanaryConfig::Own), _) if !has_flags => {
            Err(CommandError::usage("--canary-config own needs data")
                .hint("Pass it with --config, --role or --write."))
        }
        (Some(CanaryConfig::Live | CanaryConfig::None), _) if has_flags => {
            Err(CommandError::usage("--config, --role and --write configure the canary mount itself")
                .hint("Use them with --canary-config own."))
        }
        (Some(CanaryConfig::Own), _) | (None, _) if has_flags => {
            Ok(Canary::Mount { writes: flagged, source_mount: None, smoke })
        }
        (Some(CanaryConfig::Live), None) => {
            Err(CommandError::usage("--canary-config live needs a configuration")
                .hint("A server does not show secrets. Pass the plugin.yaml of the live mount with -f."))
        }
        (Some(CanaryConfig::Live) | None, Some(DesiredMount { path, writes, smoke: own })) => {
            Ok(Canary::Mount { writes, source_mount: Some(path), smoke: smoke.or(own) })
        }
        (Some(CanaryConfig::None | CanaryConfig::Own), _) | (None, None) => {
            Ok(Canary::Mount { writes: Vec::new(), source_mount: None, smoke: None })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_canary_mount_gets_what_was_asked_for_or_nothing_is_done() {
        use CanaryConfig::{Live, None as Nothing, Own};
        let write = |path: &str| DesiredWrite { path: path.into(), data: BTreeMap::new() };
        let file = || {
            vec![DesiredMount {
                path: "custom".parse().expect("a path"),
                writes: vec![write("config")],
                smoke: Some("creds/file".into()),
            }]
        };
        let smoke = || Some("creds/flag".into());
        let shown = |config, flags: &[DesiredWrite], file: Vec<DesiredMount>| match canary(
            PluginType::Secret,
            config,
            flags.to_vec(),
            file,
            smoke(),
        ) {
            Ok(Canary::Mount { writes, source_mount: live, smoke: read }) => {
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
            (Some(Live), &[], Vec::new(), "--canary-config live needs a configuration"),
            (Some(Live), &flags, file(), "--config, --role and --write configure the canary mount itself"),
            (Some(Own), &flags, file(), "roles/a - true"),
            (Some(Own), &[], file(), "--canary-config own needs data"),
            (Some(Nothing), &[], file(), " - false"),
            (Some(Nothing), &flags, file(), "--config, --role and --write configure the canary mount itself"),
        ] {
            assert_eq!(shown(config, flags, file), expected, "{config:?}");
        }
    }
}
