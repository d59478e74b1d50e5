//! A cache of storage entries.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use vault_plugin::logical::{BoxFuture, Error};

/// The maximum number of values. The next one clears the cache. A value has some hundred bytes.
const MAX_ENTRIES: usize = 4096;

/// Caches values by storage key. Missing entries are not cached: names that do not exist would fill the memory.
///
/// Every change must call [`Cache::invalidate`]: changes of this process after they are stored, and those of other nodes when
/// the host reports them. So a write must complete even if its request is cancelled: it runs in
/// [`run_to_completion`](vault_plugin::framework::Context::run_to_completion).
pub(crate) struct Cache<T>(Mutex<CacheState<T>>);

struct CacheState<T> {
    values: HashMap<String, Arc<T>>,
    /// The number of changes. A value that was read before a change is not cached after it.
    generation: u64,
}

impl<T> Default for Cache<T> {
    fn default() -> Self {
        Cache(Mutex::new(CacheState { values: HashMap::new(), generation: 0 }))
    }
}

impl<T> Cache<T> {
    /// Returns the cached value at `key`, or loads it with `read`.
    pub(crate) async fn get_or_load<'a>(
        &self,
        key: &str,
        read: impl FnOnce() -> BoxFuture<'a, Option<T>, Error>,
    ) -> Result<Option<Arc<T>>, Error> {
        let generation = {
            let cache = self.0.lock();
            if let Some(value) = cache.values.get(key) {
                return Ok(Some(Arc::clone(value)));
            }
            cache.generation
        };
        let Some(value) = read().await?.map(Arc::new) else { return Ok(None) };
        let mut cache = self.0.lock();
        if cache.generation == generation {
            if cache.values.len() >= MAX_ENTRIES {
                cache.values.clear();
            }
            cache.values.insert(key.to_owned(), Arc::clone(&value));
        }
        Ok(Some(value))
    }

    /// Drops the value at `key`. A value whose read has started before is not cached.
    pub(crate) fn invalidate(&self, key: &str) {
        let mut cache = self.0.lock();
        cache.generation += 1;
        cache.values.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(cache: &Cache<u32>, stored: Option<u32>, expected: Option<u32>) {
        let value = cache.get_or_load("key", || Box::pin(async move { Ok(stored) })).await.unwrap();
        assert_eq!(value.as_deref().copied(), expected);
    }

    #[tokio::test]
    async fn a_value_is_read_once_and_again_after_a_change() {
        let cache = Cache::default();
        check(&cache, None, None).await;
        check(&cache, Some(1), Some(1)).await;
        check(&cache, Some(2), Some(1)).await;
        cache.invalidate("key");
        check(&cache, Some(3), Some(3)).await;
    }

    #[tokio::test]
    async fn a_value_read_before_a_change_is_not_cached_after_it() {
        let cache = Cache::default();
        let read = || -> BoxFuture<'_, _, _> {
            Box::pin(async {
                cache.invalidate("key");
                Ok(Some(1))
            })
        };
        assert_eq!(cache.get_or_load("key", read).await.unwrap().as_deref(), Some(&1));
        check(&cache, Some(2), Some(2)).await;
    }

    #[tokio::test]
    async fn a_failed_read_is_not_cached() {
        let cache = Cache::<u32>::default();
        let result = cache.get_or_load("key", || Box::pin(async { Err(Error::internal("disk full")) })).await;
        assert_eq!(result.unwrap_err().to_string(), "disk full");
        check(&cache, Some(1), Some(1)).await;
    }
}
