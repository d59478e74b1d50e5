//! Reads the type and version of a plugin, like Vault when it registers one: set up without storage and settings.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use go_plugin::host::{PluginExit, ShutdownError};

use super::launch::QueryError;
use super::{LaunchError, MountConfig, MountError, Plugin, PluginCommand, launch};
use crate::logical::{
    Access, BackendType, PluginEnvironment, ReplicationState, Sensitive, Storage, StorageEntry, StorageError,
    SystemView, SystemViewError, Transaction,
};

/// The type, version and properties of a plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// The reported version with a leading `v`, or an empty string.
    pub version: String,
    /// The type: secrets engine or auth method.
    pub kind: BackendType,
    /// Whether several mounts can share one process.
    pub multiplexed: bool,
    /// The negotiated protocol version.
    pub protocol_version: u32,
    /// The time from the start of the process to its handshake line.
    pub handshake_time: Duration,
}

/// Starts any plugin like Vault when it registers one, reads its type and version, and stops it.
///
/// ```no_run
/// use vault_plugin::{host::PluginCommand, logical::BackendType, probe};
///
/// # async fn run() -> Result<(), vault_plugin::ProbeError> {
/// let report = probe(PluginCommand::new("./custom-plugin")).await?;
/// assert_eq!((report.kind, report.version.as_str()), (BackendType::Secrets, "v1.2.3"));
/// assert!(report.multiplexed);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Fails if the program does not start, or is not a backend plugin.
pub async fn probe(plugin: PluginCommand) -> Result<ProbeReport, ProbeError> {
    let plugin = launch(plugin).await?;
    let report = query(&plugin).await.map_err(ProbeError::from);
    plugin.finish(report).await.map(|(report, _)| report)
}

async fn query(plugin: &Plugin) -> Result<ProbeReport, MountError> {
    let mount = plugin.mount(MountConfig::new(Arc::new(NoHostServices), Arc::new(NoHostServices))).await?;
    let report = ProbeReport {
        version: mount.version().to_owned(),
        kind: mount.kind(),
        multiplexed: plugin.is_multiplexed(),
        protocol_version: plugin.protocol_version(),
        handshake_time: plugin.handshake_time(),
    };
    mount.cleanup_with_timeout().await;
    Ok(report)
}

/// An error from [`probe()`].
///
/// ```
/// use vault_plugin::host::{PluginCommand, LaunchError};
/// use vault_plugin::{ProbeError, probe};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let error = probe(PluginCommand::new("/no/such/plugin")).await.unwrap_err();
/// assert!(matches!(error, ProbeError::Launch(LaunchError::Start(_))));
/// assert_eq!(error.to_string(), "cannot start the plugin");
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The plugin did not start.
    #[error("cannot start the plugin")]
    Launch(#[from] LaunchError),
    /// The setup of the engine failed.
    #[error("cannot read the type and version of the plugin")]
    Mount(#[from] MountError),
    /// The plugin exited during the probe.
    #[error("the plugin exited while its type and version were read: {0}")]
    Exited(PluginExit),
    /// The plugin could not be stopped.
    #[error("cannot stop the plugin")]
    Shutdown(#[from] ShutdownError),
}

impl QueryError for ProbeError {
    fn is_connection_lost(&self) -> bool {
        matches!(self, ProbeError::Mount(error) if error.is_connection_lost())
    }

    fn from_exit(exit: PluginExit) -> Self {
        ProbeError::Exited(exit)
    }
}

/// The missing storage and settings of a host that registers a plugin.
struct NoHostServices;

fn no_storage<T>() -> Result<T, StorageError> {
    let text = "missing storage implementation: not available while a plugin is registered";
    Err(StorageError::Unreachable(text.to_owned()))
}

fn no_settings<T>() -> Result<T, SystemViewError> {
    let text = "missing system view implementation: not available while a plugin is registered";
    Err(SystemViewError::Unreachable(text.to_owned()))
}

#[async_trait]
impl Storage for NoHostServices {
    async fn get(&self, _key: &str) -> Result<Option<StorageEntry>, StorageError> {
        no_storage()
    }

    async fn put(&self, _entry: StorageEntry) -> Result<(), StorageError> {
        no_storage()
    }

    async fn delete(&self, _key: &str) -> Result<(), StorageError> {
        no_storage()
    }

    async fn list(&self, _prefix: &str) -> Result<Vec<String>, StorageError> {
        no_storage()
    }

    async fn begin(&self, _access: Access) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        no_storage()
    }
}

#[async_trait]
impl SystemView for NoHostServices {
    async fn default_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        no_settings()
    }

    async fn max_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        no_settings()
    }

    async fn tainted(&self) -> Result<bool, SystemViewError> {
        no_settings()
    }

    async fn caching_disabled(&self) -> Result<bool, SystemViewError> {
        no_settings()
    }

    async fn replication_state(&self) -> Result<ReplicationState, SystemViewError> {
        no_settings()
    }

    async fn local_mount(&self) -> Result<bool, SystemViewError> {
        no_settings()
    }

    async fn plugin_env(&self) -> Result<PluginEnvironment, SystemViewError> {
        no_settings()
    }

    async fn generate_password(&self, _policy: &str) -> Result<Sensitive, SystemViewError> {
        no_settings()
    }
}
