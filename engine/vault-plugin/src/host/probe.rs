//! What a plugin is, asked as Vault asks when it registers one: set up without storage or settings.

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

/// What a plugin says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// The version it reports, with a leading `v`; empty where it reports none.
    pub version: String,
    /// Secrets engine or auth method.
    pub kind: BackendType,
    /// Whether many mounts may share one process.
    pub multiplexed: bool,
    /// The protocol version agreed on.
    pub protocol_version: u32,
    /// From the start of the process to its handshake line.
    pub handshake_time: Duration,
}

/// Starts any plugin as Vault would when it registers one, asks what it is, and ends it.
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
/// Fails when it does not start, or answers like no backend plugin.
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

/// Why a plugin could not be asked.
///
/// ```
/// use vault_plugin::host::{PluginCommand, LaunchError};
/// use vault_plugin::{ProbeError, probe};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let failed = probe(PluginCommand::new("/no/such/plugin")).await.unwrap_err();
/// assert!(matches!(failed, ProbeError::Launch(LaunchError::Start(_))));
/// assert_eq!(failed.to_string(), "the plugin does not start");
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It did not start.
    #[error("the plugin does not start")]
    Launch(#[from] LaunchError),
    /// It could not be set up, or answered with an error, or not at all.
    #[error("the plugin cannot be asked what it is")]
    Mount(#[from] MountError),
    /// It ended by itself.
    #[error("the plugin ended while it was asked what it is: {0}")]
    Exited(PluginExit),
    /// It did not end.
    #[error("the plugin cannot be ended")]
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

/// The storage and settings of a host that registers a plugin: there are none.
struct NoHostServices;

fn no_storage<T>() -> Result<T, StorageError> {
    let text = "missing storage implementation: there is none while a plugin is registered";
    Err(StorageError::Unreachable(text.to_owned()))
}

fn no_settings<T>() -> Result<T, SystemViewError> {
    let text = "missing system view implementation: there is none while a plugin is registered";
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
