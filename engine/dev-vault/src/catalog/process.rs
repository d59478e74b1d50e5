//! Plugin processes. As in Vault, all mounts of the same plugin, version and binary share one.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use data_encoding::HEXLOWER;
use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use vault_plugin::host::{
    self, CallError, Isolation, LaunchError, MountConfig, MountError, Plugin, PluginCommand, ShutdownOutcome,
};

use super::registered_plugin::RegisteredPlugin;
use crate::log::{LogEvent, LogSink};

/// The running processes by catalog entry.
pub(crate) struct ProcessPool {
    directory: Option<PathBuf>,
    log: LogSink,
    isolation: Isolation,
    running: tokio::sync::Mutex<HashMap<RegisteredPlugin, Weak<SharedProcess>>>,
    hashes: Mutex<HashMap<PathBuf, (FileStamp, String)>>,
}

/// A process, shared by the mounts that use it.
pub(crate) struct SharedProcess {
    entry: RegisteredPlugin,
    plugin: Plugin,
}

/// Size in bytes of one read of a plugin binary.
const CHUNK_SIZE: usize = 256 * 1024;

/// Identifies the content of a file: device, inode, size, mtime and ctime. The mtime can be set by a program, the ctime
/// cannot.
type FileStamp = ((u64, u64, u64), (i64, i64), (i64, i64));

impl ProcessPool {
    /// A pool that starts plugins from `directory`.
    pub(crate) fn new(directory: Option<PathBuf>, log: LogSink, isolation: Isolation) -> ProcessPool {
        ProcessPool {
            directory,
            log,
            isolation,
            running: tokio::sync::Mutex::default(),
            hashes: Mutex::default(),
        }
    }

    /// The plugin directory.
    pub(crate) fn directory(&self) -> Result<&Path, SpawnError> {
        self.directory.as_deref().ok_or(SpawnError::NoPluginDirectory)
    }

    /// Sets up a mount in the process of its plugin. Starts the process if it is not running.
    pub(crate) async fn mount(
        &self,
        entry: &RegisteredPlugin,
        config: MountConfig,
    ) -> Result<(Arc<SharedProcess>, host::RemoteMount), SpawnError> {
        let directory = self.directory()?;
        let first = self.get_or_launch(entry, directory, None).await?;
        match first.plugin.mount(config.clone()).await {
            // The process has just exited, and its exit has not been detected yet.
            Err(error) if error.is_connection_lost() => {}
            mounted => return Ok((first, mounted?)),
        }
        let next = self.get_or_launch(entry, directory, Some(&first)).await?;
        let mount = next.plugin.mount(config).await?;
        Ok((next, mount))
    }

    /// Returns a running process that accepts another mount and is not `exited`, or starts one.
    async fn get_or_launch(
        &self,
        entry: &RegisteredPlugin,
        directory: &Path,
        exited: Option<&Arc<SharedProcess>>,
    ) -> Result<Arc<SharedProcess>, SpawnError> {
        let mut running = self.running.lock().await;
        if let Some(process) = running.get(entry).and_then(Weak::upgrade)
            && process.plugin.is_running()
            && process.plugin.is_multiplexed()
            && exited.is_none_or(|exited| !Arc::ptr_eq(exited, &process))
        {
            return Ok(process);
        }
        let plugin = self.launch(entry, directory).await?;
        let process = Arc::new(SharedProcess { entry: entry.clone(), plugin });
        running.insert(entry.clone(), Arc::downgrade(&process));
        Ok(process)
    }

    /// Stops a process for a reload, although mounts may use it. They restart it with their next request.
    pub(crate) async fn terminate(&self, process: &SharedProcess) {
        self.running.lock().await.remove(&process.entry);
        // On an error the process has received SIGKILL, and nothing else can be done.
        if let Ok(ShutdownOutcome::Killed) = process.plugin.shutdown().await {
            (self.log)(LogEvent::ServerError {
                message: "a plugin did not exit after the shutdown request, and was killed".to_owned(),
                detail: format!(
                    "{}: its main function must return after serving has ended",
                    process.entry.name
                ),
            });
        }
    }

    /// Releases a process. The last release stops it.
    pub(crate) async fn release(&self, process: Arc<SharedProcess>) {
        let running = self.running.lock().await;
        if Arc::strong_count(&process) == 1 {
            drop(running);
            self.terminate(&process).await;
        }
    }

    /// The SHA-256 of a file in hex, cached until the file changes.
    pub(crate) fn sha256(&self, file: &Path) -> io::Result<String> {
        let metadata = fs::metadata(file)?;
        let stamp = (
            (metadata.dev(), metadata.ino(), metadata.len()),
            (metadata.mtime(), metadata.mtime_nsec()),
            (metadata.ctime(), metadata.ctime_nsec()),
        );
        let mut hashes = self.hashes.lock();
        if let Some((cached, hash)) = hashes.get(file)
            && *cached == stamp
        {
            return Ok(hash.clone());
        }
        let (mut source, mut hasher, mut chunk) = (File::open(file)?, Sha256::new(), vec![0; CHUNK_SIZE]);
        loop {
            match source.read(&mut chunk)? {
                0 => break,
                read => hasher.update(&chunk[..read]),
            }
        }
        let hash = HEXLOWER.encode(&hasher.finalize());
        hashes.insert(file.to_owned(), (stamp, hash.clone()));
        Ok(hash)
    }

    /// The launch options of an entry.
    pub(crate) fn launch_options(&self, entry: &RegisteredPlugin, program: PathBuf) -> PluginCommand {
        PluginCommand {
            args: entry.args.iter().map(OsString::from).collect(),
            env: entry.environment(),
            isolation: self.isolation.clone(),
            ..PluginCommand::new(program)
        }
    }

    async fn launch(&self, entry: &RegisteredPlugin, directory: &Path) -> Result<Plugin, SpawnError> {
        let program = directory.join(&entry.command);
        let actual = self.sha256(&program).map_err(|cause| SpawnError::Checksum { cause })?;
        if actual != entry.sha256 {
            return Err(SpawnError::ChecksumMismatch);
        }
        let mut launch = self.launch_options(entry, program);
        crate::VERSION.clone_into(&mut launch.host_version);
        let (log, plugin) = (self.log.clone(), entry.name.clone());
        launch.log = Arc::new(move |line| log(LogEvent::Plugin { plugin: plugin.clone(), line }));
        let plugin = host::launch(launch).await?;
        (self.log)(LogEvent::PluginStarted {
            plugin: entry.name.clone(),
            version: entry.version.clone(),
            pid: plugin.pid(),
        });
        Ok(plugin)
    }
}

/// Errors of starting a plugin. The messages up to `NoPluginDirectory` are those of Vault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    #[error("checksums did not match")]
    ChecksumMismatch,
    #[error("error verifying checksum: {cause}")]
    Checksum { cause: io::Error },
    #[error("plugin not found in the catalog: {0}")]
    NotInCatalog(String),
    #[error("could not set plugin, plugin directory is not configured")]
    NoPluginDirectory,
    #[error("plugin {name:?} is registered as type {kind}, but is of another type")]
    WrongType { name: String, kind: String },
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Mount(#[from] MountError),
    #[error(transparent)]
    Initialize(CallError),
    #[error(transparent)]
    Catalog(#[from] crate::StoreError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::ErrorReply;

    #[test]
    fn the_cause_of_a_failed_start_is_shown_once() {
        let error = SpawnError::Initialize(CallError::ConnectionLost);
        let text = ErrorReply::internal(&error).text.unwrap();
        assert_eq!(text, "1 error occurred:\n\t* plugin is shut down\n\n");
    }
}
