//! Finds what clients of the running version would miss in the new one.

use rollout::Consumer;
use vault_api::{Client, help};
use vault_plugin::host::{self, Difference, PluginCommand};

use crate::error::CommandError;
use crate::ui::Ui;

/// Compares the description of the mount with that of the binary. Returns one sentence per difference that breaks clients.
///
/// # Errors
/// If the binary does not start.
pub(super) async fn breaking_changes(
    client: &Client,
    mount: &Consumer,
    plugin: PluginCommand,
    ui: &mut Ui,
) -> Result<Vec<String>, CommandError> {
    let document = match client.send(&help::ReadMountHelp { path: mount.to_string() }).await {
        Ok(Some(document)) => document,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => {
            ui.warn(&format!(
                "{mount} returns no description, so the two versions were not compared: {error}"
            ));
            return Ok(Vec::new());
        }
    };
    let program = plugin.program.clone();
    let next = host::inspect(plugin, std::collections::BTreeMap::default()).await.map_err(|error| {
        CommandError::failed(format!("{} is not a working plugin", program.display())).caused_by(error)
    })?;
    let differences = host::compare_paths(&host::documented_paths(&document), &next.paths);
    Ok(differences.iter().filter(|one| one.breaks_clients()).map(Difference::to_string).collect())
}
