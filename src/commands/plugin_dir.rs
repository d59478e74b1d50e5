//! Determines the plugin directory of the server.

use std::path::PathBuf;
use std::sync::Arc;

use ::deployment::LocalDeployment;
use rollout::{Deployment, Environment, PluginDirectory, is_local_address, observe_server};

use crate::commands::connect::connect;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// Selects the plugin directory of this machine: the flag, then the file, then the directory that the server reports.
pub(crate) struct DirectoryChoice {
    pub(crate) flag: Option<PathBuf>,
    pub(crate) file: Option<PathBuf>,
}

impl DirectoryChoice {
    /// Selects the directory for a command that copies a binary. If the server does not show its directory, the user is asked for it.
    /// Whether the directory exists is checked when it is observed.
    ///
    /// # Errors
    /// If a prompt is not answered.
    pub(crate) fn require(
        self,
        reported: &PluginDirectory,
        ui: &mut Ui,
    ) -> Result<Option<PathBuf>, CommandError> {
        if let Some(directory) = self.given() {
            return Ok(Some(directory));
        }
        Ok(match reported {
            PluginDirectory::At(directory) => Some(directory.clone()),
            PluginDirectory::NotVisible if ui.is_interactive() => {
                Some(PathBuf::from(ui.prompt("Plugin directory of the server on this machine", None)?))
            }
            PluginDirectory::NotConfigured | PluginDirectory::NotVisible => None,
        })
    }

    /// Selects the directory for a command that also works with the catalog only. The directory that the server reports is used if it
    /// exists here and the server runs on this machine: another machine may have a directory of the same name.
    ///
    /// # Errors
    /// If the server does not respond.
    async fn find(self, environment: &Environment) -> Result<Option<PathBuf>, CommandError> {
        if let Some(directory) = self.given() {
            return Ok(Some(directory));
        }
        let PluginDirectory::At(directory) = observe_server(environment).await?.plugin_directory else {
            return Ok(None);
        };
        let is_here = directory.is_dir() && is_local_address(environment.client.address()).await;
        Ok(is_here.then_some(directory))
    }

    fn given(&self) -> Option<PathBuf> {
        self.flag.clone().or_else(|| self.file.clone())
    }
}

/// Connects to the server and its plugin directory: that of the selected pods, else that of this machine, else the catalog only.
///
/// # Errors
/// If the server or the cluster does not respond.
pub(crate) async fn connect_with_plugin_dir(
    context: &Context,
    flag: Option<PathBuf>,
) -> Result<Environment, CommandError> {
    let mut environment = connect(context, None, flag.as_ref()).await?;
    if environment.deployment.is_none() {
        let choice = DirectoryChoice { flag, file: None };
        environment.deployment = local_deployment(choice.find(&environment).await?);
    }
    Ok(environment)
}

/// A directory of this machine as a deployment.
pub(crate) fn local_deployment(directory: Option<PathBuf>) -> Option<Arc<dyn Deployment>> {
    directory.map(|directory| Arc::new(LocalDeployment::new(directory)) as Arc<dyn Deployment>)
}
