//! In-memory storage.

use std::fmt;

use async_trait::async_trait;
use tokio::task::yield_now;

use super::storage_state::{FailureMode, ScheduledFailure, SharedStorage, StorageCall};
use super::transaction::MemoryTransaction;
use crate::logical::{Access, Storage, StorageEntry, StorageError, Transaction};

/// In-memory storage with transactions like OpenBao. As on a host, a call takes effect even if its caller is cancelled before it
/// receives the result.
///
/// ```
/// use vault_plugin::logical::Storage;
/// use vault_plugin::testing::MemoryStorage;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let memory = MemoryStorage::default();
/// let storage: &dyn Storage = &memory;
/// storage.write("roles/reader", &"read").await?;
/// assert_eq!(storage.read("roles/reader").await?, Some("read".to_owned()));
/// assert_eq!(memory.keys(), ["roles/reader"]);
/// # Ok(()) }
/// ```
#[derive(Default)]
pub struct MemoryStorage(SharedStorage);

/// Shows the keys without the values.
impl fmt::Debug for MemoryStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStorage").field("keys", &self.keys()).finish_non_exhaustive()
    }
}

impl MemoryStorage {
    /// Makes every call of this kind on keys with this prefix fail with the given message, until [`MemoryStorage::clear_failures`].
    ///
    /// ```
    /// # use vault_plugin::{logical::Storage, testing::{MemoryStorage, StorageCall}};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let memory = MemoryStorage::default();
    /// let storage: &dyn Storage = &memory;
    /// memory.fail_on(StorageCall::Put, "roles/", "no leader");
    /// assert_eq!(storage.write("roles/reader", &"read").await.unwrap_err().to_string(), "no leader");
    /// assert!(storage.write("config", &"on").await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn fail_on(&self, call: StorageCall, prefix: &str, text: &str) {
        self.0.lock().failing_calls.push((call, prefix.to_owned(), text.to_owned()));
    }

    /// Lets `calls` further calls of any kind succeed, and makes the next one fail with the given message.
    ///
    /// ```
    /// # use vault_plugin::{logical::Storage, testing::{FailureMode, MemoryStorage}};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let storage = MemoryStorage::default();
    /// storage.fail_after(1, FailureMode::Once, "no leader");
    /// assert!(storage.get("config").await.is_ok());
    /// assert_eq!(storage.get("config").await.unwrap_err().to_string(), "no leader");
    /// assert!(storage.get("config").await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn fail_after(&self, calls: usize, mode: FailureMode, text: &str) {
        self.0.lock().scheduled_failure =
            Some(ScheduledFailure { remaining_calls: calls, has_failed: false, mode, text: text.to_owned() });
    }

    /// Whether a failure of [`MemoryStorage::fail_after`] has not happened yet.
    ///
    /// ```
    /// # use vault_plugin::{logical::{Storage, StorageError}, testing::{FailureMode, MemoryStorage}};
    /// async fn rename(storage: &dyn Storage) -> Result<(), StorageError> {
    ///     let name: Option<String> = storage.read("old").await?;
    ///     storage.write("new", &name).await?;
    ///     storage.delete("old").await
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// for calls in 0.. {
    ///     let storage = MemoryStorage::default();
    ///     storage.fail_after(calls, FailureMode::Once, "no leader");
    ///     let renamed = rename(&storage).await;
    ///     if storage.has_pending_failure() {
    ///         assert_eq!(calls, 3); // each of the calls has failed once
    ///         break;
    ///     }
    ///     assert!(renamed.is_err());
    /// }
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn has_pending_failure(&self) -> bool {
        self.0.lock().scheduled_failure.as_ref().is_some_and(|failure| !failure.has_failed)
    }

    /// Removes all failures.
    ///
    /// ```
    /// # use vault_plugin::{logical::Storage, testing::{MemoryStorage, StorageCall}};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let storage = MemoryStorage::default();
    /// storage.fail_on(StorageCall::Get, "", "no leader");
    /// assert!(storage.get("config").await.is_err());
    /// storage.clear_failures();
    /// assert!(storage.get("config").await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn clear_failures(&self) {
        let mut state = self.0.lock();
        state.failing_calls.clear();
        state.scheduled_failure = None;
    }

    /// Disables transactions, like a host that has none.
    ///
    /// ```
    /// # use vault_plugin::{logical::{Access, Storage}, testing::MemoryStorage};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let storage = MemoryStorage::default();
    /// assert!(storage.begin(Access::ReadWrite).await?.is_some());
    /// storage.disable_transactions();
    /// assert!(storage.begin(Access::ReadWrite).await?.is_none());
    /// # Ok(()) }
    /// ```
    pub fn disable_transactions(&self) {
        self.0.lock().no_transactions = true;
    }

    /// Returns the number of transactions that are neither committed nor rolled back.
    ///
    /// ```
    /// # use vault_plugin::{logical::{Access, Storage}, testing::MemoryStorage};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let storage = MemoryStorage::default();
    /// let transaction = storage.begin(Access::ReadWrite).await?;
    /// assert_eq!(storage.open_transactions(), 1);
    /// drop(transaction);
    /// assert_eq!(storage.open_transactions(), 0);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn open_transactions(&self) -> usize {
        self.0.lock().open_transactions
    }

    /// Returns all keys, sorted.
    ///
    /// ```
    /// # use vault_plugin::{logical::Storage, testing::MemoryStorage};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let memory = MemoryStorage::default();
    /// let storage: &dyn Storage = &memory;
    /// storage.write("roles/reader", &"read").await?;
    /// storage.write("config", &"on").await?;
    /// assert_eq!(memory.keys(), ["config", "roles/reader"]);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.0.lock().entries.0.keys().cloned().collect()
    }

    /// Returns the entry at a key.
    ///
    /// ```
    /// # use vault_plugin::{logical::Storage, testing::MemoryStorage};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let memory = MemoryStorage::default();
    /// let storage: &dyn Storage = &memory;
    /// storage.write("ttl", &60).await?;
    /// assert_eq!(memory.entry("ttl").unwrap().value, b"60");
    /// assert!(memory.entry("max_ttl").is_none());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<StorageEntry> {
        self.0.lock().entries.get(key)
    }
}

#[async_trait]
impl Storage for MemoryStorage {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        let entry = self.0.call(StorageCall::Get, key).map(|state| state.entries.get(key));
        yield_now().await;
        entry
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        let key = entry.key.clone();
        let result = self.0.call(StorageCall::Put, &key).map(|mut state| state.entries.set(entry));
        yield_now().await;
        result
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let result = self.0.call(StorageCall::Delete, key).map(|mut state| {
            state.entries.0.remove(key);
        });
        yield_now().await;
        result
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let result = self.0.call(StorageCall::List, prefix).map(|state| state.entries.list(prefix));
        yield_now().await;
        result
    }

    async fn begin(&self, access: Access) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        let mut state = self.0.call(StorageCall::Begin, "")?;
        if state.no_transactions {
            return Ok(None);
        }
        state.open_transactions += 1;
        let transaction = MemoryTransaction::new(self.0.clone(), access, state.entries.clone());
        Ok(Some(Box::new(transaction)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_list_contains_direct_children_and_each_folder_once() {
        let storage = MemoryStorage::default();
        for key in ["roles/a", "roles/b/c", "roles/b/d", "config"] {
            let entry = StorageEntry { key: key.to_owned(), value: Vec::new(), seal_wrap: false };
            storage.put(entry).await.unwrap();
        }
        assert_eq!(storage.list("roles/").await.unwrap(), ["a", "b/"]);
        assert_eq!(storage.list("").await.unwrap(), ["config", "roles/"]);
    }
}
