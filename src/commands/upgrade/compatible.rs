//! What clients of the running version would miss in the one that is brought.

use std::ffi::OsString;
use std::path::Path;

use rollout::MountPath;
use vault_api::{Client, Secret, help};
use vault_plugin::host::{self, Difference, Launch};

use crate::error::CommandError;
use crate::ui::Ui;

/// Compares what the mount describes with what the binary describes, both as the plugin itself answers. A sentence for each
/// difference that breaks clients.
///
/// # Errors
/// When no temporary directory can be made, and when the binary does not start.
pub(super) async fn breaking(
    client: &Client,
    mount: &MountPath,
    program: &Path,
    args: &[String],
    env: &[Secret],
    ui: &mut Ui,
) -> Result<Vec<String>, CommandError> {
    let document = match client.send(&help::OfMount { path: mount.to_string() }).await {
        Ok(Some(document)) => document,
        Ok(None) => return Ok(Vec::new()),
        Err(error) => {
            ui.warn(&format!(
                "{mount} does not describe itself, so the two versions were not compared: {error}"
            ));
            return Ok(Vec::new());
        }
    };
    // Where it puts its socket: a plugin that has to be killed leaves it there.
    let scratch = tempfile::tempdir()
        .map_err(|error| CommandError::failed("could not make a temporary directory").because(error))?;
    let variable = |line: &Secret| {
        line.expose().split_once('=').map(|(key, value)| (OsString::from(key), OsString::from(value)))
    };
    let mut env: Vec<_> = env.iter().filter_map(variable).collect();
    env.push(("TMPDIR".into(), scratch.path().into()));
    let launch = Launch { args: args.iter().map(Into::into).collect(), env, ..Launch::new(program) };
    let next = host::inspect(launch, std::collections::BTreeMap::default()).await.map_err(|error| {
        CommandError::failed(format!("{} does not work", program.display())).because(error)
    })?;
    let differences = host::compare_paths(&host::documented_paths(&document), &next.paths);
    Ok(differences.iter().filter(|one| one.breaks_clients()).map(Difference::to_string).collect())
}
