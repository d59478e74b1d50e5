//! Flags that several commands share, with the same name and meaning in each.

use std::path::PathBuf;

use clap::{ArgAction, Args, ValueHint};
use rollout::{DowngradePolicy, Durability, Version};
use vault_api::catalog::PluginType;

use super::plugin_image::ExtractedBinary;
use super::plugin_name;
use crate::config::PluginYaml;
use crate::error::CommandError;

/// The plugin that a command installs.
#[derive(Clone, Debug, Args)]
pub(crate) struct PluginArgs {
    /// Name of the plugin in the catalog
    #[arg(value_name = "PLUGIN", value_parser = plugin_name::parse_installable, value_hint = ValueHint::Other)]
    pub(crate) plugin: Option<String>,
    /// Plugin binary [default: this program]
    #[arg(long, value_name = "FILE")]
    pub(crate) binary: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) durability: DurabilityArgs,
    /// Plugin version [default: as the binary reports it]
    #[arg(long, value_name = "VERSION")]
    pub(crate) version: Option<Version>,
    #[command(flatten)]
    pub(crate) launch: LaunchArgs,
    #[command(flatten)]
    pub(crate) directory: PluginDirArgs,
    /// Read plugin.yaml; flags take precedence
    ///
    /// Of a file that describes several plugins, PLUGIN selects one.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Allow moving mounts to an older version
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true, help_heading = SAFETY_HEADING)]
    allow_downgrade: bool,
}

/// Flags for the start of a plugin.
#[derive(Clone, Debug, Args)]
pub(crate) struct LaunchArgs {
    /// Argument of the plugin; repeatable
    #[arg(long = "arg", value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
    /// Environment of the plugin; KEY=@FILE reads a file
    ///
    /// KEY=- reads standard input. Pass secrets in one of these two ways. The flag is repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) env: Vec<String>,
}

/// The plugin directory, outside of Kubernetes.
#[derive(Clone, Debug, Args)]
pub(crate) struct PluginDirArgs {
    /// Plugin directory of the server on this machine [default: the one that the server reports]
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub(crate) plugin_dir: Option<PathBuf>,
}

/// Flags for what restores a version when a pod is restarted.
#[derive(Clone, Debug, Args)]
pub(crate) struct DurabilityArgs {
    /// Image of the plugin (registry or OCI layout)
    ///
    /// HOST/NAME:TAG, HOST/NAME@DIGEST, or the directory of a layout. `register` and `upgrade` take the plugin from the image unless
    /// --binary is given. On Kubernetes, the init container of the pods is set to the image.
    #[arg(long, value_name = "REF")]
    pub(crate) image: Option<String>,
    /// Allow a plugin directory that does not survive a pod restart
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true, help_heading = SAFETY_HEADING)]
    pub(crate) allow_ephemeral: bool,
}

/// The heading of flags that permit what is refused by default.
pub(crate) const SAFETY_HEADING: &str = "Safety options";

impl PluginArgs {
    /// The document of plugin.yaml that describes the plugin.
    ///
    /// # Errors
    /// If the file is invalid, or describes several plugins without PLUGIN.
    pub(crate) fn document(&self, kind: Option<PluginType>) -> Result<PluginYaml, CommandError> {
        PluginYaml::read_one(self.file.as_deref(), self.plugin.as_deref(), kind)
    }

    /// The first flag that is about a single plugin.
    pub(crate) fn flag_for_one_plugin(&self) -> Option<&'static str> {
        let given = [
            ("--binary", self.binary.is_some()),
            ("--image", self.durability.image.is_some()),
            ("--version", self.version.is_some()),
            ("--arg", !self.launch.args.is_empty()),
            ("--env", !self.launch.env.is_empty()),
        ];
        given.into_iter().find(|(_, is_given)| *is_given).map(|(flag, _)| flag)
    }

    pub(crate) fn downgrade(&self) -> DowngradePolicy {
        if self.allow_downgrade { DowngradePolicy::Allow } else { DowngradePolicy::Refuse }
    }
}

impl DurabilityArgs {
    /// The requirement for restarts. `extracted` is the binary from the image, if there is one.
    pub(crate) fn durability(self, extracted: Option<&ExtractedBinary>) -> Durability {
        let DurabilityArgs { image, allow_ephemeral } = self;
        if allow_ephemeral {
            return Durability::NotRequired;
        }
        match extracted {
            Some(extracted) => match extracted.reference() {
                Some(image) => Durability::Image { image, files: Some(extracted.bundled_files().clone()) },
                None => Durability::Required,
            },
            None => match image {
                Some(image) => Durability::Image { image, files: None },
                None => Durability::Required,
            },
        }
    }

    /// Refuses --image if the deployment cannot use it.
    pub(crate) fn check_only_named(&self) -> Result<(), CommandError> {
        let Some(image) = &self.image else { return Ok(()) };
        if self.allow_ephemeral {
            return Err(CommandError::usage("--image and --allow-ephemeral cannot be combined here")
                .hint("Pods either get the plugin from the image, or may lose it at a restart."));
        }
        if PathBuf::from(image).is_dir() {
            return Err(CommandError::usage(format!(
                "{image} is a directory, but pods pull images from a registry"
            ))
            .hint("Push the image to a registry, and pass it with --image HOST/NAME:TAG."));
        }
        Ok(())
    }
}
