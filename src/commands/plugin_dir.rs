//! Determines the plugin directory of the server.

use std::path::PathBuf;
use std::sync::Arc;

use ::deployment::LocalDeployment;
use rollout::{Deployment, Environment, PluginDirectory, is_local_address, observe_server};

use crate::commands::connect::connect;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// The plugin directory of this machine that was given by flag or file.
pub(crate) struct DirectoryChoice {
    pub(crate) flag: Option<PathBuf>,
    pub(crate) file: Option<PathBuf>,
}

impl DirectoryChoice {
    /// Selects the directory: the flag, then the file, then what the server reports.
    ///
    /// # Errors
    /// If a prompt is not answered.
    pub(crate) fn resolve(
        self,
        servers: &PluginDirectory,
        ui: &mut Ui,
    ) -> Result<Option<PathBuf>, CommandError> {
        if let Some(directory) = self.flag.or(self.file) {
            return Ok(Some(directory));
        }
        Ok(match servers {
            PluginDirectory::At(directory) => Some(directory.clone()),
            PluginDirectory::NotVisible if ui.is_interactive() => {
                Some(PathBuf::from(ui.prompt("Plugin directory of the server on this machine", None)?))
            }
            PluginDirectory::NotConfigured | PluginDirectory::NotVisible => None,
        })
    }
}

/// Connects to the server and its plugin directory: the selected pods, else the directory of the flag, else the directory that the server
/// reports if it exists on this machine, else the catalog only.
///
/// # Errors
/// If the server or the cluster does not respond.
pub(crate) async fn connect_with_plugin_dir(
    context: &Context,
    flag: Option<PathBuf>,
) -> Result<Environment, CommandError> {
    let mut environment = connect(context, None, flag.as_ref()).await?;
    if environment.deployment.is_none() {
        environment.deployment = match flag {
            Some(directory) => local_deployment(Some(directory)),
            None => {
                let observed = observe_server(&environment).await?;
                match observed.plugin_directory {
                    PluginDirectory::At(directory)
                        if directory.is_dir() && is_local_address(environment.client.address()).await =>
                    {
                        local_deployment(Some(directory))
                    }
                    _ => None,
                }
            }
        };
    }
    Ok(environment)
}

/// A directory of this machine as a deployment.
pub(crate) fn local_deployment(directory: Option<PathBuf>) -> Option<Arc<dyn Deployment>> {
    directory.map(|directory| Arc::new(LocalDeployment::new(directory)) as Arc<dyn Deployment>)
}
