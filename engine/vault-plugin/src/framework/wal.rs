//! Write-ahead entries, stored as `sdk/framework` stores them, so that an engine moved from Go finds its own.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::logical::{Storage, StorageError};

/// Where entries lie.
pub(crate) const PREFIX: &str = "wal/";

/// One announcement.
#[derive(Deserialize)]
pub(crate) struct Entry {
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

impl Entry {
    /// Whether the entry is older than `age`; to the second, as in Go.
    pub(crate) fn is_older_than(&self, age: Duration) -> bool {
        let limit = unix_now() - i64::try_from(age.as_secs()).unwrap_or(i64::MAX);
        self.created_at < limit
    }
}

pub(crate) async fn put<T: Serialize + Sync>(
    storage: &dyn Storage,
    kind: &str,
    data: &T,
) -> Result<String, StorageError> {
    let id = uuid::Uuid::new_v4().to_string();
    put_at(storage, &id, kind, data).await?;
    Ok(id)
}

pub(crate) async fn put_at<T: Serialize + Sync>(
    storage: &dyn Storage,
    id: &str,
    kind: &str,
    data: &T,
) -> Result<(), StorageError> {
    storage.write(&format!("{PREFIX}{id}"), &NewEntry { kind, data, created_at: unix_now() }).await
}

pub(crate) async fn get(storage: &dyn Storage, id: &str) -> Result<Option<Entry>, StorageError> {
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
