//! As a sidecar: puts back what is removed or changed.

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

/// Whoever changes a file does so in several goes; what comes within this time is looked at together.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// A look without a reason to: some file systems, such as NFS, do not tell what others change.
const POLL_INTERVAL: Duration = Duration::from_secs(60);

/// Hears of changes in the plugin directory.
pub(super) struct PluginDirWatcher {
    directory: PathBuf,
    changes: UnboundedReceiver<()>,
    /// Reports as long as it lives.
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
                // Fails when nobody watches any more.
                let _ended = sender.send(());
            }
        })
        .map_err(unwatched)?;
        notify::Watcher::watch(&mut watcher, directory, RecursiveMode::NonRecursive).map_err(unwatched)?;
        Ok(PluginDirWatcher { directory: directory.to_owned(), changes, _watcher: watcher })
    }

    /// Looks after every change until it is told to end. What cannot be repaired now is tried again.
    pub(super) async fn run(
        mut self,
        from: &Path,
        site: &LocalDeployment,
        ui: &mut Ui,
    ) -> Result<(), CommandError> {
        let unheard = |error| CommandError::failed("could not listen for the end").caused_by(error);
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
            let now = repair(from, site, ui);
            // Said once, and not every minute.
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

/// Puts back what is not as it was; the answer says why that did not work. These files were verified by us once, so whatever else
/// has their names now is damage.
fn repair(from: &Path, site: &LocalDeployment, ui: &mut Ui) -> Option<String> {
    let load = || BundledPlugins::read(from)?.load(site, OverwritePolicy::Replace, &mut |_, _| ());
    match load() {
        Ok(loaded) => {
            for plugin in loaded.iter().filter(|plugin| plugin.action != LoadAction::Kept) {
                let path = site.directory().join(&plugin.file);
                let missing = if plugin.action == LoadAction::Placed {
                    "placed again: it was gone"
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
