//! Storage and settings of a host that is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::task::yield_now;

use crate::logical::{
    Access, PluginEnvironment, ReplicationState, Storage, StorageEntry, StorageError, SystemView,
    SystemViewError, Transaction,
};

/// A call of storage that can be made to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageCall {
    /// Reading one entry.
    Get,
    /// Writing one entry.
    Put,
    /// Removing one entry.
    Delete,
    /// Listing names.
    List,
}

/// Storage in memory. What a call has done is there before its caller goes on, as on a host: a request that is dropped in
/// between does not learn of it.
#[derive(Default)]
pub struct MemoryStorage(Mutex<Inside>);

#[derive(Default)]
struct Inside {
    entries: BTreeMap<String, StorageEntry>,
    failing: Vec<(StorageCall, String, String)>,
}

impl MemoryStorage {
    /// Makes every such call on a key with this prefix fail with the host's text, until [`MemoryStorage::heal`].
    pub fn fail_on(&self, call: StorageCall, prefix: &str, text: &str) {
        self.inside().failing.push((call, prefix.to_owned(), text.to_owned()));
    }

    /// Lets every call succeed again.
    pub fn heal(&self) {
        self.inside().failing.clear();
    }

    /// Every key, sorted.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.inside().entries.keys().cloned().collect()
    }

    /// The entry at a key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<StorageEntry> {
        self.inside().entries.get(key).cloned()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checked(&self, call: StorageCall, key: &str) -> Result<MutexGuard<'_, Inside>, StorageError> {
        let inside = self.inside();
        let fault =
            inside.failing.iter().find(|(failing, prefix, _)| *failing == call && key.starts_with(prefix));
        match fault {
            Some((_, _, text)) => Err(StorageError::Host(text.clone())),
            None => Ok(inside),
        }
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        let found = self.checked(StorageCall::Get, key).map(|inside| inside.entries.get(key).cloned());
        yield_now().await;
        found
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        let done = self.checked(StorageCall::Put, &entry.key).map(|mut inside| {
            inside.entries.insert(entry.key.clone(), entry.clone());
        });
        yield_now().await;
        done
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let done = self.checked(StorageCall::Delete, key).map(|mut inside| {
            inside.entries.remove(key);
        });
        yield_now().await;
        done
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let inside = self.checked(StorageCall::List, prefix)?;
        let below = inside.entries.keys().filter_map(|key| key.strip_prefix(prefix));
        let names: BTreeSet<&str> = below
            .map(|rest| rest.find('/').map_or(rest, |slash| &rest[..=slash]))
            .filter(|name| !name.is_empty())
            .collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    async fn begin(&self, _access: Access) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        Ok(None)
    }
}

/// Settings of a host: leases of a day, a month at most, an active node.
pub struct StaticSystemView {
    state: Mutex<ReplicationState>,
}

impl Default for StaticSystemView {
    fn default() -> Self {
        StaticSystemView { state: Mutex::new(ReplicationState::ACTIVE) }
    }
}

impl StaticSystemView {
    /// Makes the node a standby, or active again.
    pub fn set_replication_state(&self, state: ReplicationState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

#[async_trait]
impl SystemView for StaticSystemView {
    async fn default_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        Ok(Duration::from_hours(24))
    }

    async fn max_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        Ok(Duration::from_hours(32 * 24))
    }

    async fn tainted(&self) -> Result<bool, SystemViewError> {
        Ok(false)
    }

    async fn caching_disabled(&self) -> Result<bool, SystemViewError> {
        Ok(false)
    }

    async fn replication_state(&self) -> Result<ReplicationState, SystemViewError> {
        Ok(*self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn local_mount(&self) -> Result<bool, SystemViewError> {
        Ok(false)
    }

    async fn plugin_env(&self) -> Result<PluginEnvironment, SystemViewError> {
        Ok(PluginEnvironment { version: "0.0.0".to_owned(), ..PluginEnvironment::default() })
    }

    async fn generate_password(&self, _policy: &str) -> Result<String, SystemViewError> {
        Err(SystemViewError::Unsupported("passwords from policies"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_names_what_lies_directly_below_and_folders_once() {
        let storage = MemoryStorage::default();
        for key in ["roles/a", "roles/b/c", "roles/b/d", "config"] {
            let entry = StorageEntry { key: key.to_owned(), value: Vec::new(), seal_wrap: false };
            storage.put(entry).await.unwrap();
        }
        assert_eq!(storage.list("roles/").await.unwrap(), ["a", "b/"]);
        assert_eq!(storage.list("").await.unwrap(), ["config", "roles/"]);
    }
}
