//! The goal of `register`. Flags take precedence over the file, and the file over defaults; on a terminal, missing values are asked for.

use std::collections::BTreeMap;

use clap::{ArgAction, Args};
use rollout::{
    Consumer, DesiredMount, DesiredValue, DesiredWrite, Environment, Observed, RegisterGoal, RewritePolicy,
    SmokeRequest,
};
use vault_api::catalog::PluginType;

use crate::commands::execute::RestartArgs;
use crate::commands::mount_data::{MountDataArgs, MountWrites};
use crate::commands::other_nodes::OtherNodesArgs;
use crate::commands::plugin_args::PluginArgs;
use crate::commands::plugin_dir;
use crate::commands::plugin_image::ExtractedBinary;
use crate::commands::plugin_inputs::{missing_value, parse_mount, plugin_type};
use crate::commands::plugin_request::{PluginRequest, PreparedPlugin, Registration};
use crate::commands::preset_data::{self, ConnectionFields, PresetArgs};
use crate::commands::smoke_args::{SmokeArgs, check_smoke_data};
use crate::config::PluginYaml;
use crate::context::Context;
use crate::error::CommandError;
use crate::key_value;
use crate::ui::Ui;

/// The flags of `register` that describe the goal.
#[derive(Clone, Debug, Args)]
pub(super) struct RegisterFlags {
    #[command(flatten)]
    plugin: PluginArgs,
    /// Plugin type: secret, auth, database [default: secret]
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<PluginType>,
    /// Path to mount the plugin at
    #[arg(long, value_name = "PATH")]
    mount: Option<Consumer>,
    #[command(flatten)]
    smoke: SmokeArgs,
    /// Write data again that cannot be read back
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true)]
    rewrite: bool,
    #[command(flatten)]
    other_nodes: OtherNodesArgs,
    #[command(flatten)]
    restarts: RestartArgs,
    #[command(flatten, next_help_heading = "Data of the mount")]
    preset: PresetArgs,
    #[command(flatten, next_help_heading = "Data of the mount")]
    data: MountDataArgs,
}

const DEFAULT_NAME: &str = "custom-plugin";
const DEFAULT_MOUNT: &str = "custom";
const CONFIG: &str = "config";

impl RegisterFlags {
    /// The documents of plugin.yaml to register: that of PLUGIN, or all.
    ///
    /// # Errors
    /// If the file is invalid, or a flag could be meant for any of several plugins.
    pub(super) fn documents(&self) -> Result<Vec<PluginYaml>, CommandError> {
        let PluginArgs { file, plugin, .. } = &self.plugin;
        let (Some(file), None) = (file, plugin) else {
            return Ok(vec![self.plugin.document(self.kind)?]);
        };
        let documents = PluginYaml::read(file)?;
        match self.flag_for_one_plugin().filter(|_| documents.len() > 1) {
            Some(flag) => Err(CommandError::usage(format!(
                "{} describes several plugins, and {flag} is about one",
                file.display()
            ))
            .hint("Name the plugin: `vault-token-plugin register PLUGIN -f FILE`.")),
            None => Ok(documents),
        }
    }

    fn flag_for_one_plugin(&self) -> Option<&'static str> {
        let given = [
            ("--type", self.kind.is_some()),
            ("--mount", self.mount.is_some()),
            ("--smoke", !self.smoke.is_empty()),
            ("--preset", !self.preset.is_empty()),
            ("--config, --role or --write", !self.data.is_empty()),
        ];
        let own = given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag);
        self.plugin.flag_for_one_plugin().or(own)
    }
}

/// Combines flags, file and prompts. Changes nothing; the binary is started once. The last part of the result keeps a binary that was
/// extracted from an image.
pub(super) async fn resolve(
    yaml: PluginYaml,
    flags: RegisterFlags,
    context: &Context,
    ui: &mut Ui,
) -> Result<(Environment, RegisterGoal, Option<ExtractedBinary>), CommandError> {
    let RegisterFlags { plugin, kind, mount, smoke, rewrite, other_nodes, restarts, preset, data } = flags;
    let smoke = smoke.parse()?;
    let request = PluginRequest::parse(yaml, plugin, &data, context)?.with_preset(preset)?;
    let (mut environment, observed) = request.connect().await?;
    let name = match request.name() {
        Some(name) => name,
        None if ui.is_interactive() => ui.prompt("Name of the plugin", Some(DEFAULT_NAME))?,
        None => {
            return Err(CommandError::usage("the name of the plugin is missing")
                .hint("Pass it as `vault-token-plugin register PLUGIN`, or as plugin.name in the file of -f. On a terminal it is asked for."));
        }
    };
    let kind = plugin_type(kind, &request.yaml)?;
    check_smoke_data(kind, smoke.as_ref())?;
    let args = request.args().unwrap_or_default();
    let (env, own, has_data) = (request.env()?, request.is_own(), request.has_data() || smoke.is_some());
    let (directory, preset) = (request.directory(), request.preset());
    let registration = Registration { kind, name: name.clone(), args, env };
    let prepared = request.prepare(registration, &environment, &observed, ui).await?;
    let PreparedPlugin { plugin, launch: _, mut mounts, writes, downgrade, durability, extracted } = prepared;

    let mount = match mount {
        Some(mount) => Some(observed.resolve(mount, kind)),
        None if mounts.is_empty() && kind != PluginType::Database && ui.is_interactive() => {
            let default = default_mount(&observed, kind, &name);
            Some(observed.resolve(parse_mount(&ui.prompt("Mount path", Some(&default))?)?, kind))
        }
        None if has_data && mounts.len() == 1 => mounts.first().map(|mount| mount.path.clone()),
        None if has_data => return Err(missing_value("the mount that the data is for", "--mount")),
        None => None,
    };
    if let Some(path) = mount {
        let is_new = !observed.consumers.contains_key(path.as_str());
        let asks = own && kind == PluginType::Secret && is_new && ui.is_interactive();
        let prompts = asks && !mounts.iter().any(|mount| mount.path == path);
        let mount = merge_mount_flags(&mut mounts, path, writes, smoke);
        if let Some(preset) = &preset {
            let connection =
                if is_new && !prompts { ConnectionFields::Required } else { ConnectionFields::Elsewhere };
            let writes = mount.writes.iter().map(|write| (write.path.as_str(), &write.data));
            preset_data::check_complete(preset, writes, connection)?;
        }
        if prompts {
            prompt_for_config(mount, ui)?;
        }
    }

    if environment.deployment.is_none() {
        environment.deployment =
            plugin_dir::local_deployment(directory.require(&observed.plugin_directory, ui)?);
    }
    let register = RegisterGoal {
        plugin,
        mounts,
        downgrade,
        rewrite: if rewrite { RewritePolicy::Unreadable } else { RewritePolicy::Never },
        durability,
        restart_consent: restarts.consent(),
        other_nodes_policy: other_nodes.policy(),
    };
    Ok((environment, register, extracted))
}

/// Flags override single fields of the file for the same path. Returns the mount with both.
fn merge_mount_flags(
    mounts: &mut Vec<DesiredMount>,
    path: Consumer,
    writes: MountWrites,
    smoke: Option<SmokeRequest>,
) -> &mut DesiredMount {
    let at = mounts.iter().position(|mount| mount.path == path).unwrap_or_else(|| {
        mounts.push(DesiredMount { path, writes: Vec::new(), smoke: None });
        mounts.len() - 1
    });
    let mount = &mut mounts[at];
    for (path, data) in writes {
        let write = write_of(mount, path);
        for (field, value) in data {
            match (write.data.get_mut(&field), value) {
                (Some(DesiredValue::Fields(before)), DesiredValue::Fields(fields)) => before.extend(fields),
                (_, value) => drop(write.data.insert(field, value)),
            }
        }
    }
    mount.smoke = smoke.or(mount.smoke.take());
    mount
}

/// What is written to a path of a mount. The connection comes first, because an engine may check roles with it.
fn write_of(mount: &mut DesiredMount, path: String) -> &mut DesiredWrite {
    let at = mount.writes.iter().position(|write| write.path == path).unwrap_or_else(|| {
        let at = if path == CONFIG { 0 } else { mount.writes.len() };
        mount.writes.insert(at, DesiredWrite { path, data: BTreeMap::new() });
        at
    });
    &mut mount.writes[at]
}

/// The token engine needs a configuration, so a new mount of it gets one.
fn prompt_for_config(mount: &mut DesiredMount, ui: &mut Ui) -> Result<(), CommandError> {
    let config = &mut write_of(mount, CONFIG.to_owned()).data;
    if !config.contains_key("api_endpoint") {
        let endpoint = ui.prompt("Address of the upstream API (api_endpoint)", None)?;
        config.insert("api_endpoint".to_owned(), key_value::inline_value("api_endpoint", &endpoint));
    }
    if !config.contains_key("api_key") {
        config.insert(
            "api_key".to_owned(),
            DesiredValue::Secret(ui.prompt_secret("Key of the upstream API (api_key)")?),
        );
    }
    Ok(())
}

fn default_mount(observed: &Observed, kind: PluginType, plugin: &str) -> String {
    match (observed.consumers_of(kind, plugin).next(), kind) {
        (Some((path, _)), _) => path.as_str().trim_end_matches('/').to_owned(),
        (None, PluginType::Secret) => DEFAULT_MOUNT.to_owned(),
        (None, PluginType::Auth | PluginType::Database) => plugin.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::mount_data::parse_writes;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn a_flag_changes_one_field_of_the_file() {
        let path: Consumer = "custom".parse().expect("a path");
        let data = BTreeMap::from([("ttl".to_owned(), key_value::inline_value("ttl", "1h"))]);
        let mounted = DesiredWrite { path: "roles/dev".into(), data };
        let mut mounts =
            vec![DesiredMount { path: path.clone(), writes: vec![mounted], smoke: Some("creds/dev".into()) }];
        let flags = parse_writes(&[], &texts(&["dev:permissions=read"]), &[]).expect("writes");
        merge_mount_flags(&mut mounts, path, flags, None);
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].writes[0].data.len(), 2);
        assert_eq!(mounts[0].smoke, Some("creds/dev".into()));
    }

    #[test]
    fn a_flag_changes_one_parameter_of_the_file() {
        let path: Consumer = "custom".parse().expect("a path");
        let mut mounts = Vec::new();
        for parameter in ["a=1", "b=2", "a=3"] {
            let flags = texts(&[&format!("parameters.{parameter}")]);
            let flags = parse_writes(&flags, &[], &[]).expect("writes");
            merge_mount_flags(&mut mounts, path.clone(), flags, None);
        }
        let parameters = mounts[0].writes[0].data["parameters"].value();
        assert_eq!(parameters, serde_json::json!({"a": "3", "b": "2"}));
    }
}
