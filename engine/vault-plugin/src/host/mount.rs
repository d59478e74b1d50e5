//! A mount of an engine in another process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use go_plugin::host::BrokerError;

use super::{CallError, Plugin};
use crate::logical::{BackendType, Request, Response, SpecialPaths, Storage, SystemView};
use crate::wire::{self, RemoteBackend};

/// The time limit for the cleanup of an unused mount. Equals the time limit of a shutdown.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(2);

/// The configuration of a mount.
///
/// ```
/// use std::sync::Arc;
/// use vault_plugin::host::MountConfig;
/// use vault_plugin::testing::{MemoryStorage, StaticSystemView};
///
/// let (storage, system) = (Arc::new(MemoryStorage::default()), Arc::new(StaticSystemView::default()));
/// let mut config = MountConfig::new(storage, system);
/// config.options.insert("plugin_name".to_owned(), "greeter".to_owned());
/// assert!(!config.backend_uuid.is_empty());
/// ```
#[derive(Clone)]
pub struct MountConfig {
    /// The mount's storage.
    pub storage: Arc<dyn Storage>,
    /// The host's settings.
    pub system: Arc<dyn SystemView>,
    /// The options of the mount, with those that Vault adds: `plugin_name`, `plugin_type`, `plugin_version`.
    pub options: BTreeMap<String, String>,
    /// The mount's unique id.
    pub backend_uuid: String,
}

impl fmt::Debug for MountConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MountConfig")
            .field("options", &self.options)
            .field("backend_uuid", &self.backend_uuid)
            .finish_non_exhaustive()
    }
}

impl MountConfig {
    /// Returns a configuration without options, with a new id.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, system: Arc<dyn SystemView>) -> MountConfig {
        let backend_uuid = uuid::Uuid::new_v4().to_string();
        MountConfig { storage, system, options: BTreeMap::new(), backend_uuid }
    }
}

impl Plugin {
    /// Sets up the engine, and reads its type and version. Call [`RemoteMount::initialize`] next.
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use vault_plugin::host::{MountConfig, MountError, Plugin};
    /// # use vault_plugin::testing::{MemoryStorage, StaticSystemView};
    /// # async fn run(plugin: Plugin) -> Result<(), MountError> {
    /// let config =
    ///     || MountConfig::new(Arc::new(MemoryStorage::default()), Arc::new(StaticSystemView::default()));
    /// let first = plugin.mount(config()).await?;
    /// if let Err(MountError::AlreadyMounted) = plugin.mount(config()).await {
    ///     assert!(!plugin.is_multiplexed());
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The setup of the engine fails, its type is unknown, or the process supports one mount, which exists already.
    pub async fn mount(&self, config: MountConfig) -> Result<RemoteMount, MountError> {
        if !self.reserve_mount() {
            return Err(MountError::AlreadyMounted);
        }
        let mut slot = MountSlot { plugin: self.clone(), service_id: None };
        let services = wire::host_services(config.storage, config.system);
        let service_id = self.process().serve_brokered(services).await?;
        slot.service_id = Some(service_id);

        let engine = RemoteBackend::new(self.process().channel());
        let setup = engine.setup(service_id, config.options, config.backend_uuid).await;
        setup.map_err(MountError::from_setup)?.map_err(MountError::Setup)?;
        let kind = engine.kind().await?.map_err(MountError::Kind)?;
        let version = engine.version().await?;
        let special_paths = engine.special_paths().await?;
        Ok(RemoteMount { engine, kind, version, special_paths, slot })
    }
}

/// An instance of an engine. Without [`RemoteMount::cleanup`], dropping it only disconnects its storage.
///
/// ```no_run
/// use vault_plugin::host::{MountConfig, Plugin};
/// use vault_plugin::logical::{BackendType, Map, Operation, Request};
///
/// # async fn run(plugin: Plugin, config: MountConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let mount = plugin.mount(config).await?;
/// assert_eq!((mount.kind(), mount.version()), (BackendType::Secrets, "v1.2.3"));
/// mount.initialize().await?;
/// let response = mount.handle_request(Request::new(Operation::Read, "config", Map::new())).await?;
/// assert!(response.is_some());
/// mount.cleanup().await?;
/// # Ok(()) }
/// ```
pub struct RemoteMount {
    engine: RemoteBackend,
    kind: BackendType,
    version: String,
    special_paths: SpecialPaths,
    slot: MountSlot,
}

impl fmt::Debug for RemoteMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteMount")
            .field("kind", &self.kind)
            .field("version", &self.version)
            .field("special_paths", &self.special_paths)
            .finish_non_exhaustive()
    }
}

impl RemoteMount {
    /// Returns whether this is a secrets engine or an auth method.
    #[must_use]
    pub fn kind(&self) -> BackendType {
        self.kind
    }

    /// Returns the reported version with a leading `v`, or an empty string.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the paths that the host treats specially.
    #[must_use]
    pub fn special_paths(&self) -> &SpecialPaths {
        &self.special_paths
    }

    /// Returns the process of the engine.
    #[must_use]
    pub fn plugin(&self) -> &Plugin {
        &self.slot.plugin
    }

    /// Initializes the engine, when its storage is writable.
    ///
    /// # Errors
    /// Fails if the engine or the call fails. An engine that does not implement the call does not fail.
    pub async fn initialize(&self) -> Result<(), CallError> {
        self.engine.initialize().await
    }

    /// Sends a request. `None` means no content.
    ///
    /// # Errors
    /// Fails if the engine or the call fails.
    pub async fn handle_request(&self, request: Request) -> Result<Option<Response>, CallError> {
        self.engine.handle_request(request).await
    }

    /// Returns whether an object exists at the path, or `None` if the path has no existence check. Then a write is an update.
    ///
    /// ```no_run
    /// # use vault_plugin::host::{CallError, RemoteMount};
    /// # use vault_plugin::logical::{Map, Operation, Request};
    /// # async fn write(mount: &RemoteMount, data: Map) -> Result<(), CallError> {
    /// let mut write = Request::new(Operation::Create, "config", data);
    /// if mount.handle_existence_check(write.clone()).await? != Some(false) {
    ///     write.operation = Operation::Update;
    /// }
    /// mount.handle_request(write).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the engine or the call fails.
    pub async fn handle_existence_check(&self, request: Request) -> Result<Option<bool>, CallError> {
        self.engine.handle_existence_check(request).await
    }

    /// Notifies the engine that another node has changed a storage key.
    ///
    /// # Errors
    /// Fails if the call fails.
    pub async fn invalidate_key(&self, key: &str) -> Result<(), CallError> {
        self.engine.invalidate_key(key).await
    }

    /// Removes the mount from the process. As in Vault, the cleanup of the engine has no time limit.
    ///
    /// # Errors
    /// Fails if the call fails. The storage is disconnected in any case.
    pub async fn cleanup(self) -> Result<(), CallError> {
        self.engine.cleanup().await
    }

    /// Like [`RemoteMount::cleanup`], with a time limit, before the process is stopped: a process with mounts waits for requests and exits
    /// later. The result is ignored.
    pub(super) async fn cleanup_with_timeout(self) {
        let _ = tokio::time::timeout(CLEANUP_TIMEOUT, self.cleanup()).await;
    }
}

/// The reservation of a mount in a process. Released on drop.
struct MountSlot {
    plugin: Plugin,
    service_id: Option<u32>,
}

impl Drop for MountSlot {
    fn drop(&mut self) {
        if let Some(service_id) = self.service_id {
            self.plugin.process().stop_service(service_id);
        }
        self.plugin.release_mount();
    }
}

/// An error from [`Plugin::mount`].
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The process supports one mount, which exists already.
    #[error("the plugin process supports only one mount: launch another process for another mount")]
    AlreadyMounted,
    /// The engine returned this error.
    #[error("setup of the plugin failed: {0}")]
    Setup(String),
    /// The plugin's version of go-plugin verifies a name that no host certificate contains.
    #[error(
        "the plugin cannot reach its storage with mutual TLS, because it was built with go-plugin before 1.4.4: rebuild \
         it with vault/sdk 0.7 or later"
    )]
    OldGoPlugin,
    /// The engine is neither a secrets engine nor an auth method.
    #[error("unknown plugin type {0}: expected a secrets engine (1) or an auth method (2)")]
    Kind(u32),
    /// The services of the host could not be served.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl MountError {
    /// Whether the process has exited or its connection is lost, so that another process could serve the mount.
    ///
    /// ```
    /// # use vault_plugin::host::{CallError, MountError};
    /// assert!(MountError::from(CallError::ConnectionLost).is_connection_lost());
    /// assert!(!MountError::AlreadyMounted.is_connection_lost());
    /// ```
    #[must_use]
    pub fn is_connection_lost(&self) -> bool {
        matches!(
            self,
            MountError::Broker(BrokerError::PluginDisconnected) | MountError::Call(CallError::ConnectionLost)
        )
    }

    fn from_setup(error: CallError) -> MountError {
        match error {
            CallError::Rpc { message, .. } if message.contains("valid for localhost, not unused") => {
                MountError::OldGoPlugin
            }
            other => MountError::Call(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_error_of_an_old_go_plugin_is_explained() {
        let message = "connection error: desc = \"transport: authentication handshake failed: tls: failed to verify \
                       certificate: x509: certificate is valid for localhost, not unused\"";
        let error = CallError::Rpc { code: "Unavailable".to_owned(), message: message.to_owned() };
        assert!(matches!(MountError::from_setup(error), MountError::OldGoPlugin));
        assert!(matches!(
            MountError::from_setup(CallError::ConnectionLost),
            MountError::Call(CallError::ConnectionLost)
        ));
    }
}
