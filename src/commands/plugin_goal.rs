//! The plugin that `register` and `upgrade` install: flags before the file, the file before what the binary and the server say.

use std::path::PathBuf;

use rollout::{
    DesiredMount, DowngradePolicy, Durability, Environment, Observed, Plugin, observe, observe_server,
};
use vault_api::SecretString;
use vault_api::catalog::PluginType;
use vault_plugin::host::PluginCommand;

use crate::commands::deployment;
use crate::commands::mount_data::{MountData, MountDataArgs, MountWrites};
use crate::commands::plugin_args::PluginArgs;
use crate::commands::plugin_dir::DirectoryChoice;
use crate::commands::plugin_image::{ExtractedBinary, PluginImage};
use crate::commands::plugin_name;
use crate::commands::plugin_source::{
    binary_path, mounts_from_file, plugin_env, plugin_version, read_binary,
};
use crate::commands::probe::{probe_for_deployment, untrusted_launch};
use crate::commands::sensitive_fields::SensitiveFields;
use crate::config::PluginYaml;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// What was asked for, before the server is looked at.
pub(crate) struct PluginRequest<'a> {
    pub(crate) yaml: PluginYaml,
    flags: PluginArgs,
    data: MountData,
    source: PluginSource,
    context: &'a Context,
}

enum PluginSource {
    File(PathBuf),
    Image(PluginImage),
    ThisProgram(PathBuf),
}

/// How the server knows a plugin, and starts it.
pub(crate) struct Registration {
    pub(crate) kind: PluginType,
    pub(crate) name: String,
    pub(crate) args: Vec<String>,
    pub(crate) env: Vec<SecretString>,
}

/// A plugin that can be installed.
pub(crate) struct PreparedPlugin {
    pub(crate) plugin: Plugin,
    /// How its binary is started to be examined.
    pub(crate) launch: PluginCommand,
    /// The mounts of the file.
    pub(crate) mounts: Vec<DesiredMount>,
    /// The data of the flags.
    pub(crate) writes: MountWrites,
    pub(crate) downgrade: DowngradePolicy,
    pub(crate) durability: Durability,
    /// Holds the binary that was taken out of an image.
    pub(crate) extracted: Option<ExtractedBinary>,
}

impl<'a> PluginRequest<'a> {
    /// Reads the file, and the data of the flags.
    ///
    /// # Errors
    /// When the file or a flag cannot be used.
    pub(crate) fn parse(
        flags: PluginArgs,
        data: &MountDataArgs,
        context: &'a Context,
    ) -> Result<PluginRequest<'a>, CommandError> {
        let yaml = flags.file.as_deref().map(PluginYaml::read).transpose()?.unwrap_or_default();
        let data = data.parse()?;
        let mut flags = flags;
        let source = plugin_source(&mut flags, &yaml, context)?;
        Ok(PluginRequest { yaml, flags, data, source, context })
    }

    /// Connects to the server, and looks at it as far as is needed to choose the plugin.
    ///
    /// # Errors
    /// When the server or its cluster does not answer.
    pub(crate) async fn connect(&self) -> Result<(Environment, Observed), CommandError> {
        let directory = self.flags.directory.plugin_dir.as_ref();
        let world = deployment::connect(self.context, self.yaml.deployment.as_ref(), directory).await?;
        let observed = match self.source {
            // The architecture of the nodes chooses what is taken out of the image.
            PluginSource::Image(_) => observe(&world, None).await?,
            PluginSource::File(_) | PluginSource::ThisProgram(_) => observe_server(&world).await?,
        };
        Ok((world, observed))
    }

    /// Whether the plugin is this program.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self.source, PluginSource::ThisProgram(_))
    }

    /// Whether flags have data for a mount.
    pub(crate) fn has_data(&self) -> bool {
        !self.data.writes.is_empty()
    }

    /// The name that was given.
    pub(crate) fn name(&self) -> Option<String> {
        self.flags.plugin.clone().or_else(|| self.yaml.plugin.name.clone())
    }

    /// The arguments that were given, if any.
    pub(crate) fn args(&self) -> Option<Vec<String>> {
        let given = [&self.flags.launch.args, &self.yaml.plugin.args];
        given.into_iter().find(|args| !args.is_empty()).cloned()
    }

    /// The environment that was given.
    ///
    /// # Errors
    /// When a value cannot be read.
    pub(crate) fn env(&self) -> Result<Vec<SecretString>, CommandError> {
        plugin_env(&self.flags.launch.env, &self.yaml)
    }

    /// The plugin directory of this machine that was given.
    pub(crate) fn directory(&self) -> DirectoryChoice {
        DirectoryChoice { flag: self.flags.directory.plugin_dir.clone(), file: self.yaml.plugin_dir() }
    }

    /// Reads the binary, and starts it once to learn what it is. Nothing is changed.
    ///
    /// # Errors
    /// When the binary cannot be used, and for a secret that is written out in the file.
    pub(crate) async fn prepare(
        self,
        registration: Registration,
        world: &Environment,
        observed: &Observed,
        ui: &mut Ui,
    ) -> Result<PreparedPlugin, CommandError> {
        let is_own = self.is_own();
        let PluginRequest { yaml, flags, data, source, context } = self;
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
        let mounts = mounts_from_file(&yaml)?;
        let launch = untrusted_launch(&program, &args, &env, context, ui);
        let probe = probe_for_deployment(world, &binary, kind, launch.clone()).await?;
        let downgrade = flags.downgrade();
        let version = plugin_version(flags.version, &yaml, &program, &probe, is_own)?;
        let MountData { mut writes, typed } = data;
        if !writes.is_empty() || mounts.iter().any(|mount| !mount.writes.is_empty()) {
            let sensitive =
                SensitiveFields::query(&name, &binary, launch.clone(), &world.client, observed).await;
            sensitive.apply(&mounts, &mut writes, &typed, ui)?;
        }
        let durability = flags.durability.durability(extracted.as_ref());
        let plugin = Plugin { kind, name, version, args, env, binary, probe };
        Ok(PreparedPlugin { plugin, launch, mounts, writes, downgrade, durability, extracted })
    }
}

/// Where the plugin comes from. A binary that is named beside an image is installed itself: the image is only named to the pods.
fn plugin_source(
    flags: &mut PluginArgs,
    yaml: &PluginYaml,
    context: &Context,
) -> Result<PluginSource, CommandError> {
    let binary = binary_path(flags.binary.as_deref(), yaml)?;
    // With a binary, the image of the file only says what brings the version back, which this flag does not require.
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
