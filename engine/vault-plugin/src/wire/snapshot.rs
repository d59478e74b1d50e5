//! The loaded snapshot that a request reads from (Vault Enterprise). It comes with a request's metadata, and goes with that of
//! every call to storage that the request makes.

use std::future::Future;

use tonic::Request;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};

const KEY: &str = "snapshot_id";

tokio::task_local! {
    static SNAPSHOT: MetadataValue<Ascii>;
}

/// Answers a request within the snapshot that its metadata names.
pub(super) async fn with_snapshot<T>(
    named: Option<MetadataValue<Ascii>>,
    answer: impl Future<Output = T>,
) -> T {
    match named {
        Some(snapshot) => SNAPSHOT.scope(snapshot, answer).await,
        None => answer.await,
    }
}

/// The snapshot that the metadata of a request names.
pub(super) fn snapshot_id(metadata: &MetadataMap) -> Option<MetadataValue<Ascii>> {
    metadata.get(KEY).cloned()
}

/// A call to storage, within the snapshot of the request that makes it.
pub(super) fn storage_request<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    // Outside of a request, and in most of them, there is none.
    let _ = SNAPSHOT.try_with(|snapshot| request.metadata_mut().insert(KEY, snapshot.clone()));
    request
}
