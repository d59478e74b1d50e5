//! Where the plugins of the server lie, as far as it was said or can be seen.

use std::path::PathBuf;
use std::sync::Arc;

use rollout::{LocalSite, PluginDirectory, Site, World, is_of_this_machine, observe_server};

use crate::commands::site;
use crate::config::PluginYaml;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// The flag before the file, the file before what the server says.
///
/// # Errors
/// When somebody was asked and did not answer.
pub(crate) fn directory(
    flag: Option<PathBuf>,
    yaml: &PluginYaml,
    servers: &PluginDirectory,
    ui: &mut Ui,
) -> Result<Option<PathBuf>, CommandError> {
    Ok(match (flag, yaml.plugin_dir()) {
        (Some(directory), _) => Some(directory),
        (None, Some(directory)) => Some(directory),
        (None, None) => match servers {
            PluginDirectory::At(directory) => Some(directory.clone()),
            PluginDirectory::NotShown if ui.can_ask() => {
                Some(PathBuf::from(ui.ask("Plugin directory of the server on this machine", None)?))
            }
            PluginDirectory::NotConfigured | PluginDirectory::NotShown => None,
        },
    })
}

/// The server and its plugins: the pods that were spoken of; else the directory of the flag, else what the server says where that is a
/// directory of this machine; else the catalog alone has to do.
///
/// # Errors
/// When the server does not answer, or the cluster does not.
pub(crate) async fn found(context: &Context, flag: Option<PathBuf>) -> Result<World, CommandError> {
    let mut world = site::reach(context, None, flag.as_ref()).await?;
    if world.site.is_none() {
        world.site = match flag {
            Some(directory) => local(Some(directory)),
            None => {
                let observed = observe_server(&world).await?;
                match observed.plugin_directory {
                    PluginDirectory::At(directory)
                        if directory.is_dir() && is_of_this_machine(world.client.address()).await =>
                    {
                        local(Some(directory))
                    }
                    _ => None,
                }
            }
        };
    }
    Ok(world)
}

/// A directory of this machine as a site.
pub(crate) fn local(directory: Option<PathBuf>) -> Option<Arc<dyn Site>> {
    directory.map(|directory| Arc::new(LocalSite::new(directory)) as Arc<dyn Site>)
}
