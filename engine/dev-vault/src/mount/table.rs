//! All mounts: found by path, added, tuned, reloaded, removed.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use rand::Rng;
use uuid::Uuid;

use super::backend::{MountBackend, PluginBackend};
use super::{BUILTIN_VERSION, Mount, MountSettings, TuneConfig, view};
use crate::StoreError;
use crate::catalog::{RegisteredPlugin, SECRET_TYPE};
use crate::core::Core;
use crate::hash::hex;
use crate::plugin_process::SpawnError;
use crate::reply::ErrorReply;
use crate::rollback;
use crate::store::StoreOp;
use vault_plugin::framework::ttl::TtlLimits;

const MOUNTS: &str = "core/mounts/";

/// Where the cubbyholes of all tokens are.
const CUBBYHOLE: &str = "cubbyhole/";

/// Where the settings of a mount are kept.
pub(super) fn settings_key(uuid: &str) -> String {
    format!("{MOUNTS}{uuid}")
}

impl Core {
    /// The mount with the longest path that leads to `path`, and what is left of it.
    pub(crate) fn route<'a>(&self, path: &'a str) -> Option<(Arc<Mount>, &'a str)> {
        let mounts = self.mounts.read().unwrap_or_else(PoisonError::into_inner);
        let at = |(mount_path, mount): (&String, &Arc<Mount>)| {
            let rest = path.strip_prefix(mount_path.as_str());
            // A mount can be asked without the slash at its end.
            let rest = rest.or_else(|| mount_path.strip_suffix('/').filter(|bare| *bare == path).map(|_| ""));
            rest.map(|rest| (mount.clone(), rest))
        };
        mounts.iter().filter_map(at).min_by_key(|(_, rest)| rest.len())
    }

    /// The mount at exactly `path`, which ends in a slash.
    pub(crate) fn mount_at(&self, path: &str) -> Option<Arc<Mount>> {
        self.mounts.read().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// Every mount, by path.
    pub(crate) fn all_mounts(&self) -> Vec<Arc<Mount>> {
        self.mounts.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// How long leases made at a path live.
    pub(crate) fn lease_limits(&self, path: &str) -> TtlLimits {
        self.route(path).map_or(self.config.limits, |(mount, _)| mount.limits(self))
    }

    /// Where the cubbyhole of a token lies.
    pub(crate) fn cubbyhole_prefix(&self, token_hash: &str) -> String {
        let uuid = self.mount_at(CUBBYHOLE).map(|mount| mount.settings().uuid).unwrap_or_default();
        format!("{}{token_hash}/", view::storage_prefix(&uuid))
    }

    /// Mounts what is kept. A plugin that does not start leaves its mount without an engine, as Vault does, and is logged.
    pub(crate) async fn load_mounts(&self) -> Result<(), StoreError> {
        if self.store.list(MOUNTS).is_empty() {
            let own = builtin_mounts();
            let changes: Result<_, _> =
                own.iter().map(|own| StoreOp::put(settings_key(&own.uuid), own)).collect();
            self.store.apply(changes?)?;
        }
        for kept in self.store.keys(MOUNTS) {
            let Some(mut settings) = self.store.read::<MountSettings>(&kept)? else { continue };
            let engine = match settings.kind.as_str() {
                "system" => MountBackend::System,
                "token" => MountBackend::Token,
                "cubbyhole" => MountBackend::Cubbyhole,
                _ => {
                    let engine = PluginBackend::new(self, &settings.uuid);
                    if let Err(error) = self.start_backend(&engine, &mut settings).await {
                        let detail = format!("{}: {error}", settings.path);
                        self.log_error("skipping plugin-based mount entry", Some(&detail));
                    }
                    MountBackend::Plugin(Box::new(engine))
                }
            };
            self.insert_mount(settings, engine);
        }
        Ok(())
    }

    /// Enables a secrets engine.
    pub(crate) async fn enable(&self, mut settings: MountSettings) -> Result<(), ErrorReply> {
        let _alone = self.mount_changes.lock().await;
        let path = settings.path.clone();
        if ["sys/", "auth/", "identity/", CUBBYHOLE].iter().any(|own| path.starts_with(own)) {
            return Err(ErrorReply::bad_request(format!("cannot mount \"{path}\"")));
        }
        let taken = self.all_mounts().into_iter().map(|mount| mount.settings().path);
        if let Some(taken) =
            taken.into_iter().find(|taken| path.starts_with(taken) || taken.starts_with(&path))
        {
            return Err(ErrorReply::bad_request(format!("path is already in use at {taken}")));
        }
        settings.plugin_version = self.catalog.select_version(&settings.kind, &settings.plugin_version)?;
        let engine = PluginBackend::new(self, &settings.uuid);
        if let Err(error) = self.start_backend(&engine, &mut settings).await {
            // Vault tries the older protocol after the newer one, and says both.
            let errors = ErrorReply::multierror(400, &[&error.to_string(), &error.to_string()]);
            let text = errors.text.unwrap_or_default();
            return Err(ErrorReply::bad_request(format!("invalid backend version: {text}")));
        }
        self.store.write(&settings_key(&settings.uuid), &settings)?;
        self.insert_mount(settings, MountBackend::Plugin(Box::new(engine)));
        Ok(())
    }

    /// Disables a mount: its leases are revoked first, and what is left undone leaves it mounted.
    pub(crate) async fn disable(&self, path: &str) -> Result<(), ErrorReply> {
        let _alone = self.mount_changes.lock().await;
        let Some(mount) = self.mount_at(path) else { return Ok(()) };
        if !matches!(mount.backend(), MountBackend::Plugin(_)) {
            return Err(ErrorReply::bad_request(format!("cannot unmount \"{path}\"")));
        }
        self.update_mount(&mount, |settings| settings.tainted = true)?;
        rollback::roll_back(self, &mount).await;
        self.revoke_prefix_now(path).await?;
        self.mounts.write().unwrap_or_else(PoisonError::into_inner).remove(path);
        mount.stop(self).await;
        let uuid = mount.settings().uuid;
        let values = self.store.keys(&view::storage_prefix(&uuid)).into_iter().map(StoreOp::Delete);
        Ok(self.store.apply(values.chain([StoreOp::Delete(settings_key(&uuid))]).collect())?)
    }

    /// Starts the plugin of a mount anew, with the version that is pinned or that the mount is set to.
    pub(crate) async fn reload(&self, mount: &Mount) -> Result<(), ErrorReply> {
        let _alone = self.mount_changes.lock().await;
        let MountBackend::Plugin(engine) = mount.backend() else { return Ok(()) };
        let mut settings = mount.settings();
        self.start_backend(engine, &mut settings)
            .await
            .map_err(|error| ErrorReply::new(500, error.to_string()))?;
        self.update_mount(mount, |kept| {
            kept.running_version.clone_from(&settings.running_version);
            kept.running_sha256.clone_from(&settings.running_sha256);
        })
    }

    /// Changes the settings of a mount.
    pub(crate) fn update_mount(
        &self,
        mount: &Mount,
        change: impl FnOnce(&mut MountSettings),
    ) -> Result<(), ErrorReply> {
        let mut settings = mount.settings();
        change(&mut settings);
        self.store.write(&settings_key(&settings.uuid), &settings)?;
        mount.update_settings(|kept| *kept = settings);
        Ok(())
    }

    /// Starts the engine of a mount, and notes what runs.
    async fn start_backend(
        &self,
        engine: &PluginBackend,
        settings: &mut MountSettings,
    ) -> Result<(), SpawnError> {
        let pin = self.catalog.pin(SECRET_TYPE, &settings.kind)?;
        let version = pin.map_or_else(|| settings.plugin_version.clone(), |pin| pin.version);
        let entry: Option<RegisteredPlugin> = self.catalog.secrets_engine(&settings.kind, &version)?;
        let entry = entry.ok_or_else(|| SpawnError::NotInCatalog(settings.kind.clone()))?;
        engine.load(self, settings, &entry).await?;
        settings.running_version = engine.running_version().await;
        settings.running_sha256 = entry.sha256;
        Ok(())
    }

    fn insert_mount(&self, settings: MountSettings, engine: MountBackend) {
        let path = settings.path.clone();
        let mount = Arc::new(Mount { settings: RwLock::new(settings), backend: engine });
        self.mounts.write().unwrap_or_else(PoisonError::into_inner).insert(path, mount);
    }
}

/// The settings of a new mount.
pub(crate) fn new_settings(path: &str, kind: &str) -> MountSettings {
    MountSettings {
        path: path.to_owned(),
        kind: kind.to_owned(),
        uuid: Uuid::new_v4().to_string(),
        accessor: new_accessor(kind),
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
    let mut digits = [0; 4];
    rand::rng().fill_bytes(&mut digits);
    format!("{kind}_{}", hex(&digits))
}

/// The mounts of the server itself, set as Vault sets them.
fn builtin_mounts() -> [MountSettings; 3] {
    let own = |path: &str, kind: &str, description: &str| MountSettings {
        description: description.to_owned(),
        options: None,
        running_version: BUILTIN_VERSION.to_owned(),
        ..new_settings(path, kind)
    };
    let mut system = own("sys/", "system", "system endpoints used for control, policy and debugging");
    system.seal_wrap = true;
    system.config.passthrough_request_headers = Some(vec!["Accept".to_owned()]);
    let mut cubbyhole = own(CUBBYHOLE, "cubbyhole", "per-token private secret storage");
    cubbyhole.local = true;
    let mut token = own("auth/token/", "token", "token based credentials");
    token.accessor = new_accessor("auth_token");
    "default-service".clone_into(&mut token.config.token_type);
    [system, cubbyhole, token]
}
