//! The storage and the system view that a plugin receives for its mount.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use vault_plugin::logical::{
    Access, Cluster, Entity, Group, PluginEnvironment, ReplicationState, Sensitive, Storage, StorageEntry,
    StorageError, SystemView, SystemViewError, Transaction,
};

use super::settings::MountSettings;
use crate::identity_store::{GroupRecord, IdentityStore};
use crate::password_policies::PasswordPolicies;
use crate::reply::error_chain;
use crate::store::{Store, StoreOp};
use vault_plugin::framework::ttl::TtlLimits;

/// Storage below a prefix. It is read-only until the setup of the mount is complete.
pub(super) struct MountStorage {
    store: Arc<Store>,
    prefix: String,
    writable: AtomicBool,
}

impl MountStorage {
    pub(super) fn new(store: Arc<Store>, uuid: &str) -> MountStorage {
        MountStorage { store, prefix: storage_prefix(uuid), writable: AtomicBool::new(false) }
    }

    /// Ends the read-only phase.
    pub(super) fn allow_writes(&self) {
        self.writable.store(true, Ordering::Release);
    }

    fn key(&self, key: &str) -> Result<String, StorageError> {
        if key.split('/').any(|segment| segment == "..") {
            return Err(StorageError::Host("relative paths not supported".to_owned()));
        }
        Ok(format!("{}{key}", self.prefix))
    }

    fn writable_key(&self, key: &str) -> Result<String, StorageError> {
        if self.writable.load(Ordering::Acquire) {
            self.key(key)
        } else {
            Err(StorageError::Host("cannot write to storage during setup".to_owned()))
        }
    }
}

/// The prefix of the stored values of a mount.
pub(super) fn storage_prefix(uuid: &str) -> String {
    format!("logical/{uuid}/")
}

fn host_error(error: crate::StoreError) -> StorageError {
    StorageError::Host(error_chain(&error))
}

#[async_trait]
impl Storage for MountStorage {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        let value = self.store.get(&self.key(key)?);
        Ok(value.map(|value| StorageEntry { key: key.to_owned(), value, seal_wrap: false }))
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        let key = self.writable_key(&entry.key)?;
        self.store.apply(vec![StoreOp::Put(key, entry.value)]).map_err(host_error)
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.store.delete(&self.writable_key(key)?).map_err(host_error)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        Ok(self.store.list(&self.key(prefix)?))
    }

    async fn begin(&self, _access: Access) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        // Vault has no transactions.
        Ok(None)
    }
}

/// The system view of a mount. Tunable settings are read from the store on every call.
pub(super) struct MountSystemView {
    services: HostServices,
    key: String,
    local: bool,
}

/// The parts of the server that every system view reads.
pub(super) struct HostServices {
    pub(super) store: Arc<Store>,
    pub(super) identity_store: Arc<IdentityStore>,
    pub(super) password_policies: Arc<PasswordPolicies>,
    /// The TTLs of mounts without their own.
    pub(super) system_limits: TtlLimits,
    pub(super) cluster_id: String,
}

/// The state of a cluster without replication: performance and disaster recovery replication disabled.
const NOT_REPLICATED: u32 = 1 << 12 | 1 << 13;

impl MountSystemView {
    pub(super) fn new(services: HostServices, settings: &MountSettings) -> MountSystemView {
        MountSystemView { services, key: MountSettings::storage_key(&settings.uuid), local: settings.local }
    }

    /// The settings of the mount; `None` during setup, because they are stored after the engine has started.
    fn settings(&self) -> Result<Option<MountSettings>, SystemViewError> {
        self.services.store.read(&self.key).map_err(view_error)
    }

    fn limits(&self) -> Result<TtlLimits, SystemViewError> {
        Ok(self.settings()?.map_or(self.services.system_limits, |settings| {
            settings.config.limits(self.services.system_limits)
        }))
    }
}

fn view_error(error: crate::StoreError) -> SystemViewError {
    SystemViewError::Host(error_chain(&error))
}

#[async_trait]
impl SystemView for MountSystemView {
    async fn default_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        Ok(self.limits()?.default)
    }

    async fn max_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        Ok(self.limits()?.max)
    }

    async fn tainted(&self) -> Result<bool, SystemViewError> {
        Ok(self.settings()?.is_some_and(|settings| settings.tainted))
    }

    async fn caching_disabled(&self) -> Result<bool, SystemViewError> {
        Ok(self.settings()?.is_some_and(|settings| settings.config.force_no_cache))
    }

    async fn replication_state(&self) -> Result<ReplicationState, SystemViewError> {
        Ok(ReplicationState::from_bits(NOT_REPLICATED))
    }

    async fn local_mount(&self) -> Result<bool, SystemViewError> {
        Ok(self.local)
    }

    async fn plugin_env(&self) -> Result<PluginEnvironment, SystemViewError> {
        Ok(PluginEnvironment { version: crate::VERSION.to_owned(), ..PluginEnvironment::default() })
    }

    async fn cluster(&self) -> Result<Cluster, SystemViewError> {
        // Vault omits the name.
        Ok(Cluster { name: String::new(), id: self.services.cluster_id.clone() })
    }

    async fn entity(&self, entity_id: &str) -> Result<Option<Entity>, SystemViewError> {
        let entity = self.services.identity_store.entity(entity_id).map_err(view_error)?;
        Ok(entity.map(|entity| entity.to_logical()))
    }

    async fn groups_of_entity(&self, entity_id: &str) -> Result<Vec<Group>, SystemViewError> {
        let (direct, inherited) = self.services.identity_store.groups_of(entity_id).map_err(view_error)?;
        Ok(direct.iter().chain(&inherited).map(GroupRecord::to_logical).collect())
    }

    async fn generate_password(&self, policy: &str) -> Result<Sensitive, SystemViewError> {
        let password = self.services.password_policies.generate(policy).map_err(view_error)?;
        // This is the complete error that Vault returns to a plugin.
        password
            .map(Sensitive::from)
            .ok_or_else(|| SystemViewError::Host("failed to generate password".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mount_cannot_write_during_setup_or_outside_of_its_prefix() {
        let store = Arc::new(Store::in_memory());
        let storage = MountStorage::new(store.clone(), "u");
        let entry = |key: &str| StorageEntry { key: key.to_owned(), value: b"v".to_vec(), seal_wrap: false };
        let error = storage.put(entry("k")).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot write to storage during setup");
        storage.allow_writes();
        storage.put(entry("k")).await.unwrap();
        assert_eq!(store.keys(""), ["logical/u/k"]);
        assert!(storage.put(entry("../x")).await.is_err());
        assert_eq!(storage.get("k").await.unwrap(), Some(entry("k")));
    }
}
