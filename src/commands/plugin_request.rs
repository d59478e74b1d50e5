//! The plugin that `register` and `upgrade` install. Flags take precedence over the file, and the file over what the binary and the server
//! report.

use std::path::PathBuf;

use rollout::{
    DesiredMount, DowngradePolicy, Durability, Environment, Observed, Plugin, observe, observe_server,
};
use token_engine::PresetInfo;
use vault_api::SecretString;
use vault_api::catalog::PluginType;
use vault_plugin::host::PluginCommand;

use crate::commands::connect::connect;
use crate::commands::mount_data::{MountData, MountDataArgs, MountWrites};
use crate::commands::plugin_args::PluginArgs;
use crate::commands::plugin_dir::DirectoryChoice;
use crate::commands::plugin_image::{ExtractedBinary, PluginImage};
use crate::commands::plugin_inputs::{
    binary_path, mounts_from_file, plugin_env, plugin_version, read_binary,
};
use crate::commands::plugin_name;
use crate::commands::preset_data::{self, PresetArgs};
use crate::commands::probe::{probe_for_deployment, untrusted_launch};
use crate::commands::sensitive_fields::SensitiveFields;
use crate::config::PluginYaml;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// The requested plugin, before the server is observed.
pub(crate) struct PluginRequest<'a> {
    pub(crate) yaml: PluginYaml,
    flags: PluginArgs,
    data: MountData,
    preset: Option<PresetInfo>,
    source: PluginSource,
    context: &'a Context,
}

enum PluginSource {
    File(PathBuf),
    Image(PluginImage),
    ThisProgram(PathBuf),
}

/// Name, type and command of the plugin in the catalog.
pub(crate) struct Registration {
    pub(crate) kind: PluginType,
    pub(crate) name: String,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<SecretString>,
}

/// A plugin that can be installed.
pub(crate) struct PreparedPlugin {
    pub(crate) plugin: Plugin,
    /// How its binary is started for the probe.
    pub(crate) launch: PluginCommand,
    /// The mounts of the file.
    pub(crate) mounts: Vec<DesiredMount>,
    /// The data of the flags.
    pub(crate) writes: MountWrites,
    pub(crate) downgrade: DowngradePolicy,
    pub(crate) durability: Durability,
    /// Keeps the binary that was extracted from an image.
    pub(crate) extracted: Option<ExtractedBinary>,
}

impl<'a> PluginRequest<'a> {
    /// Reads the data of the flags.
    ///
    /// # Errors
    /// If the document or a flag is invalid.
    pub(crate) fn parse(
        yaml: PluginYaml,
        flags: PluginArgs,
        data: &MountDataArgs,
        context: &'a Context,
    ) -> Result<PluginRequest<'a>, CommandError> {
        let data = data.parse()?;
        let mut flags = flags;
        let source = plugin_source(&mut flags, &yaml, context)?;
        Ok(PluginRequest { yaml, flags, data, preset: None, source, context })
    }

    /// Writes a preset to `config` of the mount.
    ///
    /// # Errors
    /// If the data selects a token API too.
    pub(crate) fn with_preset(mut self, preset: PresetArgs) -> Result<PluginRequest<'a>, CommandError> {
        self.preset = preset.select(&mut self.data.writes)?;
        Ok(self)
    }

    /// The preset of the flags.
    pub(crate) fn preset(&self) -> Option<PresetInfo> {
        self.preset.clone()
    }

    /// Connects to the server, and observes what is needed to select the plugin.
    ///
    /// # Errors
    /// If the server or its cluster does not respond.
    pub(crate) async fn connect(&self) -> Result<(Environment, Observed), CommandError> {
        let directory = self.flags.directory.plugin_dir.as_ref();
        let environment = connect(self.context, self.yaml.deployment.as_ref(), directory).await?;
        let observed = match self.source {
            // The architecture of the nodes determines which binary of the image is extracted.
            PluginSource::Image(_) => observe(&environment, None).await?,
            PluginSource::File(_) | PluginSource::ThisProgram(_) => observe_server(&environment).await?,
        };
        Ok((environment, observed))
    }

    /// Whether the plugin is this program.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.source, PluginSource::ThisProgram(_))
    }

    /// Whether flags contain data for a mount.
    pub(crate) fn has_data(&self) -> bool {
        !self.data.writes.is_empty()
    }

    /// The given name.
    pub(crate) fn name(&self) -> Option<String> {
        self.flags.plugin.clone().or_else(|| self.yaml.plugin.name.clone())
    }

    /// The given arguments, if any.
    pub(crate) fn args(&self) -> Option<Vec<String>> {
        let given = [&self.flags.launch.args, &self.yaml.plugin.args];
        given.into_iter().find(|args| !args.is_empty()).cloned()
    }

    /// The given environment.
    ///
    /// # Errors
    /// If a value cannot be read.
    pub(crate) fn env(&self) -> Result<Vec<SecretString>, CommandError> {
        plugin_env(&self.flags.launch.env, &self.yaml)
    }

    /// The given plugin directory of this machine.
    pub(crate) fn directory(&self) -> DirectoryChoice {
        DirectoryChoice { flag: self.flags.directory.plugin_dir.clone(), file: self.yaml.plugin_dir() }
    }

    /// Reads the binary, and starts it once to read its type and version. Changes nothing.
    ///
    /// # Errors
    /// If the binary is not usable, or the file contains a secret.
    pub(crate) async fn prepare(
        self,
        registration: Registration,
        environment: &Environment,
        observed: &Observed,
        ui: &mut Ui,
    ) -> Result<PreparedPlugin, CommandError> {
        let is_own = self.is_own();
        let PluginRequest { yaml, flags, data, preset, source, context } = self;
        let Registration { kind, name, args, env } = registration;
        let (program, extracted) = match source {
            PluginSource::File(path) | PluginSource::ThisProgram(path) => (path, None),
            PluginSource::Image(image) => {
                let extracted = image.extract(&name, flags.version.as_ref(), observed, ui).await?;
                (extracted.path(), Some(extracted))
            }
        };
        let binary = read_binary(&program, ui)?;
        // Before the binary is started, so that it cannot read the files of secrets.
        let mounts = mounts_from_file(&yaml, kind, observed)?;
        let launch = untrusted_launch(&program, &args, &env, context, ui);
        let probe = probe_for_deployment(environment, &binary, kind, launch.clone()).await?;
        let downgrade = flags.downgrade();
        let version = plugin_version(flags.version, &yaml, &program, &probe, is_own)?;
        let MountData { mut writes, typed } = data;
        if !writes.is_empty() || mounts.iter().any(|mount| !mount.writes.is_empty()) {
            let sensitive =
                SensitiveFields::query((kind, &name), &binary, launch.clone(), &environment.client, observed)
                    .await;
            if let Some(preset) = preset {
                preset_data::check_plugin(&preset, &name, sensitive.has_presets())?;
            }
            sensitive.apply(&mounts, &mut writes, &typed, ui)?;
        }
        let durability = flags.durability.durability(extracted.as_ref());
        let plugin = Plugin { kind, name, version, args, env, binary, probe };
        Ok(PreparedPlugin { plugin, launch, mounts, writes, downgrade, durability, extracted })
    }
}

/// The source of the plugin. A given binary takes precedence over an image, which is then only set in the pods.
fn plugin_source(
    flags: &mut PluginArgs,
    yaml: &PluginYaml,
    context: &Context,
) -> Result<PluginSource, CommandError> {
    let binary = binary_path(flags.binary.as_deref(), yaml)?;
    // With a binary, the image of the file is only for restarts, which this flag does not need.
    let ignores_file = binary.is_some() && flags.durability.allow_ephemeral;
    if flags.durability.image.is_none() && !ignores_file {
        flags.durability.image = yaml.image();
    }
    if let Some(path) = binary {
        flags.durability.check_only_named()?;
        return Ok(PluginSource::File(path));
    }
    if let Some(image) = &flags.durability.image {
        return PluginImage::parse(image, context).map(PluginSource::Image);
    }
    if let Some(name) = &flags.plugin {
        plugin_name::refuse_file(name)?;
    }
    let program = std::env::current_exe().map_err(|error| {
        CommandError::failed("could not find this program").caused_by(error).hint("Name it with --binary.")
    })?;
    Ok(PluginSource::ThisProgram(program))
}
