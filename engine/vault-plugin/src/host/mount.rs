//! One mount of an engine that runs in another process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use go_plugin::host::BrokerError;

use super::{CallError, Plugin};
use crate::logical::{BackendType, Request, Response, SpecialPaths, Storage, SystemView};
use crate::wire::{self, RemoteBackend};

/// How long an engine may take to clean up after nothing was done with it. As long as a process may take to end.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(2);

/// What a mount is given when it is set up.
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
    /// The mount's options, with what Vault adds: `plugin_name`, `plugin_type`, `plugin_version`.
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
    /// A mount without options, with a new id.
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, system: Arc<dyn SystemView>) -> MountConfig {
        let backend_uuid = uuid::Uuid::new_v4().to_string();
        MountConfig { storage, system, options: BTreeMap::new(), backend_uuid }
    }
}

impl Plugin {
    /// Sets the engine up on storage and settings, and asks what it is. It wants [`RemoteMount::initialize`] next.
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
    /// The engine refuses, is of no kind that Vault knows, or the process has its one mount already.
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

/// One instance of an engine. Dropped without [`RemoteMount::cleanup`], it only loses its storage.
///
/// ```no_run
/// use vault_plugin::host::{MountConfig, Plugin};
/// use vault_plugin::logical::{BackendType, Map, Operation, Request};
///
/// # async fn run(plugin: Plugin, config: MountConfig) -> Result<(), Box<dyn std::error::Error>> {
/// let mount = plugin.mount(config).await?;
/// assert_eq!((mount.kind(), mount.version()), (BackendType::Secrets, "v1.2.3"));
/// mount.initialize().await?;
/// let answer = mount.handle_request(Request::new(Operation::Read, "config", Map::new())).await?;
/// assert!(answer.is_some());
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
    /// Secrets engine or auth method.
    #[must_use]
    pub fn kind(&self) -> BackendType {
        self.kind
    }

    /// The version that the plugin reports, with a leading `v`; empty where it reports none.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Paths that want special treatment.
    #[must_use]
    pub fn special_paths(&self) -> &SpecialPaths {
        &self.special_paths
    }

    /// The process that the engine runs in.
    #[must_use]
    pub fn plugin(&self) -> &Plugin {
        &self.slot.plugin
    }

    /// Lets the engine do what it does once, when its storage can be written.
    ///
    /// # Errors
    /// Fails as the engine does, or as the call. That an engine does not know the call is no failure.
    pub async fn initialize(&self) -> Result<(), CallError> {
        self.engine.initialize().await
    }

    /// Handles a request. `None` is no content.
    ///
    /// # Errors
    /// Fails as the engine does, or as the call.
    pub async fn handle_request(&self, request: Request) -> Result<Option<Response>, CallError> {
        self.engine.handle_request(request).await
    }

    /// Whether something exists at the path, or `None` where the path has no existence check: a write is an update then.
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
    /// Fails as the engine does, or as the call.
    pub async fn handle_existence_check(&self, request: Request) -> Result<Option<bool>, CallError> {
        self.engine.handle_existence_check(request).await
    }

    /// Tells that something under the storage key was changed by somebody else.
    ///
    /// # Errors
    /// Fails as the call.
    pub async fn invalidate_key(&self, key: &str) -> Result<(), CallError> {
        self.engine.invalidate_key(key).await
    }

    /// Removes the mount from the process. As in Vault there is no limit to how long an engine may take for it.
    ///
    /// # Errors
    /// Fails as the call; the storage is taken away nevertheless.
    pub async fn cleanup(self) -> Result<(), CallError> {
        self.engine.cleanup().await
    }

    /// As [`RemoteMount::cleanup`], before its process is ended: as long as a mount is left in it, a process has to expect requests, and
    /// ends later. What the engine makes of it does not matter any more.
    pub(super) async fn cleanup_with_timeout(self) {
        let _ = tokio::time::timeout(CLEANUP_TIMEOUT, self.cleanup()).await;
    }
}

/// The place of a mount in a process. It is released on drop.
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

/// An engine could not be mounted.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The plugin takes one mount for each process, and has it.
    #[error("the plugin does not share its process among mounts: launch it once more for another mount")]
    AlreadyMounted,
    /// The engine refused, in its own words.
    #[error("the plugin refuses its set-up: {0}")]
    Setup(String),
    /// Its go-plugin looks for a name in our certificate that no host has there, and trusts none of our kind.
    #[error(
        "the plugin cannot reach its storage with mutual TLS, because it was built with go-plugin before 1.4.4: rebuild \
         it with vault/sdk 0.7 or later"
    )]
    OldGoPlugin,
    /// Neither a secrets engine nor an auth method.
    #[error("the plugin is of type {0}, and neither a secrets engine (1) nor an auth method (2)")]
    Kind(u32),
    /// The storage could not be offered.
    #[error(transparent)]
    Broker(#[from] BrokerError),
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
}

impl MountError {
    /// Whether the process has ended or its connection is lost, so that another one might take the mount.
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
            MountError::Broker(BrokerError::PluginGone) | MountError::Call(CallError::ConnectionLost)
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
    fn what_an_old_go_plugin_says_of_our_certificate_is_put_into_words() {
        let message = "connection error: desc = \"transport: authentication handshake failed: tls: failed to verify \
                       certificate: x509: certificate is valid for localhost, not unused\"";
        let said = CallError::Rpc { code: "Unavailable".to_owned(), message: message.to_owned() };
        assert!(matches!(MountError::from_setup(said), MountError::OldGoPlugin));
        assert!(matches!(
            MountError::from_setup(CallError::ConnectionLost),
            MountError::Call(CallError::ConnectionLost)
        ));
    }
}
