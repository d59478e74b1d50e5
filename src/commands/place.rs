//! Where the plugins of the server lie, as far as it was said or can be seen.

use std::path::PathBuf;
use std::sync::Arc;

use rollout::{LocalSite, PluginDirectory, Site, ThisRun, World, observe};
use vault_api::Client;

use crate::config::PluginYaml;
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
    Ok(match (flag, &yaml.site) {
        (Some(directory), _) => Some(directory),
        (None, Some(site)) => Some(yaml.resolve(&site.local.plugin_dir)),
        (None, None) => match servers {
            PluginDirectory::At(directory) => Some(directory.clone()),
            PluginDirectory::NotShown if ui.can_ask() => {
                Some(PathBuf::from(ui.ask("Plugin directory of the server on this machine", None)?))
            }
            PluginDirectory::NotConfigured | PluginDirectory::NotShown => None,
        },
    })
}

/// The flag, else what the server says where that is a directory of this machine; else the catalog alone has to do.
///
/// # Errors
/// When the server does not answer.
pub(crate) async fn found(
    client: &Client,
    flag: Option<PathBuf>,
) -> Result<Option<Arc<dyn Site>>, CommandError> {
    if flag.is_some() {
        return Ok(local(flag));
    }
    let world = World { client: client.clone(), site: None };
    let observed = observe(&world, None, &ThisRun::default()).await?;
    Ok(match observed.plugin_directory {
        PluginDirectory::At(directory) if directory.is_dir() => local(Some(directory)),
        _ => None,
    })
}

/// A directory of this machine as a site.
pub(crate) fn local(directory: Option<PathBuf>) -> Option<Arc<dyn Site>> {
    directory.map(|directory| Arc::new(LocalSite::new(directory)) as Arc<dyn Site>)
}
