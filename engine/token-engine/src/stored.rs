//! Changes of stored values that are cached in memory.

use serde::Serialize;
use serde::de::DeserializeOwned;
use vault_plugin::framework::Context;
use vault_plugin::logical::{
    BoxFuture, Error, Response, Storage, StorageEntry, StorageError, with_transaction,
};

use crate::TokenEngine;

/// A value that is stored as JSON.
pub(crate) trait Stored: Clone + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Whether the host encrypts it with its seal too.
    const SEAL_WRAP: bool;
}

/// A stored change of a value.
pub(crate) struct Change<T> {
    /// `None` if the value is new.
    pub(crate) before: Option<T>,
    pub(crate) after: T,
}

/// Reads the value at `key`, stores the one that `change` returns, and drops the cached one. If `change` fails, nothing is stored.
///
/// Concurrent changes do not overwrite each other's fields: in this process due to a lock, and across nodes due to a transaction if the
/// host supports it. After a conflict, `change` is called again. The change completes even if the request is cancelled.
pub(crate) async fn update<T: Stored>(
    context: &Context<TokenEngine>,
    key: String,
    change: impl for<'a> Fn(&'a dyn Storage, Option<T>) -> BoxFuture<'a, T, Error> + Send + Sync + 'static,
) -> Result<Change<T>, Error> {
    let work = context.clone();
    context
        .run_to_completion(async move {
            let _guard = work.lock(&key).await;
            let result = with_transaction(work.storage(), |storage| {
                let (key, change) = (&key, &change);
                Box::pin(async move {
                    let before: Option<T> = storage.read(key).await?;
                    let after = change(storage, before.clone()).await?;
                    write(storage, key, &after).await?;
                    Ok::<_, Error>(Change { before, after })
                })
            })
            .await;
            work.state().invalidate(&key);
            result
        })
        .await
}

/// Deletes the value at `key`, and drops the cached one. The deletion completes even if the request is cancelled.
pub(crate) async fn delete(context: &Context<TokenEngine>, key: String) -> Result<(), Error> {
    let work = context.clone();
    context
        .run_to_completion(async move {
            let _guard = work.lock(&key).await;
            let deleted = work.storage().delete(&key).await;
            work.state().invalidate(&key);
            Ok(deleted?)
        })
        .await
}

async fn write<T: Stored>(storage: &dyn Storage, key: &str, value: &T) -> Result<(), StorageError> {
    let value = serde_json::to_vec(value).map_err(|_| StorageError::Encode { key: key.to_owned() })?;
    storage.put(StorageEntry { key: key.to_owned(), value, seal_wrap: T::SEAL_WRAP }).await
}

/// Returns the response to a write: none, unless there are warnings.
pub(crate) fn warnings_response(warnings: Vec<String>) -> Option<Response> {
    (!warnings.is_empty()).then(|| Response { warnings, ..Response::default() })
}
