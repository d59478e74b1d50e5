//! In-memory transactions, with the conflicts of OpenBao's raft storage.

use std::collections::BTreeSet;

use async_trait::async_trait;
use parking_lot::{Mutex, MutexGuard};

use super::storage_state::{Entries, SharedStorage, StorageCall};
use crate::logical::{Access, Storage, StorageEntry, StorageError, TRANSACTION_CONFLICT, Transaction};

/// A transaction on a copy of the entries. It records what it reads and writes.
pub(super) struct MemoryTransaction {
    shared: SharedStorage,
    access: Access,
    /// The entries when the transaction began.
    snapshot: Entries,
    state: Mutex<TransactionState>,
}

struct TransactionState {
    entries: Entries,
    /// Keys that were read or written.
    touched: BTreeSet<String>,
    /// Keys that were written.
    changed: BTreeSet<String>,
    /// Prefixes that were listed.
    listed: BTreeSet<String>,
}

impl MemoryTransaction {
    /// Returns a transaction that the caller has already counted as open.
    pub(super) fn new(shared: SharedStorage, access: Access, snapshot: Entries) -> MemoryTransaction {
        let state = TransactionState {
            entries: snapshot.clone(),
            touched: BTreeSet::new(),
            changed: BTreeSet::new(),
            listed: BTreeSet::new(),
        };
        MemoryTransaction { shared, access, snapshot, state: Mutex::new(state) }
    }

    fn record_write(
        &self,
        call: StorageCall,
        key: &str,
    ) -> Result<MutexGuard<'_, TransactionState>, StorageError> {
        drop(self.shared.call(call, key)?);
        if self.access == Access::Read {
            return Err(StorageError::Host("transaction is read-only".to_owned()));
        }
        let mut state = self.state.lock();
        state.touched.insert(key.to_owned());
        state.changed.insert(key.to_owned());
        Ok(state)
    }
}

#[async_trait]
impl Storage for MemoryTransaction {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        drop(self.shared.call(StorageCall::Get, key)?);
        let mut state = self.state.lock();
        state.touched.insert(key.to_owned());
        Ok(state.entries.get(key))
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        self.record_write(StorageCall::Put, &entry.key)?.entries.set(entry);
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.record_write(StorageCall::Delete, key)?.entries.0.remove(key);
        Ok(())
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        drop(self.shared.call(StorageCall::List, prefix)?);
        let mut state = self.state.lock();
        state.listed.insert(prefix.to_owned());
        Ok(state.entries.list(prefix))
    }

    async fn begin(&self, _access: Access) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        Ok(None)
    }
}

#[async_trait]
impl Transaction for MemoryTransaction {
    async fn commit(self: Box<Self>) -> Result<(), StorageError> {
        let state = self.state.lock();
        let mut shared = self.shared.call(StorageCall::Commit, "")?;
        if state.changed.is_empty() {
            return Ok(());
        }
        let (now, before) = (&shared.entries, &self.snapshot);
        let same = state.touched.iter().all(|key| now.0.get(key) == before.0.get(key))
            && state.listed.iter().all(|prefix| now.list(prefix) == before.list(prefix));
        if !same {
            return Err(StorageError::Host(TRANSACTION_CONFLICT.to_owned()));
        }
        for key in &state.changed {
            match state.entries.get(key) {
                Some(entry) => shared.entries.set(entry),
                None => drop(shared.entries.0.remove(key)),
            }
        }
        Ok(())
    }

    async fn rollback(self: Box<Self>) -> Result<(), StorageError> {
        Ok(())
    }
}

impl Drop for MemoryTransaction {
    fn drop(&mut self) {
        self.shared.lock().open_transactions -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::logical::with_transaction;
    use crate::testing::MemoryStorage;

    async fn begin(storage: &MemoryStorage) -> Box<dyn Transaction> {
        storage.begin(Access::ReadWrite).await.unwrap().unwrap()
    }

    async fn count(storage: &dyn Storage, key: &str) -> Result<u32, StorageError> {
        let count = storage.read(key).await?.unwrap_or(0) + 1;
        storage.write(key, &count).await?;
        Ok(count)
    }

    #[tokio::test]
    async fn nothing_is_visible_before_the_commit_and_everything_after() {
        let storage = MemoryStorage::default();
        let transaction = begin(&storage).await;
        count(&*transaction, "a").await.unwrap();
        count(&*transaction, "b").await.unwrap();
        assert_eq!((storage.keys().len(), storage.open_transactions()), (0, 1));
        transaction.commit().await.unwrap();
        assert_eq!((storage.keys().len(), storage.open_transactions()), (2, 0));
    }

    #[tokio::test]
    async fn a_transaction_that_is_dropped_changes_nothing_and_is_closed() {
        let storage = MemoryStorage::default();
        let transaction = begin(&storage).await;
        count(&*transaction, "a").await.unwrap();
        drop(transaction);
        assert_eq!((storage.keys().len(), storage.open_transactions()), (0, 0));
    }

    #[tokio::test]
    async fn of_two_transactions_on_one_key_the_second_commit_conflicts() {
        let storage = MemoryStorage::default();
        let (first, second) = (begin(&storage).await, begin(&storage).await);
        count(&*first, "a").await.unwrap();
        count(&*second, "a").await.unwrap();
        first.commit().await.unwrap();
        assert!(second.commit().await.unwrap_err().is_conflict());
        assert_eq!((&storage as &dyn Storage).read::<u32>("a").await.unwrap(), Some(1));
    }

    #[tokio::test]
    async fn a_read_only_transaction_sees_one_state_and_rejects_writes() {
        let storage = MemoryStorage::default();
        let reading = storage.begin(Access::Read).await.unwrap().unwrap();
        count(&storage, "a").await.unwrap();
        assert_eq!(reading.get("a").await.unwrap(), None);
        assert!(count(&*reading, "b").await.is_err());
        reading.commit().await.unwrap();
    }

    #[tokio::test]
    async fn work_that_fails_leaves_nothing_in_storage_with_transactions() {
        let storage = MemoryStorage::default();
        for (transactions, remaining) in [(true, 0), (false, 1)] {
            if !transactions {
                storage.disable_transactions();
            }
            let result = with_transaction(&storage, |storage| {
                Box::pin(async move {
                    count(storage, "a").await?;
                    Err::<(), _>(StorageError::Host("no".to_owned()))
                })
            });
            assert_eq!(result.await.unwrap_err().to_string(), "no");
            assert_eq!((storage.keys().len(), storage.open_transactions()), (remaining, 0));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_conflicts_is_retried_up_to_a_limit() {
        for (conflicts, succeeds, expected) in [(3, true, 4), (99, false, 12)] {
            let (storage, attempts) = (MemoryStorage::default(), AtomicUsize::new(0));
            let outside = &storage;
            let result = with_transaction(&storage, |transaction| {
                let attempt = attempts.fetch_add(1, Ordering::Relaxed);
                Box::pin(async move {
                    let counted = count(transaction, "a").await?;
                    if attempt < conflicts {
                        // A concurrent write.
                        count(outside, "a").await?;
                    }
                    Ok::<_, StorageError>(counted)
                })
            });
            match result.await {
                Ok(counted) => assert!(succeeds && counted == 4, "{counted}"),
                Err(error) => assert!(!succeeds && error.is_conflict(), "{error}"),
            }
            assert_eq!(attempts.load(Ordering::Relaxed), expected);
        }
    }
}
