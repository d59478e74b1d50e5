//! What is to be registered: flags before the file, the file before defaults, and the terminal for the rest.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{ArgAction, Args};
use rollout::{
    DesiredMount, DesiredValue, DesiredWrite, DowngradePolicy, Durability, Environment, MountPath, Observed,
    Plugin, RegisterGoal, RewritePolicy, Version, observe_server,
};
use vault_api::catalog::PluginType;

use crate::commands::execute::RestartArgs;
use crate::commands::mount_data::{MountWrites, inline_values, parse_writes};
use crate::commands::placement::PlacementArgs;
use crate::commands::plugin_source::{
    binary_path, missing_value, parse_mount, plugin_env, plugin_type, plugin_version, read_binary,
};
use crate::commands::probe::{probe_for_deployment, untrusted_launch};
use crate::commands::sensitive_fields::SensitiveFields;
use crate::commands::{deployment, plugin_dir};
use crate::config::PluginYaml;
use crate::context::Context;
use crate::error::CommandError;
use crate::key_value;
use crate::ui::Ui;

/// The flags of `register` that say what is wanted.
#[derive(Debug, Args)]
pub(super) struct RegisterFlags {
    /// Name in the catalog
    #[arg(long)]
    name: Option<String>,
    /// Type of the plugin: secret, auth or database [default: secret]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<PluginType>,
    /// Version [default: what the binary reports]
    #[arg(long)]
    version: Option<Version>,
    /// The plugin's binary [default: this program]
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Argument of the plugin; can be given more than once
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    args: Vec<String>,
    /// Environment of the plugin; the value can be @FILE or - (standard input)
    #[arg(long, value_name = "KEY=VALUE")]
    env: Vec<String>,
    /// Where to mount it
    #[arg(long, value_name = "PATH")]
    mount: Option<MountPath>,
    /// Plugin directory of the server on this machine [default: what the server says]
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// Data of `config`; the value can be @FILE or - (standard input)
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// Data of `roles/NAME`
    #[arg(long, value_name = "NAME:KEY=VALUE")]
    role: Vec<String>,
    /// Data of any other path of the mount
    #[arg(long, num_args = 2, value_names = ["PATH", "KEY=VALUE"], action = ArgAction::Append)]
    write: Vec<String>,
    /// Path of the mount to try at the end, such as creds/developer; a lease is revoked again
    #[arg(long, value_name = "PATH")]
    smoke: Option<String>,
    /// All of the above in a file; flags come before it
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Move mounts to an older version
    #[arg(long, action = ArgAction::SetTrue)]
    allow_downgrade: bool,
    /// Register though a node that is started anew loses the version
    #[arg(long, action = ArgAction::SetTrue, conflicts_with = "image")]
    allow_ephemeral: bool,
    /// Image of the init container, which brings this version
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    #[command(flatten)]
    placement: PlacementArgs,
    /// Write again what cannot be read back
    #[arg(long, action = ArgAction::SetTrue)]
    rewrite: bool,
    #[command(flatten)]
    restarts: RestartArgs,
}

const DEFAULT_NAME: &str = "custom-plugin";
const DEFAULT_MOUNT: &str = "custom";

/// Puts everything together. Nothing is changed; the binary is started and ended.
pub(super) async fn resolve(
    flags: RegisterFlags,
    context: &Context,
    ui: &mut Ui,
) -> Result<(Environment, RegisterGoal), CommandError> {
    let yaml = flags.file.as_deref().map(PluginYaml::read).transpose()?.unwrap_or_default();
    let mut writes = parse_writes(&flags.config, &flags.role, &flags.write)?;
    let typed = inline_values(&flags.config, &flags.role, &flags.write);
    let own = flags.binary.is_none() && yaml.plugin.binary.is_none();
    let program = binary_path(flags.binary, &yaml)?;
    let mut world = deployment::connect(context, yaml.site.as_ref(), flags.plugin_dir.as_ref()).await?;
    let observed = observe_server(&world).await?;

    let name = match flags.name.or_else(|| yaml.plugin.name.clone()) {
        Some(name) => name,
        None if ui.is_interactive() => ui.prompt("Name of the plugin", Some(DEFAULT_NAME))?,
        None => {
            return Err(
                missing_value("the name of the plugin", "--name").hint("On a terminal it is asked for.")
            );
        }
    };
    let kind = plugin_type(flags.kind, &yaml)?;
    let args = if flags.args.is_empty() { yaml.plugin.args.clone() } else { flags.args };
    let env = plugin_env(&flags.env, &yaml)?;
    let binary = read_binary(&program, ui)?;
    // Before the binary is started, so that it cannot read the files of secrets.
    let mut mounts = mounts_from_file(&yaml)?;
    let plugin = untrusted_launch(&program, &args, &env, context, ui);
    let probed = probe_for_deployment(&world, &binary, kind, plugin.clone()).await?;
    let version = plugin_version(flags.version, &yaml, &program, &probed, own)?;

    if !writes.is_empty() || mounts.iter().any(|mount| !mount.writes.is_empty()) {
        let sensitive = SensitiveFields::query(&name, &binary, plugin, &world.client, &observed).await;
        sensitive.apply(&mounts, &mut writes, &typed, ui)?;
    }
    let has_data = !writes.is_empty() || flags.smoke.is_some();
    let mount = match flags.mount {
        Some(mount) => Some(mount),
        None if mounts.is_empty() && kind == PluginType::Secret && ui.is_interactive() => {
            Some(parse_mount(&ui.prompt("Where to mount it", Some(&default_mount(&observed, &name)))?)?)
        }
        None if has_data && mounts.len() == 1 => mounts.first().map(|mount| mount.path.clone()),
        None if has_data => return Err(missing_value("the mount that the data is for", "--mount")),
        None => None,
    };
    if let Some(path) = mount {
        if own && !mounts.iter().any(|mount| mount.path == path) {
            prompt_for_config(&observed, &path, &mut writes, ui)?;
        }
        merge_mount_flags(&mut mounts, path, writes, flags.smoke);
    }

    if world.deployment.is_none() {
        world.deployment = plugin_dir::local_deployment(plugin_dir::resolve_plugin_dir(
            flags.plugin_dir,
            &yaml,
            &observed.plugin_directory,
            ui,
        )?);
    }
    let plugin = Plugin { kind, name, version, args, env, binary, probe: probed };
    let downgrade = if flags.allow_downgrade { DowngradePolicy::Allow } else { DowngradePolicy::Refuse };
    let rewrite = if flags.rewrite { RewritePolicy::Unreadable } else { RewritePolicy::Never };
    let survival = durability(flags.image.map(|image| (image, None)), flags.allow_ephemeral);
    let restarts = flags.restarts.consent();
    let placement = flags.placement.placement();
    Ok((
        world,
        RegisterGoal {
            plugin,
            mounts,
            downgrade,
            rewrite,
            durability: survival,
            restart_consent: restarts,
            placement,
        },
    ))
}

/// What is to be there when a node is started anew, as flags say it.
pub(crate) fn durability(
    image: Option<(String, Option<BTreeMap<String, String>>)>,
    allow_ephemeral: bool,
) -> Durability {
    match (image, allow_ephemeral) {
        (Some((image, brings)), _) => Durability::Image { image, files: brings },
        (None, true) => Durability::NotRequired,
        (None, false) => Durability::Required,
    }
}

pub(crate) fn mounts_from_file(yaml: &PluginYaml) -> Result<Vec<DesiredMount>, CommandError> {
    let mut mounts = Vec::new();
    for section in &yaml.mounts {
        let mut writes = Vec::new();
        for (path, fields) in &section.write {
            let mut data = BTreeMap::new();
            for (key, value) in fields {
                data.insert(key.clone(), yaml.resolve_value(key, value)?);
            }
            writes.push(DesiredWrite { path: path.trim_matches('/').to_owned(), data });
        }
        let smoke = section.smoke.as_ref().map(|smoke| smoke.read.clone());
        mounts.push(DesiredMount { path: parse_mount(&section.path)?, writes, smoke });
    }
    Ok(mounts)
}

/// Flags change single fields of what the file says about the same path.
fn merge_mount_flags(
    mounts: &mut Vec<DesiredMount>,
    path: MountPath,
    writes: MountWrites,
    smoke: Option<String>,
) {
    let at = mounts.iter().position(|mount| mount.path == path).unwrap_or_else(|| {
        mounts.push(DesiredMount { path, writes: Vec::new(), smoke: None });
        mounts.len() - 1
    });
    let mount = &mut mounts[at];
    for (path, data) in writes {
        match mount.writes.iter_mut().find(|write| write.path == path) {
            Some(write) => write.data.extend(data),
            None => mount.writes.push(DesiredWrite { path, data }),
        }
    }
    mount.smoke = smoke.or(mount.smoke.take());
}

/// This plugin does nothing without a configuration, so a new mount of it gets one.
fn prompt_for_config(
    observed: &Observed,
    path: &MountPath,
    writes: &mut MountWrites,
    ui: &mut Ui,
) -> Result<(), CommandError> {
    if !ui.is_interactive() || observed.mounts.contains_key(path.as_str()) {
        return Ok(());
    }
    let config = writes.entry("config".to_owned()).or_default();
    if !config.contains_key("api_endpoint") {
        let answer = ui.prompt("Address of the upstream API (api_endpoint)", None)?;
        config.insert("api_endpoint".to_owned(), key_value::inline_value("api_endpoint", &answer));
    }
    if !config.contains_key("api_key") {
        config.insert(
            "api_key".to_owned(),
            DesiredValue::Secret(ui.prompt_secret("Key of the upstream API (api_key)")?),
        );
    }
    Ok(())
}

fn default_mount(observed: &Observed, plugin: &str) -> String {
    let there = observed.mounts.iter().find(|(_, mount)| mount.plugin == plugin);
    there.map_or_else(|| DEFAULT_MOUNT.to_owned(), |(path, _)| path.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_flag_changes_one_field_of_the_file() {
        let path: MountPath = "custom".parse().expect("a path");
        let data = BTreeMap::from([("ttl".to_owned(), key_value::inline_value("ttl", "1h"))]);
        let there = DesiredWrite { path: "roles/dev".into(), data };
        let mut mounts =
            vec![DesiredMount { path: path.clone(), writes: vec![there], smoke: Some("creds/dev".into()) }];
        let flags = parse_writes(&[], &texts(&["dev:permissions=read"]), &[]).expect("writes");
        merge_mount_flags(&mut mounts, path, flags, None);
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].writes[0].data.len(), 2);
        assert_eq!(mounts[0].smoke.as_deref(), Some("creds/dev"));
    }
}
