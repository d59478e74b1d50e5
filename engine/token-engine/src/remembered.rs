//! What was read from storage, kept in memory until it changes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use vault_plugin::logical::Error;

/// More values than this are not kept; the next one makes room by dropping all. A value is some hundred bytes.
const MOST: usize = 4096;

/// Values by their storage keys. Only what is there is remembered: names that nobody wrote would fill the memory.
///
/// It holds because every change goes through [`Remembered::forget`]: those of this process after they are stored, those of
/// other nodes when the host says so. A write that nobody waits for any more must therefore still end: it runs in
/// [`run_to_completion`](vault_plugin::framework::Context::run_to_completion).
pub(crate) struct Remembered<T>(Mutex<Known<T>>);

struct Known<T> {
    values: HashMap<String, Arc<T>>,
    /// How many changes there were: what was read before one of them is not remembered after it.
    changes: u64,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Remembered(Mutex::new(Known { values: HashMap::new(), changes: 0 }))
    }
}

impl<T> Remembered<T> {
    /// The value at `key`, read by `read` unless it is known.
    pub(crate) async fn get(
        &self,
        key: &str,
        read: impl Future<Output = Result<Option<T>, Error>>,
    ) -> Result<Option<Arc<T>>, Error> {
        let changes = {
            let known = self.known();
            if let Some(value) = known.values.get(key) {
                return Ok(Some(Arc::clone(value)));
            }
            known.changes
        };
        let Some(value) = read.await?.map(Arc::new) else { return Ok(None) };
        let mut known = self.known();
        if known.changes == changes {
            if known.values.len() >= MOST {
                known.values.clear();
            }
            known.values.insert(key.to_owned(), Arc::clone(&value));
        }
        Ok(Some(value))
    }

    /// Drops what is known of `key`, and what is being read.
    pub(crate) fn forget(&self, key: &str) {
        let mut known = self.known();
        known.changes += 1;
        known.values.remove(key);
    }

    fn known(&self) -> MutexGuard<'_, Known<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(remembered: &Remembered<u32>, stored: Option<u32>, expected: Option<u32>) {
        let value = remembered.get("key", async { Ok(stored) }).await.unwrap();
        assert_eq!(value.as_deref().copied(), expected);
    }

    #[tokio::test]
    async fn a_value_is_read_once_and_again_after_a_change() {
        let remembered = Remembered::default();
        check(&remembered, None, None).await;
        check(&remembered, Some(1), Some(1)).await;
        check(&remembered, Some(2), Some(1)).await;
        remembered.forget("key");
        check(&remembered, Some(3), Some(3)).await;
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let remembered = Remembered::default();
        let read = async {
            remembered.forget("key");
            Ok(Some(1))
        };
        assert_eq!(remembered.get("key", read).await.unwrap().as_deref(), Some(&1));
        check(&remembered, Some(2), Some(2)).await;
    }

    #[tokio::test]
    async fn a_failed_read_is_not_remembered() {
        let remembered = Remembered::<u32>::default();
        let failed = remembered.get("key", async { Err(Error::internal("disk full")) }).await;
        assert_eq!(failed.unwrap_err().to_string(), "disk full");
        check(&remembered, Some(1), Some(1)).await;
    }
}
