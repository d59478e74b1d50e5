//! The mount's own part of the host's storage.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The text by which hosts recognise a write refused by a standby or secondary, and forward the request to the active
/// node (`ErrReadOnly` of `sdk/logical`). It must reach the host as it is.
pub const READ_ONLY: &str = "cannot write to readonly storage";

/// The text by which a conflict of transactions is known (`ErrTransactionCommitFailure` of OpenBao's `sdk/physical`).
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
    /// Where it lies, relative to the mount.
    pub key: String,
    /// What lies there.
    pub value: Vec<u8>,
    /// Whether the host shall wrap it once more with its seal, where its seal can.
    pub seal_wrap: bool,
}

impl std::fmt::Debug for StorageEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StorageEntry").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What a transaction may do.
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
    /// Read and write, all or nothing.
    ReadWrite,
}

/// Storage of one mount. Every call goes to the host.
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
    /// The entry at `key`.
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError>;
    /// Stores an entry, over whatever was at its key.
    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError>;
    /// Removes what is at `key`; nothing there is no error.
    async fn delete(&self, key: &str) -> Result<(), StorageError>;
    /// The names directly below `prefix`, sorted; folders end in a slash.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError>;
    /// At most `limit` names that come after `after` (all of them where `limit` is 0).
    ///
    /// Where the host has no paged lists (Vault), the whole list is cut to measure.
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
    /// A transaction, or `None` where the host has none (Vault has none, OpenBao on raft has).
    async fn begin(&self, access: Access) -> Result<Option<Box<dyn Transaction>>, StorageError>;
}

/// Storage in which nothing is visible to others before `commit`. Dropped without `commit`, it is rolled back; say
/// `rollback` to know when.
///
/// A transaction holds resources of the host until it ends, so it must not wait for anything but storage.
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
    /// Makes all writes visible at once.
    ///
    /// Fails with [`StorageError::is_conflict`] where somebody else changed what was read or written here; nothing is
    /// changed then, and the work can be done again.
    async fn commit(self: Box<Self>) -> Result<(), StorageError>;
    /// Forgets all writes.
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
    /// What is read and written in the transaction, for everything that takes storage.
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
    /// The JSON value at `key`.
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
    /// assert!(storage.read::<Role>("roles/nobody").await?.is_none());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Fails when the host does or when the value is not of the type.
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
    /// Fails when the host does.
    pub async fn write<T: Serialize + Sync>(&self, key: &str, value: &T) -> Result<(), StorageError> {
        let value = serde_json::to_vec(value).map_err(|_| StorageError::Encode { key: key.to_owned() })?;
        self.put(StorageEntry { key: key.to_owned(), value, seal_wrap: false }).await
    }
}

/// How often work is done in a transaction that loses against others.
const MAX_ATTEMPTS: u32 = 12;

/// The first pause is at most this, the time of a few commits to a raft log, and each further one at most twice as long.
const INITIAL_BACKOFF: Duration = Duration::from_millis(20);

/// Where pauses stop growing: twenty clients that write one key have passed in this time.
const MAX_BACKOFF: Duration = Duration::from_millis(640);

/// What is to be done with storage.
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

/// Does `work` in a transaction, and commits it if the work succeeds.
///
/// Work that loses against another transaction is done again, up to twelve times in all: what it changes beside storage
/// it may change more than once. (`WithTransaction` of OpenBao's SDK hands the conflict to the caller instead.)
///
/// On a host without transactions the work is done once, on `storage` itself: each write is visible at once, and those
/// before a failure stay.
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
/// Fails as `work` does, or when the host cannot begin or commit; with [`StorageError::is_conflict`] when the work lost
/// every time.
pub async fn with_transaction<'s, T, E: From<StorageError>>(
    storage: &'s dyn Storage,
    // That `'s` outlives `'a` lets the work borrow what is around it.
    work: impl for<'a> Fn(&'a (dyn Storage + 's)) -> BoxFuture<'a, T, E> + Send,
) -> Result<T, E> {
    for attempt in 1..=MAX_ATTEMPTS {
        let Some(transaction) = storage.begin(Access::ReadWrite).await? else { break };
        let done = match work(&*transaction).await {
            Ok(done) => done,
            Err(error) => {
                // The work has failed already, and a transaction that is not rolled back here is when it is dropped.
                let _ = transaction.rollback().await;
                return Err(error);
            }
        };
        match transaction.commit().await {
            Ok(()) => return Ok(done),
            Err(error) if error.is_conflict() && attempt < MAX_ATTEMPTS => {
                // Those who lost together do not meet again.
                let longest = MAX_BACKOFF.min(INITIAL_BACKOFF * 2_u32.pow(attempt - 1));
                tokio::time::sleep(longest.mul_f64(rand::random())).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    work(storage).await
}

/// Every name below `prefix`, fetched `page` at a time so that no answer outgrows a message; with 0, in one request.
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
/// Fails when the host does.
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
    let wanted = if limit == 0 { usize::MAX } else { limit };
    names.into_iter().skip(start).take(wanted).collect()
}

/// Why storage failed.
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
    /// The host refused or failed; its own words, which the host compares with its own texts when they come back.
    #[error("{0}")]
    Host(String),
    /// The host could not be reached: it is going away, or the mount is.
    #[error("storage is out of reach: {0}")]
    Unreachable(String),
    /// Something that is not JSON of the expected form lies there. Its content is not shown.
    #[error("stored value {key:?} cannot be read: unexpected content at line {line} column {column}")]
    Decode {
        /// Where it lies.
        key: String,
        /// Line of the fault.
        line: usize,
        /// Column of the fault.
        column: usize,
    },
    /// A value has no JSON form.
    #[error("value for {key:?} cannot be stored")]
    Encode {
        /// Where it was to lie.
        key: String,
    },
}

impl StorageError {
    /// Whether this node cannot write.
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

    /// Whether a transaction was refused since another one changed what it had seen.
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
