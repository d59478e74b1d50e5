//! Locks by key, one per storage key that is being changed.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// The number of locks at which unused ones are removed.
const MAX_UNUSED: usize = 64;

/// The locks of one mount.
#[derive(Default)]
pub(crate) struct KeyedLocks(Mutex<HashMap<String, Weak<AsyncMutex<()>>>>);

/// Holds the lock of one key. It is released when this is dropped.
#[derive(Debug)]
#[must_use = "the lock is released when this is dropped"]
pub struct KeyGuard {
    _guard: OwnedMutexGuard<()>,
}

impl KeyedLocks {
    /// Waits for the lock of a key, in order of arrival.
    pub(crate) async fn lock(&self, key: &str) -> KeyGuard {
        let lock = self.get_or_create(key);
        KeyGuard { _guard: lock.lock_owned().await }
    }

    fn get_or_create(&self, key: &str) -> Arc<AsyncMutex<()>> {
        let mut locks = self.0.lock();
        if let Some(lock) = locks.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        if locks.len() >= MAX_UNUSED {
            locks.retain(|_, lock| lock.strong_count() > 0);
        }
        let lock = Arc::default();
        locks.insert(key.to_owned(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_is_locked_once_and_others_are_not() {
        let locks = KeyedLocks::default();
        let first = locks.lock("config").await;
        let _other = locks.lock("roles/reader").await;
        let second = locks.lock("config");
        assert!(timeout(Duration::ZERO, second).await.is_err());
        drop(first);
        drop(locks.lock("config").await);
    }

    #[tokio::test]
    async fn unused_locks_are_removed() {
        let locks = KeyedLocks::default();
        let held = locks.lock("held").await;
        for number in 0..10 * MAX_UNUSED {
            drop(locks.lock(&number.to_string()).await);
        }
        assert!(locks.0.lock().len() <= MAX_UNUSED);
        drop(held);
    }
}
