use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tonic::{Request, Response};

use super::super::in_process::serve_in_process;
use super::*;
use crate::logical::with_transaction;
use crate::testing::MemoryStorage;
use pb::storage_server::{Storage as StorageService, StorageServer};

/// The storage service of a host: OpenBao, or Vault, which does not support some of the calls.
#[derive(Clone, Default)]
struct FakeStorageHost {
    storage: Arc<MemoryStorage>,
    openbao: bool,
    /// Makes the next transaction fail to begin.
    full: bool,
    transaction: Arc<tokio::sync::Mutex<Option<Box<dyn Transaction>>>>,
    calls: Arc<AtomicUsize>,
    lists: Arc<AtomicUsize>,
    rolled_back: Arc<tokio::sync::Notify>,
}

impl FakeStorageHost {
    fn openbao() -> FakeStorageHost {
        FakeStorageHost { openbao: true, ..FakeStorageHost::default() }
    }

    async fn storage(&self) -> RemoteStorage {
        RemoteStorage::new(serve_in_process(StorageServer::new(self.clone())).await)
    }

    fn check_supported(&self) -> Result<(), Status> {
        if self.openbao { Ok(()) } else { Err(Status::unimplemented("unknown method")) }
    }

    async fn begin(&self, access: Access) -> Result<Response<pb::StorageBeginTxReply>, Status> {
        self.check_supported()?;
        if self.full {
            let err = "too many transactions".to_owned();
            return Ok(Response::new(pb::StorageBeginTxReply { err, ..Default::default() }));
        }
        *self.transaction.lock().await = self.storage.begin(access).await.unwrap();
        Ok(Response::new(pb::StorageBeginTxReply { txn: "t1".to_owned(), err: String::new() }))
    }

    async fn end(&self, txn: &str) -> Result<Box<dyn Transaction>, Status> {
        let transaction = self.transaction.lock().await.take().filter(|_| txn == "t1");
        transaction.ok_or_else(|| Status::unknown("missing storage implementation"))
    }
}

#[tonic::async_trait]
impl StorageService for FakeStorageHost {
    async fn get(
        &self,
        request: Request<pb::StorageGetArgs>,
    ) -> Result<Response<pb::StorageGetReply>, Status> {
        let args = request.into_inner();
        let transaction = self.transaction.lock().await;
        let in_transaction =
            transaction.as_ref().filter(|_| args.txn == "t1").map(|open| &**open as &dyn Storage);
        let entry = in_transaction.unwrap_or(&*self.storage).get(&args.key).await.unwrap();
        let entry =
            entry.map(|entry| pb::StorageEntry { key: entry.key, value: entry.value, seal_wrap: false });
        Ok(Response::new(pb::StorageGetReply { entry, err: String::new() }))
    }

    async fn put(
        &self,
        request: Request<pb::StoragePutArgs>,
    ) -> Result<Response<pb::StoragePutReply>, Status> {
        let args = request.into_inner();
        let entry = args.entry.unwrap();
        let entry = StorageEntry { key: entry.key, value: entry.value, seal_wrap: false };
        let transaction = self.transaction.lock().await;
        let in_transaction =
            transaction.as_ref().filter(|_| args.txn == "t1").map(|open| &**open as &dyn Storage);
        let err = in_transaction.unwrap_or(&*self.storage).put(entry).await.err();
        Ok(Response::new(pb::StoragePutReply { err: err.map(|err| err.to_string()).unwrap_or_default() }))
    }

    async fn list(
        &self,
        request: Request<pb::StorageListArgs>,
    ) -> Result<Response<pb::StorageListReply>, Status> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        let keys = self.storage.list(&request.into_inner().prefix).await.unwrap();
        Ok(Response::new(pb::StorageListReply { keys, err: String::new() }))
    }

    async fn list_page(
        &self,
        request: Request<pb::StorageListPageArgs>,
    ) -> Result<Response<pb::StorageListReply>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.check_supported()?;
        let args = request.into_inner();
        let limit = usize::try_from(args.limit).unwrap_or(0);
        let keys = self.storage.list_page(&args.prefix, &args.after, limit).await.unwrap();
        Ok(Response::new(pb::StorageListReply { keys, err: String::new() }))
    }

    async fn is_transactional(
        &self,
        _request: Request<pb::Empty>,
    ) -> Result<Response<pb::StorageIsTransactionalReply>, Status> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        self.check_supported()?;
        Ok(Response::new(pb::StorageIsTransactionalReply { transactional: true }))
    }

    async fn begin_tx(
        &self,
        _request: Request<pb::Empty>,
    ) -> Result<Response<pb::StorageBeginTxReply>, Status> {
        self.begin(Access::ReadWrite).await
    }

    async fn begin_read_only_tx(
        &self,
        _request: Request<pb::Empty>,
    ) -> Result<Response<pb::StorageBeginTxReply>, Status> {
        self.begin(Access::Read).await
    }

    async fn commit(
        &self,
        request: Request<pb::StorageCommitTxArgs>,
    ) -> Result<Response<pb::StorageCommitTxReply>, Status> {
        let err = self.end(&request.into_inner().txn).await?.commit().await.err();
        Ok(Response::new(pb::StorageCommitTxReply {
            err: err.map(|err| err.to_string()).unwrap_or_default(),
        }))
    }

    async fn rollback(
        &self,
        request: Request<pb::StorageRollbackTxArgs>,
    ) -> Result<Response<pb::StorageRollbackTxReply>, Status> {
        self.end(&request.into_inner().txn).await?.rollback().await.unwrap();
        self.rolled_back.notify_one();
        Ok(Response::new(pb::StorageRollbackTxReply::default()))
    }
}

async fn write(storage: &dyn Storage, key: &str) -> Result<(), StorageError> {
    storage.write(key, &key).await
}

#[tokio::test]
async fn writes_in_a_transaction_of_the_host_are_visible_after_the_commit() {
    let host = FakeStorageHost::openbao();
    let storage = host.storage().await;
    let transaction = storage.begin(Access::ReadWrite).await.unwrap().expect("OpenBao has transactions");
    write(&*transaction, "a").await.unwrap();
    assert!(transaction.get("a").await.unwrap().is_some());
    assert!(storage.get("a").await.unwrap().is_none());
    transaction.commit().await.unwrap();
    assert!(storage.get("a").await.unwrap().is_some());
}

#[tokio::test]
async fn a_transaction_that_is_dropped_is_rolled_back_on_the_host() {
    let host = FakeStorageHost::openbao();
    let storage = host.storage().await;
    let transaction = storage.begin(Access::ReadWrite).await.unwrap().unwrap();
    write(&*transaction, "a").await.unwrap();
    drop(transaction);
    host.rolled_back.notified().await;
    assert_eq!((host.storage.keys().len(), host.storage.open_transactions()), (0, 0));
}

#[tokio::test]
async fn the_error_of_a_host_that_cannot_begin_a_transaction_is_reported() {
    let host = FakeStorageHost { full: true, ..FakeStorageHost::openbao() };
    let Err(error) = host.storage().await.begin(Access::ReadWrite).await else {
        panic!("the transaction should fail")
    };
    assert_eq!(error.to_string(), "too many transactions");
}

#[tokio::test]
async fn a_conflict_is_recognized() {
    let host = FakeStorageHost::openbao();
    let transaction = host.storage().await.begin(Access::ReadWrite).await.unwrap().unwrap();
    write(&*transaction, "a").await.unwrap();
    // A concurrent write.
    write(&*host.storage, "a").await.unwrap();
    assert!(transaction.commit().await.unwrap_err().is_conflict());
}

#[tokio::test]
async fn a_read_only_transaction_rejects_writes() {
    let storage = FakeStorageHost::openbao().storage().await;
    let reading = storage.begin(Access::Read).await.unwrap().unwrap();
    let error = write(&*reading, "a").await.unwrap_err();
    assert_eq!(error.to_string(), "transaction is read-only");
}

#[tokio::test]
async fn vault_is_asked_once_for_transactions_and_works_without() {
    let host = FakeStorageHost::default();
    let storage = host.storage().await;
    for key in ["a", "b"] {
        with_transaction(&storage, |storage| Box::pin(write(storage, key))).await.unwrap();
    }
    assert_eq!(host.storage.keys(), ["a", "b"]);
    assert_eq!(host.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_page_comes_from_the_host_or_from_the_whole_list() {
    for (host, calls, listed) in [(FakeStorageHost::openbao(), 2, 0), (FakeStorageHost::default(), 1, 2)] {
        let storage = host.storage().await;
        for key in ["roles/a", "roles/b", "roles/c"] {
            write(&*host.storage, key).await.unwrap();
        }
        assert_eq!(storage.list_page("roles/", "a", 1).await.unwrap(), ["b"]);
        assert_eq!(storage.list_page("roles/", "a", 0).await.unwrap(), ["b", "c"]);
        assert_eq!(host.calls.load(Ordering::Relaxed), calls);
        assert_eq!(host.lists.load(Ordering::Relaxed), listed);
    }
}
