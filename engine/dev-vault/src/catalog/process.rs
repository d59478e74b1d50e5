//! Plugin processes: one for all mounts of the same plugin, version and binary, as Vault runs them.

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

/// The running processes, by what they were started from.
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

/// Bytes of a plugin binary that are read at once.
const CHUNK_SIZE: usize = 256 * 1024;

/// Identifies the content of a file: device, inode, size, mtime and ctime. The mtime can be set back, the ctime
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

    /// Sets up a mount in the process of its plugin; starts the process if none is running.
    pub(crate) async fn mount(
        &self,
        entry: &RegisteredPlugin,
        config: MountConfig,
    ) -> Result<(Arc<SharedProcess>, host::RemoteMount), SpawnError> {
        let directory = self.directory()?;
        let first = self.get_or_launch(entry, directory, None).await?;
        match first.plugin.mount(config.clone()).await {
            // The process has just exited, and the exit has not been noticed yet.
            Err(error) if error.is_connection_lost() => {}
            mounted => return Ok((first, mounted?)),
        }
        let next = self.get_or_launch(entry, directory, Some(&first)).await?;
        let mount = next.plugin.mount(config).await?;
        Ok((next, mount))
    }

    /// A running process that accepts another mount and is not `dead`, or else a new one.
    async fn get_or_launch(
        &self,
        entry: &RegisteredPlugin,
        directory: &Path,
        dead: Option<&Arc<SharedProcess>>,
    ) -> Result<Arc<SharedProcess>, SpawnError> {
        let mut running = self.running.lock().await;
        if let Some(process) = running.get(entry).and_then(Weak::upgrade)
            && process.plugin.is_running()
            && process.plugin.is_multiplexed()
            && dead.is_none_or(|dead| !Arc::ptr_eq(dead, &process))
        {
            return Ok(process);
        }
        let plugin = self.launch(entry, directory).await?;
        let process = Arc::new(SharedProcess { entry: entry.clone(), plugin });
        running.insert(entry.clone(), Arc::downgrade(&process));
        Ok(process)
    }

    /// Stops a process that mounts may still use, for a reload. They restart it with their next request.
    pub(crate) async fn terminate(&self, process: &SharedProcess) {
        self.running.lock().await.remove(&process.entry);
        // On an error the process has been sent SIGKILL, and nothing else can be done.
        if let Ok(ShutdownOutcome::Killed) = process.plugin.shutdown().await {
            (self.log)(LogEvent::ServerError {
                message: "a plugin did not end when it was told to, and was killed".to_owned(),
                detail: format!(
                    "{}: its main function has to return when serving has ended",
                    process.entry.name
                ),
            });
        }
    }

    /// Releases a process; the last release stops it.
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
        if let Some((known, hash)) = hashes.get(file)
            && *known == stamp
        {
            return Ok(hash.clone());
        }
        let (mut from, mut hasher, mut chunk) = (File::open(file)?, Sha256::new(), vec![0; CHUNK_SIZE]);
        loop {
            match from.read(&mut chunk)? {
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
        let found = self.sha256(&program).map_err(|source| SpawnError::Checksum { source })?;
        if found != entry.sha256 {
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

/// Errors of starting a plugin. The first texts are those of Vault.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpawnError {
    #[error("checksums did not match")]
    ChecksumMismatch,
    #[error("error verifying checksum: {source}")]
    Checksum { source: io::Error },
    #[error("plugin not found in the catalog: {0}")]
    NotInCatalog(String),
    #[error("could not set plugin, plugin directory is not configured")]
    NoPluginDirectory,
    #[error("plugin {name:?} is an auth method, and cannot be mounted as a secrets engine")]
    NotASecretsEngine { name: String },
    #[error("{0}")]
    Launch(#[from] LaunchError),
    #[error("{0}")]
    Mount(#[from] MountError),
    #[error("{0}")]
    Initialize(#[source] CallError),
    #[error("{0}")]
    Catalog(#[from] crate::StoreError),
}
