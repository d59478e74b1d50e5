//! The mounts: their paths, backends and settings.

pub(crate) mod backend;
mod changes;
pub(crate) mod mount;
pub(crate) mod settings;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::log::LogSink;
use crate::reply::ErrorReply;
use backend::PluginRuntime;
pub(crate) use changes::{MountChanges, new_settings};
pub(crate) use mount::Mount;
use parking_lot::RwLock;
pub(crate) use settings::{MountSettings, TuneConfig};
use vault_plugin::framework::ttl::TtlLimits;

/// The mount path of the cubbyholes of all tokens.
const CUBBYHOLE: &str = "cubbyhole/";

/// The mount path of the identity store.
const IDENTITY: &str = "identity/";

/// The prefix of the paths of auth methods.
pub(crate) const AUTH_PREFIX: &str = "auth/";

/// The mount path of the token store.
const TOKEN_MOUNT: &str = "auth/token/";

/// The mounts of the server. It has none while it is sealed.
pub(crate) struct Mounts {
    runtime: Arc<PluginRuntime>,
    log: LogSink,
    by_path: RwLock<BTreeMap<String, Arc<Mount>>>,
    /// Locked while mounts are added, reloaded or removed.
    changes: tokio::sync::Mutex<()>,
}

impl Mounts {
    pub(crate) fn new(runtime: PluginRuntime, log: LogSink) -> Mounts {
        Mounts {
            runtime: Arc::new(runtime),
            log,
            by_path: RwLock::default(),
            changes: tokio::sync::Mutex::default(),
        }
    }

    /// Waits for other changes of mounts, and blocks new ones until the result is dropped.
    pub(crate) async fn begin_changes(&self) -> MountChanges<'_> {
        MountChanges::new(self, self.changes.lock().await)
    }

    /// The mount with the longest path that is a prefix of `path`, and the rest of `path`.
    pub(crate) fn route<'a>(&self, path: &'a str) -> Option<(Arc<Mount>, &'a str)> {
        let mounts = self.by_path.read();
        let at = |(mount_path, mount): (&String, &Arc<Mount>)| {
            let rest = path.strip_prefix(mount_path.as_str());
            // A request may omit the trailing slash of the mount path.
            let rest = rest.or_else(|| mount_path.strip_suffix('/').filter(|bare| *bare == path).map(|_| ""));
            rest.map(|rest| (mount.clone(), rest))
        };
        mounts.iter().filter_map(at).min_by_key(|(_, rest)| rest.len())
    }

    /// The mount at exactly `path`, which ends in a slash.
    pub(crate) fn get(&self, path: &str) -> Option<Arc<Mount>> {
        self.by_path.read().get(path).cloned()
    }

    /// The mount with this accessor.
    pub(crate) fn by_accessor(&self, accessor: &str) -> Option<MountSettings> {
        self.all().into_iter().map(|mount| mount.settings()).find(|settings| settings.accessor == accessor)
    }

    /// Every mount, by path.
    pub(crate) fn all(&self) -> Vec<Arc<Mount>> {
        self.by_path.read().values().cloned().collect()
    }

    /// The TTLs of mounts without their own.
    pub(crate) fn system_limits(&self) -> TtlLimits {
        self.runtime.system_limits
    }

    /// The TTLs of the leases of a mount.
    pub(crate) fn limits(&self, mount: &Mount) -> TtlLimits {
        mount.settings().config.limits(self.system_limits())
    }

    /// The TTLs of leases issued at a path.
    pub(crate) fn limits_at(&self, path: &str) -> TtlLimits {
        self.route(path).map_or(self.system_limits(), |(mount, _)| self.limits(&mount))
    }

    /// The prefix of the stored values of the cubbyhole of a token.
    pub(crate) fn cubbyhole_prefix(&self, token_hash: &str) -> String {
        let uuid = self.get(CUBBYHOLE).map(|mount| mount.settings().uuid).unwrap_or_default();
        format!("{}{token_hash}/", view::storage_prefix(&uuid))
    }

    /// Stores changed settings of a mount.
    pub(crate) fn update(
        &self,
        mount: &Mount,
        change: impl FnOnce(&mut MountSettings),
    ) -> Result<(), ErrorReply> {
        let mut settings = mount.settings();
        change(&mut settings);
        self.runtime.store.write(&MountSettings::storage_key(&settings.uuid), &settings)?;
        mount.set_settings(settings);
        Ok(())
    }
}
