//! Adds, reloads and removes mounts, one change at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::MutexGuard;
use uuid::Uuid;

use super::backend::{MountBackend, PluginBackend};
use super::mount::Mount;
use super::settings::{MountSettings, SETTINGS, SharedSettings, TuneConfig};
use super::{AUTH_PREFIX, CUBBYHOLE, IDENTITY, Mounts, TOKEN_MOUNT, view};
use crate::StoreError;
use crate::catalog::process::SpawnError;
use crate::log::log_error;
use crate::random::random_hex;
use crate::reply::{ErrorReply, error_chain};
use crate::store::StoreOp;

/// The version of a built-in mount, as Vault 1.21.4 reports it.
const BUILTIN_VERSION: &str = "v1.21.4+builtin.vault";

/// The exclusive right to add, reload and remove mounts.
pub(crate) struct MountChanges<'a> {
    mounts: &'a Mounts,
    _guard: MutexGuard<'a, ()>,
}

/// The plugin that a mount runs.
struct RunningPlugin {
    version: String,
    sha256: String,
}

impl<'a> MountChanges<'a> {
    pub(super) fn new(mounts: &'a Mounts, guard: MutexGuard<'a, ()>) -> MountChanges<'a> {
        MountChanges { mounts, _guard: guard }
    }

    /// Creates the stored mounts. If a plugin fails to start, the error is logged and its mount has no backend, as in Vault.
    pub(crate) async fn load_all(&self) -> Result<(), StoreError> {
        let store = &self.mounts.runtime.store;
        if store.list(SETTINGS).is_empty() {
            let builtin = builtin_mounts();
            let changes: Result<_, _> = builtin
                .iter()
                .map(|settings| StoreOp::put(MountSettings::storage_key(&settings.uuid), settings))
                .collect();
            store.apply(changes?)?;
        }
        for key in store.keys(SETTINGS) {
            let Some(settings) = store.read::<MountSettings>(&key)? else { continue };
            let (kind, path) = (settings.kind.clone(), settings.path.clone());
            let settings = SharedSettings::new(settings);
            let backend = match kind.as_str() {
                "system" => MountBackend::System,
                "token" => MountBackend::Token,
                "cubbyhole" => MountBackend::Cubbyhole,
                "identity" => MountBackend::Identity,
                _ => {
                    let backend = self.new_backend(&settings);
                    match self.start(&backend, &settings.get()).await {
                        Ok(running) => settings.update(|settings| running.record_in(settings)),
                        Err(error) => log_error(
                            &self.mounts.log,
                            "skipping plugin-based mount entry",
                            Some(&format!("{path}: {}", error_chain(&error))),
                        ),
                    }
                    MountBackend::Plugin(Box::new(backend))
                }
            };
            self.insert(settings, backend);
        }
        Ok(())
    }

    /// Unmounts everything and stops the plugins after the requests in flight.
    pub(crate) async fn stop_all(&self) {
        let mounts = std::mem::take(&mut *self.mounts.by_path.write());
        for mount in mounts.into_values() {
            mount.stop().await;
        }
    }

    /// Enables a secrets engine.
    pub(crate) async fn enable(&self, settings: MountSettings) -> Result<(), ErrorReply> {
        let path = &settings.path;
        if ["sys/", "auth/", IDENTITY, CUBBYHOLE].iter().any(|builtin| path.starts_with(builtin)) {
            return Err(ErrorReply::bad_request(format!("cannot mount \"{path}\"")));
        }
        self.enable_plugin(settings).await
    }

    /// Enables an auth method.
    pub(crate) async fn enable_auth(&self, settings: MountSettings) -> Result<(), ErrorReply> {
        if settings.kind == "token" {
            return Err(ErrorReply::bad_request("token credential backend cannot be instantiated"));
        }
        self.enable_plugin(settings).await
    }

    async fn enable_plugin(&self, mut settings: MountSettings) -> Result<(), ErrorReply> {
        let path = settings.path.clone();
        let used_paths = self.mounts.all().into_iter().map(|mount| mount.settings().path);
        if let Some(used_path) = used_paths
            .into_iter()
            .find(|used_path| path.starts_with(used_path) || used_path.starts_with(&path))
        {
            let used_path = used_path.strip_prefix(AUTH_PREFIX).unwrap_or(&used_path);
            return Err(ErrorReply::bad_request(format!("path is already in use at {used_path}")));
        }
        let runtime = &self.mounts.runtime;
        settings.plugin_version = runtime.catalog.select_version(
            settings.plugin_type(),
            &settings.kind,
            &settings.plugin_version,
        )?;
        let shared = SharedSettings::new(settings.clone());
        let backend = self.new_backend(&shared);
        let running = self.start(&backend, &settings).await.map_err(|error| {
            // Vault tries two versions of the protocol and reports both errors.
            let errors = ErrorReply::multierror(400, &[&error.to_string(), &error.to_string()]);
            let text = errors.text.unwrap_or_default();
            ErrorReply::bad_request(format!("invalid backend version: {text}"))
        })?;
        running.record_in(&mut settings);
        runtime.store.write(&MountSettings::storage_key(&settings.uuid), &settings)?;
        shared.update(|current| *current = settings);
        self.insert(shared, MountBackend::Plugin(Box::new(backend)));
        Ok(())
    }

    /// Starts to disable a mount: rolls back incomplete operations, and then routes only revocations to it. Returns `None` if there is no
    /// such mount.
    pub(crate) async fn taint(&self, path: &str) -> Result<Option<Arc<Mount>>, ErrorReply> {
        let Some(mount) = self.mounts.get(path) else { return Ok(None) };
        if path == TOKEN_MOUNT {
            return Err(ErrorReply::bad_request("token credential backend cannot be disabled"));
        }
        if !matches!(mount.backend(), MountBackend::Plugin(_)) {
            return Err(ErrorReply::bad_request(format!("cannot unmount \"{path}\"")));
        }
        self.mounts.update(&mount, |settings| settings.tainted = true)?;
        // Vault rolls back only secrets engines.
        if !path.starts_with(AUTH_PREFIX) {
            mount.roll_back(&self.mounts.log).await;
        }
        Ok(Some(mount))
    }

    /// Removes a mount and its stored data.
    pub(crate) async fn remove(&self, mount: &Mount) -> Result<(), ErrorReply> {
        let MountSettings { path, uuid, .. } = mount.settings();
        self.mounts.by_path.write().remove(&path);
        mount.stop().await;
        let store = &self.mounts.runtime.store;
        let values = store.keys(&view::storage_prefix(&uuid)).into_iter().map(StoreOp::Delete);
        let settings = StoreOp::Delete(MountSettings::storage_key(&uuid));
        Ok(store.apply(values.chain([settings]).collect())?)
    }

    /// Restarts the plugin of a mount with the pinned or configured version.
    pub(crate) async fn reload(&self, mount: &Mount) -> Result<(), ErrorReply> {
        let MountBackend::Plugin(backend) = mount.backend() else { return Ok(()) };
        let running = self
            .start(backend, &mount.settings())
            .await
            .map_err(|error| ErrorReply::new(500, error.to_string()))?;
        self.mounts.update(mount, |settings| running.record_in(settings))
    }

    fn new_backend(&self, settings: &SharedSettings) -> PluginBackend {
        PluginBackend::new(self.mounts.runtime.clone(), settings.clone())
    }

    /// Starts the plugin of a mount.
    async fn start(
        &self,
        backend: &PluginBackend,
        settings: &MountSettings,
    ) -> Result<RunningPlugin, SpawnError> {
        let catalog = &self.mounts.runtime.catalog;
        let pin = catalog.pin(settings.plugin_type(), &settings.kind)?;
        let version = pin.map_or_else(|| settings.plugin_version.clone(), |pin| pin.version);
        let entry = catalog
            .get(settings.plugin_type(), &settings.kind, &version)?
            .ok_or_else(|| SpawnError::NotInCatalog(settings.kind.clone()))?;
        backend.load(&entry).await?;
        Ok(RunningPlugin { version: backend.running_version().await, sha256: entry.sha256 })
    }

    fn insert(&self, settings: SharedSettings, backend: MountBackend) {
        let path = settings.get().path;
        self.mounts.by_path.write().insert(path, Arc::new(Mount::new(settings, backend)));
    }
}

impl RunningPlugin {
    fn record_in(self, settings: &mut MountSettings) {
        settings.running_version = self.version;
        settings.running_sha256 = self.sha256;
    }
}

/// The settings of a new mount.
pub(crate) fn new_settings(path: &str, kind: &str) -> MountSettings {
    let is_auth = path.starts_with(AUTH_PREFIX);
    MountSettings {
        path: path.to_owned(),
        kind: kind.to_owned(),
        uuid: Uuid::new_v4().to_string(),
        accessor: new_accessor(&if is_auth { format!("auth_{kind}") } else { kind.to_owned() }),
        description: String::new(),
        config: TuneConfig::default(),
        options: Some(BTreeMap::new()),
        local: false,
        seal_wrap: false,
        external_entropy_access: false,
        tainted: false,
        plugin_version: String::new(),
        running_version: String::new(),
        running_sha256: String::new(),
    }
}

fn new_accessor(kind: &str) -> String {
    format!("{kind}_{}", random_hex(4))
}

/// The built-in mounts, with the same settings as in Vault.
fn builtin_mounts() -> [MountSettings; 4] {
    let builtin = |path: &str, kind: &str, description: &str| MountSettings {
        description: description.to_owned(),
        options: None,
        running_version: BUILTIN_VERSION.to_owned(),
        ..new_settings(path, kind)
    };
    let mut system = builtin("sys/", "system", "system endpoints used for control, policy and debugging");
    system.seal_wrap = true;
    system.config.passthrough_request_headers = Some(vec!["Accept".to_owned()]);
    let mut cubbyhole = builtin(CUBBYHOLE, "cubbyhole", "per-token private secret storage");
    cubbyhole.local = true;
    let mut token = builtin(TOKEN_MOUNT, "token", "token based credentials");
    "default-service".clone_into(&mut token.config.token_type);
    let mut identity = builtin(IDENTITY, "identity", "identity store");
    identity.config.passthrough_request_headers = Some(vec!["Authorization".to_owned()]);
    [system, cubbyhole, identity, token]
}
