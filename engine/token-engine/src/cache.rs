//! What was read from storage, kept in memory until it changes.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use vault_plugin::logical::Error;

/// More values than this are not kept; the next one makes room by dropping all. A value is some hundred bytes.
const MAX_ENTRIES: usize = 4096;

/// Values by their storage keys. Only what is there is remembered: names that nobody wrote would fill the memory.
///
/// It holds because every change goes through [`Cache::invalidate`]: those of this process after they are stored, those of
/// other nodes when the host says so. A write that nobody waits for any more must therefore still end: it runs in
/// [`run_to_completion`](vault_plugin::framework::Context::run_to_completion).
pub(crate) struct Cache<T>(Mutex<CacheState<T>>);

struct CacheState<T> {
    values: HashMap<String, Arc<T>>,
    /// How many changes there were: what was read before one of them is not remembered after it.
    generation: u64,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Cache(Mutex::new(CacheState { values: HashMap::new(), generation: 0 }))
    }
}

impl<T> Cache<T> {
    /// The value at `key`, read by `read` unless it is known.
    pub(crate) async fn get_or_load(
        &self,
        key: &str,
        read: impl Future<Output = Result<Option<T>, Error>>,
    ) -> Result<Option<Arc<T>>, Error> {
        let changes = {
            let known = self.0.lock();
            if let Some(value) = known.values.get(key) {
                return Ok(Some(Arc::clone(value)));
            }
            known.generation
        };
        let Some(value) = read.await?.map(Arc::new) else { return Ok(None) };
        let mut known = self.0.lock();
        if known.generation == changes {
            if known.values.len() >= MAX_ENTRIES {
                known.values.clear();
            }
            known.values.insert(key.to_owned(), Arc::clone(&value));
        }
        Ok(Some(value))
    }

    /// Drops what is known of `key`, and what is being read.
    pub(crate) fn invalidate(&self, key: &str) {
        let mut known = self.0.lock();
        known.generation += 1;
        known.values.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(remembered: &Cache<u32>, stored: Option<u32>, expected: Option<u32>) {
        let value = remembered.get_or_load("key", async { Ok(stored) }).await.unwrap();
        assert_eq!(value.as_deref().copied(), expected);
    }

    #[tokio::test]
    async fn a_value_is_read_once_and_again_after_a_change() {
        let remembered = Cache::default();
        check(&remembered, None, None).await;
        check(&remembered, Some(1), Some(1)).await;
        check(&remembered, Some(2), Some(1)).await;
        remembered.invalidate("key");
        check(&remembered, Some(3), Some(3)).await;
    }

    #[tokio::test]
    async fn what_was_read_before_a_change_is_not_remembered_after_it() {
        let remembered = Cache::default();
        let read = async {
            remembered.invalidate("key");
            Ok(Some(1))
        };
        assert_eq!(remembered.get_or_load("key", read).await.unwrap().as_deref(), Some(&1));
        check(&remembered, Some(2), Some(2)).await;
    }

    #[tokio::test]
    async fn a_failed_read_is_not_remembered() {
        let remembered = Cache::<u32>::default();
        let failed = remembered.get_or_load("key", async { Err(Error::internal("disk full")) }).await;
        assert_eq!(failed.unwrap_err().to_string(), "disk full");
        check(&remembered, Some(1), Some(1)).await;
    }
}
