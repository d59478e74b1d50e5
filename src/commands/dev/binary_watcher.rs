//! Reloads the plugin when its binary changes.

use std::convert::Infallible;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use rollout::{Binary, Deployment, Environment, NodeName, Plugin, RegisterGoal, Version};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use vault_api::{catalog, mounts, reload};
use vault_plugin::host::{self, Inspection, Isolation, PluginCommand};

use crate::error::CommandError;

/// A linker writes a file in several steps. It is complete when it has not changed for this long.
const DEBOUNCE: Duration = Duration::from_millis(300);

/// A watched binary.
pub(super) struct BinaryWatcher {
    environment: Environment,
    plugin: Plugin,
    mounts: Vec<String>,
    running: Inspection,
    isolation: Isolation,
    changes: UnboundedReceiver<()>,
    /// Reports changes until it is dropped.
    _watcher: RecommendedWatcher,
}

/// Reloads after every change, and sends the result to `lines`. Without a watcher, it never returns and does nothing.
///
/// Must be polled until the server stops; otherwise a change is lost or half applied.
pub(super) async fn reload_on_change(
    watch: Option<BinaryWatcher>,
    lines: UnboundedSender<String>,
) -> Infallible {
    let Some(mut watch) = watch else { return std::future::pending().await };
    loop {
        watch.wait_changed().await;
        let what = match watch.reload().await {
            Ok(what) => what,
            Err(error) => {
                format!("The binary has changed, but was not reloaded:\n{}", error.render().trim_end())
            }
        };
        // Fails if the receiver was dropped.
        let _ended = lines.send(what);
    }
}

impl BinaryWatcher {
    pub(super) async fn new(
        environment: &Environment,
        register: &RegisterGoal,
        isolation: Isolation,
    ) -> Result<BinaryWatcher, CommandError> {
        let plugin = register.plugin.clone();
        let unwatched = |error: notify::Error| {
            CommandError::failed(format!("could not watch {}", plugin.binary.path.display())).caused_by(error)
        };
        let (sender, changes) = mpsc::unbounded_channel();
        let path = plugin.binary.path.clone();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !event.kind.is_access() && event.paths.contains(&path)) {
                // Fails if the receiver was dropped.
                let _ended = sender.send(());
            }
        })
        .map_err(unwatched)?;
        // Builds replace the file, so its directory is watched.
        let directory = plugin.binary.path.parent().unwrap_or(Path::new("/"));
        watcher.watch(directory, RecursiveMode::NonRecursive).map_err(unwatched)?;
        let running = inspect_plugin(&plugin, isolation.clone()).await?;
        Ok(BinaryWatcher {
            environment: environment.clone(),
            plugin,
            mounts: register.mounts.iter().map(|mount| mount.path.to_string()).collect(),
            running,
            isolation,
            changes,
            _watcher: watcher,
        })
    }

    /// Waits until the binary has changed and is complete.
    async fn wait_changed(&mut self) {
        if self.changes.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
        while let Ok(Some(())) = tokio::time::timeout(DEBOUNCE, self.changes.recv()).await {}
    }

    /// Registers the file, and reloads the mounts. A development server does not need the previous file of the same version. If the binary
    /// reports another version, it is registered as that version, and the mounts are changed to it.
    async fn reload(&mut self) -> Result<String, CommandError> {
        let binary = Binary::read(&self.plugin.binary.path, &mut |_, _| {})
            .map_err(|error| CommandError::failed("the binary cannot be read").caused_by(error))?;
        if binary.sha256 == self.plugin.binary.sha256 {
            return Ok("The binary was written without a change.".to_owned());
        }
        let mut changed = Plugin { binary, ..self.plugin.clone() };
        let inspection = inspect_plugin(&changed, self.isolation.clone()).await?;
        changed.version = reported_version(&inspection)?;
        let Some(deployment) = &self.environment.deployment else {
            return Err(CommandError::failed("the server has no plugin directory"));
        };
        let file = copy_to_plugin_dir(deployment.as_ref(), &changed).await?;
        let register = catalog::Register {
            entry: catalog::PluginRef {
                kind: changed.kind,
                name: changed.name.clone(),
                version: Some(changed.version.v_prefixed()),
            },
            sha256: changed.binary.sha256.clone(),
            command: file,
            args: changed.args.clone(),
            env: changed.env.clone(),
        };
        let client = &self.environment.client;
        client
            .send(&register)
            .await
            .map_err(|error| CommandError::failed("could not register the binary").caused_by(error))?;
        if changed.version != self.plugin.version {
            for path in &self.mounts {
                let tune = mounts::TuneVersion { path: path.clone(), version: changed.version.v_prefixed() };
                client.send(&tune).await.map_err(|error| {
                    CommandError::failed(format!("could not change the version of {path}")).caused_by(error)
                })?;
            }
        }
        client
            .send(&reload::ReloadMounts { paths: self.mounts.clone() })
            .await
            .map_err(|error| CommandError::failed("could not reload the mounts").caused_by(error))?;
        let differences: Vec<String> =
            host::compare(&self.running, &inspection).iter().map(|line| format!("\n  {line}")).collect();
        self.running = inspection;
        self.plugin = changed;
        let sha256 = self.plugin.binary.sha256.get(..12).unwrap_or_default();
        let offers = if differences.is_empty() { " Its API is unchanged." } else { " Its API has changed:" };
        Ok(format!("Reloaded: the binary has changed (sha256 {sha256}…).{offers}{}", differences.concat()))
    }
}

/// Returns the version that the binary reports. A plugin may report none; Vault permits that.
fn reported_version(inspection: &Inspection) -> Result<Version, CommandError> {
    let text = if inspection.version.is_empty() { "0.0.0" } else { &inspection.version };
    text.parse().map_err(|error| {
        CommandError::failed(format!("the binary reports the invalid version {text:?}")).caused_by(error)
    })
}

async fn inspect_plugin(plugin: &Plugin, isolation: Isolation) -> Result<Inspection, CommandError> {
    let env = plugin.env.iter().filter_map(|line| line.expose().split_once('='));
    let launch = PluginCommand {
        args: plugin.args.iter().map(OsString::from).collect(),
        env: env.map(|(key, value)| (key.into(), value.into())).collect(),
        isolation,
        ..PluginCommand::new(PathBuf::from(&plugin.binary.path))
    };
    host::inspect(launch, Default::default())
        .await
        .map_err(|error| CommandError::failed("it does not start").caused_by(error))
}

/// Copies the binary beside the files of versions, under a name that contains its checksum.
async fn copy_to_plugin_dir(deployment: &dyn Deployment, plugin: &Plugin) -> Result<String, CommandError> {
    let short = plugin.binary.sha256.get(..12).unwrap_or(&plugin.binary.sha256);
    let name = format!("{}-{}.{short}", plugin.name, plugin.version);
    let (progress, _nobody_listens) = mpsc::unbounded_channel();
    deployment.copy(&plugin.binary, &name, &[NodeName::local()], progress).await.map_err(|error| {
        CommandError::failed("could not copy the binary to the plugin directory").caused_by(error)
    })?;
    Ok(name)
}
