//! Write-ahead log entries, in the storage format of `sdk/framework`, so that an engine ported from Go finds its entries.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::logical::{Storage, StorageEntry, StorageError};

/// The storage prefix of write-ahead log entries.
///
/// An engine passes it to [`Engine::seal_wrap`](crate::framework::Engine::seal_wrap) if its entries contain secrets.
pub const WAL_PREFIX: &str = "wal/";

/// The id and the time of a write-ahead log entry.
///
/// ```
/// # use vault_plugin::{framework::Context, logical::Error};
/// async fn undo(cx: Context<()>) -> Result<(), Error> {
///     let age = cx.wal_metadata().and_then(|entry| entry.created_at.elapsed().ok());
///     cx.logger().info(format!("rolling back an entry from {age:?} ago"));
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalMetadata {
    /// The id, with which the entry can be rewritten or deleted.
    pub id: String,
    /// When the entry was last written, in whole seconds.
    pub created_at: SystemTime,
}

/// An entry in storage.
#[derive(Deserialize)]
pub(crate) struct StoredEntry {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) data: Value,
    /// Unix time in seconds.
    pub(crate) created_at: i64,
}

#[derive(Serialize)]
struct NewEntry<'a, T> {
    #[serde(rename = "type")]
    kind: &'a str,
    data: &'a T,
    created_at: i64,
}

impl StoredEntry {
    /// Whether the entry is older than `age`, in whole seconds as in Go.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        let limit = unix_now() - i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        self.created_at < limit
    }

    /// Returns the metadata for the rollback handler.
    pub(crate) fn metadata(&self, id: &str) -> WalMetadata {
        let since_epoch = Duration::from_secs(u64::try_from(self.created_at).unwrap_or_default());
        WalMetadata { id: id.to_owned(), created_at: UNIX_EPOCH + since_epoch }
    }
}

pub(crate) async fn put<T: Serialize + Sync>(
    storage: &dyn Storage,
    seal_wrap: bool,
    kind: &str,
    data: &T,
) -> Result<String, StorageError> {
    let id = uuid::Uuid::new_v4().to_string();
    put_with_id(storage, seal_wrap, &id, kind, data).await?;
    Ok(id)
}

pub(crate) async fn put_with_id<T: Serialize + Sync>(
    storage: &dyn Storage,
    seal_wrap: bool,
    id: &str,
    kind: &str,
    data: &T,
) -> Result<(), StorageError> {
    let key = format!("{WAL_PREFIX}{id}");
    let entry = serde_json::to_vec(&NewEntry { kind, data, created_at: unix_now() });
    let value = entry.map_err(|_| StorageError::Encode { key: key.clone() })?;
    storage.put(StorageEntry { key, value, seal_wrap }).await
}

pub(crate) async fn get(storage: &dyn Storage, id: &str) -> Result<Option<StoredEntry>, StorageError> {
    storage.read(&format!("{WAL_PREFIX}{id}")).await
}

pub(crate) async fn delete(storage: &dyn Storage, id: &str) -> Result<(), StorageError> {
    storage.delete(&format!("{WAL_PREFIX}{id}")).await
}

pub(crate) async fn list(storage: &dyn Storage) -> Result<Vec<String>, StorageError> {
    storage.list(WAL_PREFIX).await
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
