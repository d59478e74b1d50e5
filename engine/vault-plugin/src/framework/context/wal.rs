//! Write-ahead entries, stored as `sdk/framework` stores them, so that an engine moved from Go finds its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::logical::{Storage, StorageEntry, StorageError};

/// Where entries lie.
pub(crate) const PREFIX: &str = "wal/";

/// Which write-ahead entry it is, and since when.
///
/// ```
/// # use vault_plugin::{framework::Context, logical::Error};
/// async fn undo(cx: Context<()>) -> Result<(), Error> {
///     let age = cx.wal_metadata().and_then(|record| record.created_at.elapsed().ok());
///     cx.logger().info(format!("announced {age:?} ago"));
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalMetadata {
    /// By which it is written again or deleted.
    pub id: String,
    /// When it was written last, to the second.
    pub created_at: SystemTime,
}

/// One announcement.
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
    /// Whether the entry is older than `age`; to the second, as in Go.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        let limit = unix_now() - i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        self.created_at < limit
    }

    /// What its rollback is told of it.
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
    let key = format!("{PREFIX}{id}");
    let entry = serde_json::to_vec(&NewEntry { kind, data, created_at: unix_now() });
    let value = entry.map_err(|_| StorageError::Encode { key: key.clone() })?;
    storage.put(StorageEntry { key, value, seal_wrap }).await
}

pub(crate) async fn get(storage: &dyn Storage, id: &str) -> Result<Option<StoredEntry>, StorageError> {
    storage.read(&format!("{PREFIX}{id}")).await
}

pub(crate) async fn delete(storage: &dyn Storage, id: &str) -> Result<(), StorageError> {
    storage.delete(&format!("{PREFIX}{id}")).await
}

pub(crate) async fn list(storage: &dyn Storage) -> Result<Vec<String>, StorageError> {
    storage.list(PREFIX).await
}

fn unix_now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
