//! What answers below a mount: the server itself, or a plugin that is started anew when it has died.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::{RwLock, RwLockReadGuard};
use vault_plugin::host::{self, CallError, MountConfig};
use vault_plugin::logical::{BackendType, Error, Request, Response, SpecialPaths};

use super::process::{Process, SpawnError};
use super::view::{MountStorage, MountSystem};
use super::{Mount, Settings};
use crate::catalog::Entry;
use crate::core::Core;
use crate::reply::Failure;

/// Who answers.
pub(crate) enum Engine {
    System,
    Token,
    Cubbyhole,
    Plugin(Box<PluginEngine>),
}

/// A plugin behind a mount.
///
/// Requests hold the lock for reading and a reload for writing: it waits for those in flight, and new ones wait for it,
/// so that none fails.
pub(crate) struct PluginEngine {
    slot: RwLock<Slot>,
    storage: Arc<MountStorage>,
}

#[derive(Default)]
struct Slot {
    instance: Option<Instance>,
    /// Counts instances, so that of many requests that see one die a single one replaces it.
    generation: u64,
}

/// One set-up of the mount in a process.
struct Instance {
    mount: host::Mount,
    process: Arc<Process>,
    entry: Entry,
}

/// With this text of Go's `net/rpc` a plugin says that its process ends, and that the next one has to be asked.
const ASK_AGAIN: &str = "connection is shut down";

/// A call to an engine under way.
type Asking<'a, T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send + 'a>>;

impl PluginEngine {
    /// An engine that does not run yet.
    pub(super) fn new(core: &Core, uuid: &str) -> PluginEngine {
        let storage = Arc::new(MountStorage::new(core.store().clone(), uuid));
        PluginEngine { slot: RwLock::default(), storage }
    }

    /// Starts the engine as `entry` says, in place of the one that runs.
    ///
    /// When that fails, the mount keeps what it had: its process is gone, and the next request starts the old version
    /// anew, as Vault's does.
    pub(super) async fn load(
        &self,
        core: &Core,
        settings: &Settings,
        entry: &Entry,
    ) -> Result<(), SpawnError> {
        let mut slot = self.slot.write().await;
        if let Some(instance) = &slot.instance {
            core.processes().end(&instance.process).await;
        }
        let instance = self.start(core, settings, entry).await?;
        slot.replace(instance);
        Ok(())
    }

    /// Handles a request; if the process has died meanwhile, starts it anew and asks once more, as Vault does.
    pub(super) async fn handle_request(
        &self,
        core: &Core,
        mount: &Mount,
        request: Request,
    ) -> Result<Option<Response>, Failure> {
        self.alive(core, mount, |engine| Box::pin(engine.handle_request(request.clone()))).await
    }

    /// Whether something exists at the path of the request; `None` where the engine does not say.
    pub(crate) async fn exists(
        &self,
        core: &Core,
        mount: &Mount,
        request: Request,
    ) -> Result<Option<bool>, Failure> {
        self.alive(core, mount, |engine| Box::pin(engine.handle_existence_check(request.clone()))).await
    }

    /// The engine's special paths; none while it does not run.
    pub(crate) async fn special_paths(&self) -> SpecialPaths {
        let slot = self.slot.read().await;
        slot.instance.as_ref().map(|instance| instance.mount.special_paths().clone()).unwrap_or_default()
    }

    pub(super) async fn take_down(&self, core: &Core) {
        let mut slot = self.slot.write().await;
        let Some(Instance { mount, process, .. }) = slot.instance.take() else { return };
        // A plugin that is gone needs no cleaning up.
        let _ = mount.cleanup().await;
        core.processes().release(process).await;
    }

    async fn alive<T>(
        &self,
        core: &Core,
        mount: &Mount,
        ask: impl Fn(&host::Mount) -> Asking<'_, T> + Sync,
    ) -> Result<T, Failure> {
        let generation = {
            let slot = self.slot.read().await;
            match ask(&instance(&slot, mount)?.mount).await {
                Err(CallError::Gone) => slot.generation,
                Err(CallError::Refused(refusal)) if refusal.error.to_string() == ASK_AGAIN => slot.generation,
                other => return other.map_err(failure),
            }
        };
        self.revive(core, mount, generation).await.map_err(|error| Failure::internal(&error))?;
        let slot = self.slot.read().await;
        ask(&instance(&slot, mount)?.mount).await.map_err(failure)
    }

    async fn revive(&self, core: &Core, mount: &Mount, generation: u64) -> Result<(), SpawnError> {
        let mut slot = self.slot.write().await;
        let Some(dead) = slot.instance.as_ref().filter(|_| slot.generation == generation) else {
            return Ok(());
        };
        let entry = core
            .catalog_entry(&dead.entry.name, &dead.entry.version)?
            .ok_or_else(|| SpawnError::NotInCatalog(dead.entry.name.clone()))?;
        let instance = self.start(core, &mount.settings(), &entry).await?;
        slot.replace(instance);
        Ok(())
    }

    async fn start(&self, core: &Core, settings: &Settings, entry: &Entry) -> Result<Instance, SpawnError> {
        let directory = core.options().plugin_directory.as_deref().ok_or(SpawnError::NoDirectory)?;
        let (process, mount) = self.set_up(core, settings, entry, directory).await?;
        if mount.kind() != BackendType::Secrets {
            return Err(SpawnError::NotASecretsEngine { name: entry.name.clone() });
        }
        self.storage.open();
        mount.initialize().await.map_err(SpawnError::Initialize)?;
        Ok(Instance { mount, process, entry: entry.clone() })
    }

    async fn set_up(
        &self,
        core: &Core,
        settings: &Settings,
        entry: &Entry,
        directory: &Path,
    ) -> Result<(Arc<Process>, host::Mount), SpawnError> {
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
            system: Arc::new(MountSystem::new(core, settings)),
            options,
            backend_uuid: settings.uuid.clone(),
        };
        core.processes().mount(entry, directory, config).await
    }

    /// What the engine reports as its version, or else the one it is registered under.
    pub(super) async fn running_version(&self) -> String {
        let slot = self.slot.read().await;
        let Some(instance) = &slot.instance else { return String::new() };
        let reported = instance.mount.version();
        if reported.is_empty() { instance.entry.version.clone() } else { reported.to_owned() }
    }
}

impl Slot {
    fn replace(&mut self, instance: Instance) {
        self.instance = Some(instance);
        self.generation += 1;
    }
}

fn instance<'a>(slot: &'a RwLockReadGuard<'_, Slot>, mount: &Mount) -> Result<&'a Instance, Failure> {
    slot.instance.as_ref().ok_or_else(|| {
        let path = mount.settings().path;
        Failure::new(404, format!("no handler for route \"{path}\". route entry found, but backend is nil."))
    })
}

/// An engine's error with the status that Vault gives it (`RespondErrorCommon` of `sdk/logical`). Vault goes by the
/// text where it is that of one of its own errors.
fn failure(error: CallError) -> Failure {
    let text = error.to_string();
    let CallError::Refused(refusal) = error else { return Failure::listed(500, &[&text]) };
    let status = match &refusal.error {
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
            _ if refusal.response.is_some() => 400,
            _ => 500,
        },
    };
    match refusal.response.as_ref().and_then(Response::error_text) {
        Some(words) => Failure::new(status, words),
        None => Failure::listed(status, &[&text]),
    }
}
