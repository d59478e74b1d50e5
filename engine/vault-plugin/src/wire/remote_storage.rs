//! The client of the host's storage, with transactions and paginated lists of OpenBao.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use go_plugin::MESSAGE_SIZE_LIMIT;
use tokio::runtime::Handle;
use tokio::sync::OnceCell;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::pb::storage_client::StorageClient;
use super::{pb, snapshot};
use crate::logical::{Access, Storage, StorageEntry, StorageError, Transaction, paginate};

/// The host's storage on a brokered connection.
pub(crate) struct RemoteStorage {
    calls: StorageCalls,
    /// Determined once per instance, because the storage of a mount does not change.
    transactional: OnceCell<bool>,
}

impl RemoteStorage {
    pub(crate) fn new(channel: Channel) -> RemoteStorage {
        let client = StorageClient::new(channel)
            .max_decoding_message_size(MESSAGE_SIZE_LIMIT)
            .max_encoding_message_size(MESSAGE_SIZE_LIMIT);
        let calls = StorageCalls { client, txn: String::new(), unpaged: Arc::default() };
        RemoteStorage { calls, transactional: OnceCell::new() }
    }

    /// Returns whether the host has transactions. A failure is not cached, because storage may be missing while a plugin is set up.
    async fn is_transactional(&self) -> Result<bool, StorageError> {
        let call = async || match self.calls.client().is_transactional(pb::Empty {}).await {
            Ok(reply) => Ok(reply.into_inner().transactional),
            Err(status) if status.code() == Code::Unimplemented => Ok(false),
            Err(status) => Err(map_status(&status)),
        };
        self.transactional.get_or_try_init(call).await.copied()
    }
}

#[async_trait]
impl Storage for RemoteStorage {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        self.calls.get(key).await
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        self.calls.put(entry).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.calls.delete(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.calls.list(prefix).await
    }

    async fn list_page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StorageError> {
        self.calls.list_page(prefix, after, limit).await
    }

    async fn begin(&self, access: Access) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        if !self.is_transactional().await? {
            return Ok(None);
        }
        // A task, so that a caller that is cancelled does not leave a transaction open on the host.
        let task = tokio::spawn(RemoteTransaction::begin(self.calls.clone(), access));
        let transaction = task.await.map_err(|error| StorageError::Unreachable(error.to_string()))??;
        Ok(Some(Box::new(transaction)))
    }
}

/// An open transaction of the host.
struct RemoteTransaction {
    calls: StorageCalls,
    open: bool,
}

impl RemoteTransaction {
    async fn begin(calls: StorageCalls, access: Access) -> Result<RemoteTransaction, StorageError> {
        let reply = match access {
            Access::Read => calls.client().begin_read_only_tx(pb::Empty {}).await,
            Access::ReadWrite => calls.client().begin_tx(pb::Empty {}).await,
        };
        let reply = reply.map_err(|status| map_status(&status))?.into_inner();
        check_reply(reply.err)?;
        if reply.txn.is_empty() {
            // A call without a name is outside every transaction, so its writes would not be isolated.
            return Err(StorageError::Host("the host returned a transaction without a name".to_owned()));
        }
        Ok(RemoteTransaction { calls: StorageCalls { txn: reply.txn, ..calls }, open: true })
    }
}

#[async_trait]
impl Storage for RemoteTransaction {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        self.calls.get(key).await
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        self.calls.put(entry).await
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        self.calls.delete(key).await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        self.calls.list(prefix).await
    }

    async fn list_page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StorageError> {
        self.calls.list_page(prefix, after, limit).await
    }

    /// Returns `None`: no host supports nested transactions.
    async fn begin(&self, _access: Access) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        Ok(None)
    }
}

#[async_trait]
impl Transaction for RemoteTransaction {
    async fn commit(mut self: Box<Self>) -> Result<(), StorageError> {
        let args = pb::StorageCommitTxArgs { txn: self.calls.txn.clone() };
        let reply = self.calls.client().commit(args).await.map_err(|status| map_status(&status))?;
        self.open = false;
        check_reply(reply.into_inner().err)
    }

    async fn rollback(mut self: Box<Self>) -> Result<(), StorageError> {
        let args = pb::StorageRollbackTxArgs { txn: self.calls.txn.clone() };
        let reply = self.calls.client().rollback(args).await.map_err(|status| map_status(&status))?;
        self.open = false;
        check_reply(reply.into_inner().err)
    }
}

impl Drop for RemoteTransaction {
    fn drop(&mut self) {
        if !self.open {
            return;
        }
        // Without a runtime the process is exiting, and the host rolls back when the connection is closed.
        if let Ok(runtime) = Handle::try_current() {
            let (mut client, txn) = (self.calls.client(), std::mem::take(&mut self.calls.txn));
            runtime.spawn(async move { client.rollback(pb::StorageRollbackTxArgs { txn }).await });
        }
    }
}

/// The calls that are the same inside and outside a transaction.
#[derive(Clone)]
struct StorageCalls {
    client: StorageClient<Channel>,
    /// The host's name of the transaction, or an empty string.
    txn: String,
    /// Whether the host does not support paginated lists.
    unpaged: Arc<AtomicBool>,
}

impl StorageCalls {
    fn client(&self) -> StorageClient<Channel> {
        self.client.clone()
    }

    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        let args = pb::StorageGetArgs { key: key.to_owned(), txn: self.txn.clone() };
        let reply = self
            .client()
            .get(snapshot::storage_request(args))
            .await
            .map_err(|status| map_status(&status))?
            .into_inner();
        check_reply(reply.err)?;
        let entry = reply.entry;
        Ok(entry.map(|entry| StorageEntry { key: entry.key, value: entry.value, seal_wrap: entry.seal_wrap }))
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        let entry = pb::StorageEntry { key: entry.key, value: entry.value, seal_wrap: entry.seal_wrap };
        let args = pb::StoragePutArgs { entry: Some(entry), txn: self.txn.clone() };
        check_reply(
            self.client()
                .put(snapshot::storage_request(args))
                .await
                .map_err(|status| map_status(&status))?
                .into_inner()
                .err,
        )
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let args = pb::StorageDeleteArgs { key: key.to_owned(), txn: self.txn.clone() };
        check_reply(
            self.client()
                .delete(snapshot::storage_request(args))
                .await
                .map_err(|status| map_status(&status))?
                .into_inner()
                .err,
        )
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let args = pb::StorageListArgs { prefix: prefix.to_owned(), txn: self.txn.clone() };
        let reply = self
            .client()
            .list(snapshot::storage_request(args))
            .await
            .map_err(|status| map_status(&status))?
            .into_inner();
        check_reply(reply.err)?;
        Ok(reply.keys)
    }

    async fn list_page(&self, prefix: &str, after: &str, limit: usize) -> Result<Vec<String>, StorageError> {
        if !self.unpaged.load(Ordering::Relaxed) {
            let args = pb::StorageListPageArgs {
                prefix: prefix.to_owned(),
                after: after.to_owned(),
                // The host treats zero as no limit.
                limit: i32::try_from(limit).unwrap_or_default(),
                txn: self.txn.clone(),
            };
            match self.client().list_page(snapshot::storage_request(args)).await {
                Ok(reply) => {
                    let reply = reply.into_inner();
                    check_reply(reply.err)?;
                    return Ok(reply.keys);
                }
                Err(status) if status.code() == Code::Unimplemented => {
                    self.unpaged.store(true, Ordering::Relaxed);
                }
                Err(status) => return Err(map_status(&status)),
            }
        }
        Ok(paginate(self.list(prefix).await?, after, limit))
    }
}

fn check_reply(error: String) -> Result<(), StorageError> {
    if error.is_empty() { Ok(()) } else { Err(StorageError::Host(error)) }
}

fn map_status(status: &Status) -> StorageError {
    StorageError::Unreachable(status.message().to_owned())
}

#[cfg(test)]
mod tests;
