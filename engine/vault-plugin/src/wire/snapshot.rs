//! The loaded snapshot that a request reads from (Vault Enterprise). Its id is in the metadata of the request, and is added to the
//! metadata of every storage call of the request.

use std::future::Future;

use tonic::Request;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

const KEY: &str = "snapshot_id";

tokio::task_local! {
    static SNAPSHOT: MetadataValue<Ascii>;
}

/// Runs a request with the snapshot of its metadata.
pub(super) async fn with_snapshot<T>(
    snapshot: Option<MetadataValue<Ascii>>,
    request: impl Future<Output = T>,
) -> T {
    match snapshot {
        Some(snapshot) => SNAPSHOT.scope(snapshot, request).await,
        None => request.await,
    }
}

/// Returns the id of the snapshot in the metadata of a request.
pub(super) fn snapshot_id(metadata: &MetadataMap) -> Option<MetadataValue<Ascii>> {
    metadata.get(KEY).cloned()
}

/// Returns a storage call with the snapshot of the current request.
pub(super) fn storage_request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    // Fails outside a request, and for requests without a snapshot.
    let _ = SNAPSHOT.try_with(|snapshot| request.metadata_mut().insert(KEY, snapshot.clone()));
    request
}
