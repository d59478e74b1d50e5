//! The state that in-memory storage shares with its transactions: the entries, and the injected errors.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::logical::{StorageEntry, StorageError};

/// A storage call that can be made to fail.
///
/// ```
/// use vault_plugin::logical::Storage;
/// use vault_plugin::testing::{MemoryStorage, StorageCall};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let storage = MemoryStorage::default();
/// storage.fail_on(StorageCall::List, "roles/", "no leader");
/// assert_eq!(storage.list("roles/").await.unwrap_err().to_string(), "no leader");
/// assert!(storage.get("roles/reader").await.is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StorageCall {
    /// Reading one entry.
    Get,
    /// Writing one entry.
    Put,
    /// Deleting one entry.
    Delete,
    /// Listing names.
    List,
    /// Beginning a transaction. Its key is the empty string.
    Begin,
    /// Committing a transaction. Its key is the empty string.
    Commit,
}

/// The entries, shared with the transactions on them.
#[derive(Clone, Default)]
pub(super) struct SharedStorage(Arc<Mutex<StorageState>>);

#[derive(Default)]
pub(super) struct StorageState {
    pub(super) entries: Entries,
    pub(super) failing_calls: Vec<(StorageCall, String, String)>,
    pub(super) scheduled_failure: Option<ScheduledFailure>,
    /// The number of open transactions.
    pub(super) open_transactions: usize,
    pub(super) no_transactions: bool,
}

/// A failure after a number of calls.
pub(super) struct ScheduledFailure {
    /// The number of calls before the first failure.
    pub(super) remaining_calls: usize,
    pub(super) has_failed: bool,
    pub(super) mode: FailureMode,
    pub(super) text: String,
}

/// How long a failure of storage lasts.
///
/// ```
/// use vault_plugin::logical::Storage;
/// use vault_plugin::testing::{FailureMode, MemoryStorage};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let storage = MemoryStorage::default();
/// storage.fail_after(0, FailureMode::Once, "no leader");
/// assert!(storage.get("config").await.is_err() && storage.get("config").await.is_ok());
/// storage.fail_after(0, FailureMode::Persistent, "no leader");
/// assert!(storage.get("config").await.is_err() && storage.get("config").await.is_err());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureMode {
    /// For one call.
    Once,
    /// Until [`MemoryStorage::clear_failures`](super::MemoryStorage::clear_failures).
    Persistent,
}

impl SharedStorage {
    pub(super) fn lock(&self) -> MutexGuard<'_, StorageState> {
        self.0.lock()
    }

    /// Locks the state for a call, or returns the injected error.
    pub(super) fn call(
        &self,
        call: StorageCall,
        key: &str,
    ) -> Result<MutexGuard<'_, StorageState>, StorageError> {
        let mut state = self.lock();
        if let Some(text) = state.scheduled_failure.as_mut().and_then(ScheduledFailure::failure) {
            return Err(StorageError::Host(text));
        }
        let failure = state
            .failing_calls
            .iter()
            .find(|(failing, prefix, _)| *failing == call && key.starts_with(prefix));
        match failure {
            Some((_, _, text)) => Err(StorageError::Host(text.clone())),
            None => Ok(state),
        }
    }
}

impl ScheduledFailure {
    /// Returns the message if this call fails.
    fn failure(&mut self) -> Option<String> {
        if self.remaining_calls > 0 {
            self.remaining_calls -= 1;
            return None;
        }
        let fails = !self.has_failed || self.mode == FailureMode::Persistent;
        self.has_failed = true;
        fails.then(|| self.text.clone())
    }
}

/// The stored entries.
#[derive(Clone, Default)]
pub(super) struct Entries(pub(super) BTreeMap<String, StorageEntry>);

impl Entries {
    pub(super) fn get(&self, key: &str) -> Option<StorageEntry> {
        self.0.get(key).cloned()
    }

    pub(super) fn set(&mut self, entry: StorageEntry) {
        self.0.insert(entry.key.clone(), entry);
    }

    pub(super) fn list(&self, prefix: &str) -> Vec<String> {
        let below = self.0.keys().filter_map(|key| key.strip_prefix(prefix));
        let names: BTreeSet<&str> = below
            .map(|rest| rest.find('/').map_or(rest, |slash| &rest[..=slash]))
            .filter(|name| !name.is_empty())
            .collect();
        names.into_iter().map(str::to_owned).collect()
    }
}
