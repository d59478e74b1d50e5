//! `status`: on disk, in the catalog, pinned, configured, running.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use rollout::{LocalSite, Observed, Pins, PluginDirectory, Site, ThisRun, World, observe};
use serde::Serialize;

use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Report;

/// What to look at.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Plugin directory of the server on this machine; else what the server says, where that is readable
    #[arg(long, value_name = "DIR")]
    plugin_dir: Option<PathBuf>,
    /// Only this plugin
    #[arg(long, value_name = "NAME")]
    plugin: Option<String>,
}

/// What is there.
#[derive(Debug, Serialize)]
pub struct StatusReport {
    #[serde(flatten)]
    observed: Observed,
}

/// Looks.
///
/// # Errors
/// When the server does not answer or the directory cannot be read.
pub async fn run(args: StatusArgs, context: &Context) -> Result<StatusReport, CommandError> {
    let StatusArgs { plugin_dir, plugin } = args;
    let mut world = World { client: context.client()?, site: plugin_dir.map(local) };
    let mut observed = observe(&world, None, &ThisRun::default()).await?;
    if let (None, PluginDirectory::At(directory)) = (&world.site, &observed.plugin_directory)
        && directory.is_dir()
    {
        world.site = Some(local(directory.clone()));
        observed = observe(&world, None, &ThisRun::default()).await?;
    }
    if let Some(name) = plugin {
        keep_only(&mut observed, &name);
    }
    Ok(StatusReport { observed })
}

fn local(directory: PathBuf) -> Arc<dyn Site> {
    Arc::new(LocalSite::new(directory))
}

fn keep_only(observed: &mut Observed, name: &str) {
    observed.catalog.retain(|entry| entry.name == name);
    observed.mounts.retain(|_, mount| mount.plugin == name);
    let files = format!("{name}-");
    for node in observed.site.iter_mut().flat_map(|site| site.nodes.values_mut()) {
        node.files.retain(|file| file.name.starts_with(&files));
        node.processes.retain(|process| process.file.starts_with(&files));
    }
}

impl Report for StatusReport {
    fn render(&self) -> String {
        let observed = &self.observed;
        let server = &observed.server;
        let mut text = String::new();
        let state = match (server.initialized, server.sealed) {
            (false, _) => ", not initialized",
            (true, true) => ", sealed",
            (true, false) => "",
        };
        let _ = writeln!(text, "Server   {} {:?} {}{state}", server.address, server.product, server.version);
        let directory = match &observed.plugin_directory {
            PluginDirectory::At(directory) => directory.display().to_string(),
            PluginDirectory::NotConfigured => "none: external plugins do not run here".to_owned(),
            PluginDirectory::NotShown => "not shown to this token".to_owned(),
        };
        let _ = writeln!(text, "Plugins  {directory}");
        for missing in &observed.caller.denied {
            let _ = writeln!(text, "Denied   {missing}");
        }
        text += &table("\nCatalog", &["TYPE", "NAME", "VERSION", "SHA256"], self.catalog_rows());
        text += &table("\nMounts", &["PATH", "PLUGIN", "CONFIGURED", "RUNNING", "SHA256"], self.mount_rows());
        if let Pins::Set(pins) = &observed.pins {
            let rows =
                pins.iter().map(|pin| vec![pin.kind.to_string(), pin.name.clone(), pin.version.clone()]);
            text += &table("\nPins", &["TYPE", "NAME", "VERSION"], rows.collect());
        }
        for (name, node) in observed.site.iter().flat_map(|site| &site.nodes) {
            let title = if name.is_local() { "\nFiles".to_owned() } else { format!("\nFiles on {name}") };
            let rows = node.files.iter().map(|file| {
                let pids: Vec<String> = node
                    .processes
                    .iter()
                    .filter(|process| process.file == file.name)
                    .map(|process| process.pid.to_string())
                    .collect();
                vec![file.name.clone(), short(&file.sha256), pids.join(",")]
            });
            text += &table(&title, &["FILE", "SHA256", "PROCESSES"], rows.collect());
        }
        text
    }
}

impl StatusReport {
    fn catalog_rows(&self) -> Vec<Vec<String>> {
        let entries = self.observed.catalog.iter();
        entries
            .map(|entry| {
                vec![entry.kind.to_string(), entry.name.clone(), entry.version.clone(), short(&entry.sha256)]
            })
            .collect()
    }

    fn mount_rows(&self) -> Vec<Vec<String>> {
        let mounts = self.observed.mounts.iter();
        mounts
            .map(|(path, mount)| {
                vec![
                    path.clone(),
                    mount.plugin.clone(),
                    mount.configured_version.clone(),
                    mount.running_version.clone(),
                    short(&mount.running_sha256),
                ]
            })
            .collect()
    }
}

/// Enough of a checksum to compare by eye; the whole is in the JSON document.
fn short(sha256: &str) -> String {
    sha256.chars().take(12).collect()
}

fn table(title: &str, heads: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let heads: Vec<String> = heads.iter().map(|&head| head.to_owned()).collect();
    let width = |column: usize| {
        let cells = rows.iter().chain([&heads]).filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let lines = [&heads].into_iter().chain(&rows).map(|row| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("  {}", pad(cell, *width)));
        cells.collect::<String>().trim_end().to_owned() + "\n"
    });
    format!("{title}\n{}", lines.collect::<String>())
}

fn pad(cell: &str, width: usize) -> String {
    let cell = if cell.is_empty() { "-" } else { cell };
    format!("{cell:width$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = vec![vec!["custom/".into(), String::new()], vec!["a/".into(), "v1.0.0".into()]];
        let expected = "Mounts\n  PATH     RUNNING\n  custom/  -\n  a/       v1.0.0\n";
        assert_eq!(table("Mounts", &["PATH", "RUNNING"], rows), expected);
    }
}
