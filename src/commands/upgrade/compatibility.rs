//! What clients of the running version would miss in the one that is brought.

use rollout::MountPath;
use vault_api::{Client, help};
use vault_plugin::host::{self, Difference, PluginCommand};

use crate::error::CommandError;
use crate::ui::Ui;

/// Compares what the mount describes with what the binary describes, both as the plugin itself answers. A sentence for each
/// difference that breaks clients.
///
/// # Errors
/// When the binary does not start.
pub(super) async fn breaking_changes(
    client: &Client,
    mount: &MountPath,
    plugin: PluginCommand,
    ui: &mut Ui,
) -> Result<Vec<String>, CommandError> {
    let document = match client.send(&help::ReadMountHelp { path: mount.to_string() }).await {
        Ok(Some(document)) => document,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => {
            ui.warn(&format!(
                "{mount} does not describe itself, so the two versions were not compared: {error}"
            ));
            return Ok(Vec::new());
        }
    };
    let program = plugin.program.clone();
    let next = host::inspect(plugin, std::collections::BTreeMap::default()).await.map_err(|error| {
        CommandError::failed(format!("{} does not work", program.display())).caused_by(error)
    })?;
    let differences = host::compare_paths(&host::documented_paths(&document), &next.paths);
    Ok(differences.iter().filter(|one| one.breaks_clients()).map(Difference::to_string).collect())
}
