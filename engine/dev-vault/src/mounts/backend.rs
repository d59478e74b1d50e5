//! The backend of a mount: a handler of the server, or a plugin whose process is restarted after it has exited.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{RwLock, RwLockReadGuard};
use vault_plugin::host::{self, CallError, MountConfig};
use vault_plugin::logical::{BackendType, Error, Request, Response, SpecialPaths};

use super::settings::{MountSettings, SharedSettings};
use super::view::{HostServices, MountStorage, MountSystemView};
use crate::catalog::process::{ProcessPool, SharedProcess, SpawnError};
use crate::catalog::{AUTH_TYPE, Catalog, RegisteredPlugin};
use crate::identity::ServerIdentity;
use crate::identity_store::IdentityStore;
use crate::password_policies::PasswordPolicies;
use crate::reply::ErrorReply;
use crate::store::Store;
use vault_plugin::framework::ttl::TtlLimits;

/// Number of hex digits of the token hash that plugins receive, as in Vault.
const TOKEN_HASH_LENGTH: usize = 40;

/// Shared dependencies of the plugin backends.
pub(crate) struct PluginRuntime {
    pub(crate) store: Arc<Store>,
    pub(crate) identity: Arc<ServerIdentity>,
    pub(crate) identity_store: Arc<IdentityStore>,
    pub(crate) password_policies: Arc<PasswordPolicies>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) processes: Arc<ProcessPool>,
    /// The TTLs of mounts without their own.
    pub(crate) system_limits: TtlLimits,
}

/// The handler of the requests of a mount.
pub(crate) enum MountBackend {
    System,
    Token,
    Cubbyhole,
    Identity,
    Plugin(Box<PluginBackend>),
}

/// The plugin of a mount.
///
/// A request holds a read lock, a reload the write lock. So a reload waits for requests in flight, new requests wait for the reload,
/// and none fails.
pub(crate) struct PluginBackend {
    runtime: Arc<PluginRuntime>,
    settings: SharedSettings,
    slot: RwLock<CurrentInstance>,
    storage: Arc<MountStorage>,
}

#[derive(Default)]
struct CurrentInstance {
    instance: Option<PluginInstance>,
    /// Number of the instance, so that only one of several concurrent requests replaces an instance that has exited.
    generation: u64,
}

/// An instance of the mount in a plugin process.
struct PluginInstance {
    mount: host::RemoteMount,
    process: Arc<SharedProcess>,
    entry: RegisteredPlugin,
}

/// The error message with which a Go plugin reports that its process is shutting down (`net/rpc`). The request is retried on a new
/// process.
const RPC_SHUTDOWN_ERROR: &str = "connection is shut down";

/// A pending call to an engine.
type PluginCall<'a, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'a>>;

impl PluginBackend {
    /// Creates a backend whose plugin is not running yet.
    pub(super) fn new(runtime: Arc<PluginRuntime>, settings: SharedSettings) -> PluginBackend {
        let storage = Arc::new(MountStorage::new(runtime.store.clone(), &settings.get().uuid));
        PluginBackend { runtime, settings, slot: RwLock::default(), storage }
    }

    /// Starts the plugin `entry` in place of the running one.
    ///
    /// On an error the mount keeps its previous version. The process of that version has been stopped, and the next request restarts it,
    /// as in Vault.
    pub(super) async fn load(&self, entry: &RegisteredPlugin) -> Result<(), SpawnError> {
        let mut slot = self.slot.write().await;
        if let Some(instance) = &slot.instance {
            self.runtime.processes.terminate(&instance.process).await;
        }
        let instance = self.start(entry).await?;
        slot.replace(instance);
        Ok(())
    }

    /// Handles a request. If the process has exited, restarts it and retries once, as Vault does.
    pub(super) async fn handle_request(&self, request: Request) -> Result<Option<Response>, ErrorReply> {
        let request = self.add_routing_fields(request);
        self.with_restart(|engine| Box::pin(engine.handle_request(request.clone()))).await
    }

    /// Whether something exists at the path of the request; `None` if the engine has no existence check.
    pub(crate) async fn existence_check(&self, request: Request) -> Result<Option<bool>, ErrorReply> {
        let request = self.add_routing_fields(request);
        self.with_restart(|engine| Box::pin(engine.handle_existence_check(request.clone()))).await
    }

    /// Sets the fields that Vault's router sets on every request (`vault/router.go`).
    fn add_routing_fields(&self, mut request: Request) -> Request {
        let settings = self.settings.get();
        request.client_token = self.runtime.identity.keyed_hash(&settings.uuid, &request.client_token);
        request.client_token.truncate(TOKEN_HASH_LENGTH);
        request.mount_point = settings.path;
        request.mount_type = settings.kind;
        request
    }

    /// The special paths of the engine; empty if it is not running.
    pub(crate) async fn special_paths(&self) -> SpecialPaths {
        let slot = self.slot.read().await;
        slot.instance.as_ref().map(|instance| instance.mount.special_paths().clone()).unwrap_or_default()
    }

    pub(super) async fn stop(&self) {
        let mut slot = self.slot.write().await;
        let Some(PluginInstance { mount, process, .. }) = slot.instance.take() else { return };
        // A plugin that has exited needs no cleanup.
        let _ = mount.cleanup().await;
        self.runtime.processes.release(process).await;
    }

    async fn with_restart<T>(
        &self,
        call: impl Fn(&host::RemoteMount) -> PluginCall<'_, T> + Sync,
    ) -> Result<T, ErrorReply> {
        let generation = {
            let slot = self.slot.read().await;
            match call(&running_instance(&slot, &self.settings)?.mount).await {
                Err(CallError::ConnectionLost) => slot.generation,
                Err(CallError::Backend(error)) if error.error.to_string() == RPC_SHUTDOWN_ERROR => {
                    slot.generation
                }
                other => return other.map_err(error_reply),
            }
        };
        self.restart(generation).await.map_err(|error| ErrorReply::internal(&error))?;
        let slot = self.slot.read().await;
        call(&running_instance(&slot, &self.settings)?.mount).await.map_err(error_reply)
    }

    async fn restart(&self, generation: u64) -> Result<(), SpawnError> {
        let mut slot = self.slot.write().await;
        let Some(exited) = slot.instance.as_ref().filter(|_| slot.generation == generation) else {
            return Ok(());
        };
        let entry = self
            .runtime
            .catalog
            .get(&exited.entry.kind, &exited.entry.name, &exited.entry.version)?
            .ok_or_else(|| SpawnError::NotInCatalog(exited.entry.name.clone()))?;
        let instance = self.start(&entry).await?;
        slot.replace(instance);
        Ok(())
    }

    async fn start(&self, entry: &RegisteredPlugin) -> Result<PluginInstance, SpawnError> {
        let (process, mount) = self.mount_in_process(&self.settings.get(), entry).await?;
        let expected = if entry.kind == AUTH_TYPE { BackendType::Credential } else { BackendType::Secrets };
        if mount.backend_type() != expected {
            return Err(SpawnError::WrongType { name: entry.name.clone(), kind: entry.kind.clone() });
        }
        self.storage.allow_writes();
        mount.initialize().await.map_err(SpawnError::Initialize)?;
        Ok(PluginInstance { mount, process, entry: entry.clone() })
    }

    async fn mount_in_process(
        &self,
        settings: &MountSettings,
        entry: &RegisteredPlugin,
    ) -> Result<(Arc<SharedProcess>, host::RemoteMount), SpawnError> {
        let runtime = &self.runtime;
        let mut options = settings.options.clone().unwrap_or_default();
        options.extend(
            [
                ("plugin_name", entry.name.as_str()),
                ("plugin_type", &entry.kind),
                ("plugin_version", &entry.version),
            ]
            .map(|(key, value)| (key.to_owned(), value.to_owned())),
        );
        let config = MountConfig {
            storage: self.storage.clone(),
            system: Arc::new(MountSystemView::new(
                HostServices {
                    store: runtime.store.clone(),
                    identity_store: runtime.identity_store.clone(),
                    password_policies: runtime.password_policies.clone(),
                    system_limits: runtime.system_limits,
                    cluster_id: runtime.identity.cluster_id.clone(),
                },
                settings,
            )),
            options,
            backend_uuid: settings.uuid.clone(),
        };
        runtime.processes.mount(entry, config).await
    }

    /// The version that the engine reports, or the version of its catalog entry if it reports none.
    pub(super) async fn running_version(&self) -> String {
        let slot = self.slot.read().await;
        let Some(instance) = &slot.instance else { return String::new() };
        let reported = instance.mount.version();
        if reported.is_empty() { instance.entry.version.clone() } else { reported.to_owned() }
    }
}

impl CurrentInstance {
    fn replace(&mut self, instance: PluginInstance) {
        self.instance = Some(instance);
        self.generation += 1;
    }
}

fn running_instance<'a>(
    slot: &'a RwLockReadGuard<'_, CurrentInstance>,
    settings: &SharedSettings,
) -> Result<&'a PluginInstance, ErrorReply> {
    slot.instance.as_ref().ok_or_else(|| {
        let path = settings.get().path;
        ErrorReply::new(
            404,
            format!("no handler for route \"{path}\". route entry found, but backend is nil."),
        )
    })
}

/// Returns the error of an engine with the status that Vault sets (`RespondErrorCommon` of `sdk/logical`). Vault compares error messages
/// with its own.
fn error_reply(error: CallError) -> ErrorReply {
    let text = error.to_string();
    let CallError::Backend(backend_error) = error else { return ErrorReply::multierror(500, &[&text]) };
    let status = match &backend_error.error {
        Error::Coded { status, .. } => *status,
        Error::BadRequest(_) | Error::Invalid(_) | Error::InvalidRequest => 400,
        Error::PermissionDenied => 403,
        Error::UnsupportedPath => 404,
        Error::UnsupportedOperation => 405,
        _ => match text.as_str() {
            "invalid request" | "invalid credentials" => 400,
            "permission denied" => 403,
            "unsupported path" | "functionality on this path has been removed" => 404,
            "unsupported operation" => 405,
            "rate limit quota exceeded" | "lease count quota exceeded" => 429,
            "rate limited by upstream" => 502,
            "overloaded, try again later" => 503,
            _ if backend_error.response.is_some() => 400,
            _ => 500,
        },
    };
    match backend_error.response.as_ref().and_then(Response::error_text) {
        Some(message) => ErrorReply::new(status, message),
        None => ErrorReply::multierror(status, &[&text]),
    }
}
