//! Where the plugins of the server lie, as far as it was said or can be seen.

use std::path::PathBuf;
use std::sync::Arc;

use ::deployment::LocalDeployment;
use rollout::{Deployment, Environment, PluginDirectory, is_local_address, observe_server};

use crate::commands::deployment;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// The plugin directory of this machine that was given.
pub(crate) struct DirectoryChoice {
    pub(crate) flag: Option<PathBuf>,
    pub(crate) file: Option<PathBuf>,
}

impl DirectoryChoice {
    /// The flag before the file, the file before what the server says.
    ///
    /// # Errors
    /// When a prompt is not answered.
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

/// The server and its plugins: the pods that were spoken of; else the directory of the flag, else what the server says where that is a
/// directory of this machine; else the catalog alone has to do.
///
/// # Errors
/// When the server does not answer, or the cluster does not.
pub(crate) async fn connect_with_plugin_dir(
    context: &Context,
    flag: Option<PathBuf>,
) -> Result<Environment, CommandError> {
    let mut world = deployment::connect(context, None, flag.as_ref()).await?;
    if world.deployment.is_none() {
        world.deployment = match flag {
            Some(directory) => local_deployment(Some(directory)),
            None => {
                let observed = observe_server(&world).await?;
                match observed.plugin_directory {
                    PluginDirectory::At(directory)
                        if directory.is_dir() && is_local_address(world.client.address()).await =>
                    {
                        local_deployment(Some(directory))
                    }
                    _ => None,
                }
            }
        };
    }
    Ok(world)
}

/// A directory of this machine as a site.
pub(crate) fn local_deployment(directory: Option<PathBuf>) -> Option<Arc<dyn Deployment>> {
    directory.map(|directory| Arc::new(LocalDeployment::new(directory)) as Arc<dyn Deployment>)
}
