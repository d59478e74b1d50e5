//! Sidecar mode: restores files that are removed or changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use deployment::{BundledPlugins, LoadAction, LoadError, LocalDeployment, OverwritePolicy};
use notify::{RecommendedWatcher, RecursiveMode};
use rollout::error_chain;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{self, UnboundedReceiver};

use super::describe_action;
use crate::error::CommandError;
use crate::ui::Ui;

/// A file is changed in several writes. Changes within this time are checked together.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// Interval of checks without an event. Some file systems, such as NFS, report no changes that other machines make.
const POLL_INTERVAL: Duration = Duration::from_secs(60);

/// Receives the changes of the plugin directory.
pub(super) struct PluginDirWatcher {
    directory: PathBuf,
    changes: UnboundedReceiver<()>,
    /// Reports changes until it is dropped.
    _watcher: RecommendedWatcher,
}

impl PluginDirWatcher {
    pub(super) fn new(directory: &Path) -> Result<PluginDirWatcher, CommandError> {
        let (sender, changes) = mpsc::unbounded_channel();
        let unwatched = |error: notify::Error| {
            CommandError::failed(format!("could not watch {}", directory.display()))
                .caused_by(error)
                .hint("Mount the volume of the plugin directory there, or name another directory with --to.")
        };
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access()) {
                // Fails if the receiver was dropped.
                let _ended = sender.send(());
            }
        })
        .map_err(unwatched)?;
        notify::Watcher::watch(&mut watcher, directory, RecursiveMode::NonRecursive).map_err(unwatched)?;
        Ok(PluginDirWatcher { directory: directory.to_owned(), changes, _watcher: watcher })
    }

    /// Checks after every change until it is stopped. A repair that fails is retried.
    pub(super) async fn run(
        mut self,
        from: &Path,
        deployment: &LocalDeployment,
        ui: &mut Ui,
    ) -> Result<(), CommandError> {
        let unheard = |error| CommandError::failed("could not listen for signals").caused_by(error);
        let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
        ui.status(&format!("Watching {}", self.directory.display()));
        let mut failure = None;
        loop {
            tokio::select! {
                () = self.wait_changed() => {}
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
            }
            let now = repair(from, deployment, ui);
            // Each failure is reported once, not at every retry.
            if let Some(text) = now.as_ref().filter(|text| failure.as_ref() != Some(*text)) {
                ui.warn(text);
            }
            failure = now;
        }
    }

    async fn wait_changed(&mut self) {
        if let Ok(Some(())) = tokio::time::timeout(POLL_INTERVAL, self.changes.recv()).await {
            while let Ok(Some(())) = tokio::time::timeout(DEBOUNCE, self.changes.recv()).await {}
        }
    }
}

/// Restores files that differ. Returns why it failed, if it did. All these files were verified once, so any other content is damage.
fn repair(from: &Path, deployment: &LocalDeployment, ui: &mut Ui) -> Option<String> {
    let load = || BundledPlugins::read(from)?.load(deployment, OverwritePolicy::Replace, &mut |_, _| ());
    match load() {
        Ok(loaded) => {
            for plugin in loaded.iter().filter(|plugin| plugin.action != LoadAction::Kept) {
                let path = deployment.directory().join(&plugin.file);
                let missing = if plugin.action == LoadAction::Copied {
                    "restored: it was missing"
                } else {
                    describe_action(plugin.action)
                };
                ui.status(&format!("{} {missing}", path.display()));
            }
            None
        }
        Err(error) => Some(error_text(&error)),
    }
}

fn error_text(error: &LoadError) -> String {
    format!("{}. {}", error_chain(error), error.hint())
}
