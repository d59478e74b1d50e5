//! The storage of a mount, with transactions.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The message by which hosts recognize that a standby or secondary has rejected a write, and forward the request to the active
/// node (`ErrReadOnly` of `sdk/logical`). It must reach the host unchanged.
pub const READ_ONLY: &str = "cannot write to readonly storage";

/// The message of a transaction conflict (`ErrTransactionCommitFailure` of OpenBao's `sdk/physical`).
pub(crate) const TRANSACTION_CONFLICT: &str = "transaction commit failed";

/// One stored value.
///
/// ```
/// use vault_plugin::logical::{Storage, StorageEntry};
/// # use vault_plugin::testing::MemoryStorage;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let storage = MemoryStorage::default();
/// let entry = StorageEntry { key: "token".to_owned(), value: b"s3cret".to_vec(), seal_wrap: true };
/// storage.put(entry.clone()).await?;
/// assert_eq!(storage.get("token").await?, Some(entry));
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct StorageEntry {
    /// The key, relative to the mount.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// Whether the host should additionally encrypt the value with its seal, if the seal supports it.
    pub seal_wrap: bool,
}

impl std::fmt::Debug for StorageEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorageEntry").field("key", &self.key).finish_non_exhaustive()
    }
}

/// The access mode of a transaction.
///
/// ```
/// use vault_plugin::logical::{Access, Storage};
/// # use vault_plugin::testing::MemoryStorage;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let storage = MemoryStorage::default();
/// let reading = storage.begin(Access::Read).await?.unwrap();
/// assert!(reading.storage().write("count", &1).await.is_err());
/// let writing = storage.begin(Access::ReadWrite).await?.unwrap();
/// assert!(writing.storage().write("count", &1).await.is_ok());
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Read a consistent state.
    Read,
    /// Read and write atomically.
    ReadWrite,
}

/// The storage of one mount. Every method is a call to the host.
///
/// ```
/// use vault_plugin::logical::Storage;
/// # use vault_plugin::testing::MemoryStorage;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let memory = MemoryStorage::default();
/// let storage: &dyn Storage = &memory;
/// storage.write("roles/reader", &"read").await?;
/// assert_eq!(storage.list("").await?, ["roles/"]);
/// assert_eq!(storage.list("roles/").await?, ["reader"]);
/// storage.delete("roles/reader").await?;
/// assert_eq!(storage.get("roles/reader").await?, None);
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Storage: Send + Sync {
    /// Returns the entry at `key`.
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError>;
    /// Stores an entry, and replaces an existing one.
    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError>;
    /// Deletes the entry at `key`. A missing entry is not an error.
    async fn delete(&self, key: &str) -> Result<(), StorageError>;
    /// Returns the sorted names directly below `prefix`. Folders end in a slash.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError>;
    /// Returns at most `limit` names after `after`. A limit of 0 means no limit.
    ///
    /// If the host has no paginated lists (Vault), the whole list is fetched.
    ///
    /// ```
    /// # use vault_plugin::{logical::Storage, testing::MemoryStorage};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let memory = MemoryStorage::default();
    /// # let storage: &dyn Storage = &memory;
    /// for key in ["roles/a", "roles/b", "roles/c", "roles/d"] {
    ///     storage.write(key, &true).await?;
    /// }
    /// assert_eq!(storage.list_page("roles/", "a", 2).await?, ["b", "c"]);
    /// # Ok(()) }
    /// ```
    async fn list_page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StorageError> {
        Ok(paginate(self.list(prefix).await?, after, limit))
    }
    /// Begins a transaction. Returns `None` if the host has no transactions (Vault has none, OpenBao on raft does).
    async fn begin(&self, access: Access) -> Result<Option<Box<dyn Transaction>>, StorageError>;
}

/// A transaction, whose writes are not visible to others before `commit`. Dropping it rolls it back; `rollback` also waits
/// for the result.
///
/// A transaction holds resources of the host, so it must not wait for anything but storage.
///
/// ```
/// use vault_plugin::logical::{Access, Storage, Transaction};
/// # use vault_plugin::testing::MemoryStorage;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let storage = MemoryStorage::default();
/// let transaction = storage.begin(Access::ReadWrite).await?.unwrap();
/// transaction.storage().write("count", &1).await?;
/// assert_eq!(storage.get("count").await?, None);
/// transaction.commit().await?;
/// assert!(storage.get("count").await?.is_some());
/// # Ok(()) }
/// ```
#[async_trait]
pub trait Transaction: Storage {
    /// Commits all writes atomically.
    ///
    /// Fails with [`StorageError::is_conflict`] if another transaction has changed an entry that this one has read or written. Then
    /// nothing is written, and the operation can be retried.
    async fn commit(self: Box<Self>) -> Result<(), StorageError>;
    /// Discards all writes.
    ///
    /// ```
    /// # use vault_plugin::{logical::{Access, Storage}, testing::MemoryStorage};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let storage = MemoryStorage::default();
    /// let transaction = storage.begin(Access::ReadWrite).await?.unwrap();
    /// transaction.storage().write("count", &1).await?;
    /// transaction.rollback().await?;
    /// assert_eq!(storage.get("count").await?, None);
    /// # Ok(()) }
    /// ```
    async fn rollback(self: Box<Self>) -> Result<(), StorageError>;
}

impl dyn Transaction + '_ {
    /// Returns the transaction as [`Storage`].
    ///
    /// ```
    /// # use vault_plugin::logical::{Access, Storage, StorageError};
    /// # use vault_plugin::testing::MemoryStorage;
    /// async fn count(storage: &dyn Storage) -> Result<u64, StorageError> {
    ///     let count = storage.read::<u64>("count").await?.unwrap_or(0) + 1;
    ///     storage.write("count", &count).await?;
    ///     Ok(count)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let storage = MemoryStorage::default();
    /// let transaction = storage.begin(Access::ReadWrite).await?.unwrap();
    /// assert_eq!(count(transaction.storage()).await?, 1);
    /// assert_eq!(count(transaction.storage()).await?, 2);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn storage(&self) -> &dyn Storage {
        self
    }
}

impl dyn Storage + '_ {
    /// Returns the JSON value at `key`.
    ///
    /// ```
    /// # use vault_plugin::{logical::Storage, testing::MemoryStorage};
    /// #[derive(serde::Deserialize)]
    /// struct Role {
    ///     ttl: u64,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let memory = MemoryStorage::default();
    /// # let storage: &dyn Storage = &memory;
    /// storage.write("roles/reader", &serde_json::json!({"ttl": 60})).await?;
    /// let role: Option<Role> = storage.read("roles/reader").await?;
    /// assert_eq!(role.map(|role| role.ttl), Some(60));
    /// assert!(storage.read::<Role>("roles/missing").await?.is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the call to the host fails, or if the value does not have the type `T`.
    pub async fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StorageError> {
        let Some(entry) = self.get(key).await? else { return Ok(None) };
        serde_json::from_slice(&entry.value).map(Some).map_err(|error| StorageError::Decode {
            key: key.to_owned(),
            line: error.line(),
            column: error.column(),
        })
    }

    /// Stores a value as JSON.
    ///
    /// ```
    /// # use vault_plugin::{logical::Storage, testing::MemoryStorage};
    /// #[derive(serde::Serialize)]
    /// struct Role {
    ///     ttl: u64,
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let memory = MemoryStorage::default();
    /// # let storage: &dyn Storage = &memory;
    /// storage.write("roles/reader", &Role { ttl: 60 }).await?;
    /// assert_eq!(storage.get("roles/reader").await?.unwrap().value, br#"{"ttl":60}"#);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails if the call to the host fails.
    pub async fn write<T: Serialize + Sync>(&self, key: &str, value: &T) -> Result<(), StorageError> {
        let value = serde_json::to_vec(value).map_err(|_| StorageError::Encode { key: key.to_owned() })?;
        self.put(StorageEntry { key: key.to_owned(), value, seal_wrap: false }).await
    }
}

/// How often a conflicting transaction is attempted.
const MAX_ATTEMPTS: u32 = 12;

/// The maximum first backoff: the time of a few raft commits. It doubles with each attempt.
const INITIAL_BACKOFF: Duration = Duration::from_millis(20);

/// The maximum backoff. Twenty clients that write one key succeed within this time.
const MAX_BACKOFF: Duration = Duration::from_millis(640);

/// A future that uses storage.
///
/// ```
/// use vault_plugin::logical::{Storage, StorageError, BoxFuture, with_transaction};
/// # use vault_plugin::testing::MemoryStorage;
///
/// fn count<'a>(storage: &'a (dyn Storage + '_)) -> BoxFuture<'a, u64, StorageError> {
///     Box::pin(async move {
///         let count = storage.read::<u64>("count").await?.unwrap_or(0) + 1;
///         storage.write("count", &count).await?;
///         Ok(count)
///     })
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let storage = MemoryStorage::default();
/// assert_eq!(with_transaction(&storage, count).await?, 1);
/// assert_eq!(with_transaction(&storage, count).await?, 2);
/// # Ok(()) }
/// ```
pub type BoxFuture<'a, T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'a>>;

/// Runs `work` in a transaction, and commits it if `work` succeeds.
///
/// A conflict with another transaction is retried, up to twelve attempts in total. So `work` may run more than once, including its
/// side effects outside storage. (`WithTransaction` of OpenBao's SDK returns the conflict to the caller instead.)
///
/// On a host without transactions, `work` runs once on `storage`: each write is visible immediately, and writes before a
/// failure are kept.
///
/// ```
/// # use vault_plugin::logical::{Storage, StorageError, with_transaction};
/// # async fn rename(storage: &dyn Storage, from: &str, to: &str) -> Result<(), StorageError> {
/// with_transaction(storage, |storage| {
///     Box::pin(async move {
///         let value: Option<String> = storage.read(from).await?;
///         storage.write(to, &value).await?;
///         storage.delete(from).await
///     })
/// })
/// .await
/// # }
/// ```
///
/// # Errors
/// Fails if `work` fails, or if the host cannot begin or commit. The error is [`StorageError::is_conflict`] if every attempt
/// conflicted.
pub async fn with_transaction<'s, T, E: From<StorageError>>(
    storage: &'s dyn Storage,
    // `'s` outlives `'a`, so that the work can borrow from its environment.
    work: impl for<'a> Fn(&'a (dyn Storage + 's)) -> BoxFuture<'a, T, E> + Send,
) -> Result<T, E> {
    for attempt in 1..=MAX_ATTEMPTS {
        let Some(transaction) = storage.begin(Access::ReadWrite).await? else { break };
        let value = match work(&*transaction).await {
            Ok(value) => value,
            Err(error) => {
                // The error of the work has precedence. A failed rollback happens again on drop.
                let _ = transaction.rollback().await;
                return Err(error);
            }
        };
        match transaction.commit().await {
            Ok(()) => return Ok(value),
            Err(error) if error.is_conflict() && attempt < MAX_ATTEMPTS => {
                // Random backoff, so that conflicting clients do not conflict again.
                let max_backoff = MAX_BACKOFF.min(INITIAL_BACKOFF * 2_u32.pow(attempt - 1));
                tokio::time::sleep(max_backoff.mul_f64(rand::random())).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    work(storage).await
}

/// Returns all names below `prefix`, fetched in pages of `page` names so that no response exceeds the message size limit. With 0, in
/// one request.
///
/// ```
/// use vault_plugin::logical::list_all_pages;
/// # use vault_plugin::{logical::Storage, testing::MemoryStorage};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let memory = MemoryStorage::default();
/// # let storage: &dyn Storage = &memory;
/// for key in ["roles/a", "roles/b", "roles/c"] {
///     storage.write(key, &true).await?;
/// }
/// assert_eq!(list_all_pages(storage, "roles/", 2).await?, ["a", "b", "c"]);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Fails if the call to the host fails.
pub async fn list_all_pages(
    storage: &dyn Storage,
    prefix: &str,
    page: usize,
) -> Result<Vec<String>, StorageError> {
    let mut names: Vec<String> = Vec::new();
    loop {
        let after = names.last().cloned().unwrap_or_default();
        let more = storage.list_page(prefix, &after, page).await?;
        let last = page == 0 || more.len() < page;
        names.extend(more);
        if last {
            return Ok(names);
        }
    }
}

pub(crate) fn paginate(mut names: Vec<String>, after: &str, limit: usize) -> Vec<String> {
    names.sort_unstable();
    let start = if after.is_empty() { 0 } else { names.partition_point(|name| name.as_str() <= after) };
    let count = if limit == 0 { usize::MAX } else { limit };
    names.into_iter().skip(start).take(count).collect()
}

/// An error from [`Storage`].
///
/// ```
/// use vault_plugin::logical::{Storage, StorageError};
/// # use vault_plugin::testing::MemoryStorage;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let memory = MemoryStorage::default();
/// # let storage: &dyn Storage = &memory;
/// storage.write("ttl", &"an hour").await?;
/// let error = storage.read::<u64>("ttl").await.unwrap_err();
/// assert!(matches!(&error, StorageError::Decode { key, .. } if key == "ttl"));
/// assert!(!error.to_string().contains("an hour"));
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The host returned this error. The message is unchanged, because the host compares it when it is returned.
    #[error("{0}")]
    Host(String),
    /// The host could not be reached: it, or the mount, is shutting down.
    #[error("cannot reach the host's storage: {0}")]
    Unreachable(String),
    /// The stored value is not JSON of the expected type. Its content is not shown.
    #[error("cannot decode stored value {key:?}: unexpected content at line {line} column {column}")]
    Decode {
        /// The key of the value.
        key: String,
        /// The line of the error.
        line: usize,
        /// The column of the error.
        column: usize,
    },
    /// The value cannot be represented as JSON.
    #[error("cannot encode value for {key:?} as JSON")]
    Encode {
        /// The key of the value.
        key: String,
    },
}

impl StorageError {
    /// Whether the error means that this node cannot write.
    ///
    /// ```
    /// # use vault_plugin::logical::{READ_ONLY, Storage};
    /// # use vault_plugin::testing::{MemoryStorage, StorageCall};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let storage = MemoryStorage::default();
    /// storage.fail_on(StorageCall::Delete, "", READ_ONLY);
    /// assert!(storage.delete("config").await.unwrap_err().is_read_only());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        matches!(self, StorageError::Host(text) if text.contains(READ_ONLY))
    }

    /// Whether the error is a conflict with another transaction.
    ///
    /// ```
    /// # use vault_plugin::{logical::{Access, Storage}, testing::MemoryStorage};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let storage = MemoryStorage::default();
    /// let first = storage.begin(Access::ReadWrite).await?.unwrap();
    /// let second = storage.begin(Access::ReadWrite).await?.unwrap();
    /// first.storage().write("count", &1).await?;
    /// second.storage().write("count", &2).await?;
    /// first.commit().await?;
    /// assert!(second.commit().await.unwrap_err().is_conflict());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, StorageError::Host(text) if text.contains(TRANSACTION_CONFLICT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(after: &str, limit: usize, expected: &[&str]) {
        let names = ["c", "a", "d/", "b"].map(str::to_owned).to_vec();
        assert_eq!(paginate(names, after, limit), expected);
    }

    #[test]
    fn a_page_starts_after_the_given_name_and_ends_at_the_limit() {
        check("", 0, &["a", "b", "c", "d/"]);
        check("", 2, &["a", "b"]);
        check("b", 0, &["c", "d/"]);
        check("b", 1, &["c"]);
        check("bb", 5, &["c", "d/"]);
        check("d/", 5, &[]);
    }
}
