//! The host's storage and settings as an engine sees them.

use std::time::Duration;

use async_trait::async_trait;
use go_plugin::MESSAGE_SIZE_LIMIT;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::from_wire::duration;
use super::pb;
use super::pb::storage_client::StorageClient;
use super::pb::system_view_client::SystemViewClient;
use crate::logical::{
    Access, PluginEnvironment, ReplicationState, Storage, StorageEntry, StorageError, SystemView,
    SystemViewError, Transaction,
};

/// Storage at the other end of a brokered connection.
pub(crate) struct RemoteStorage(StorageClient<Channel>);

impl RemoteStorage {
    pub(crate) fn new(channel: Channel) -> RemoteStorage {
        let client = StorageClient::new(channel);
        RemoteStorage(
            client
                .max_decoding_message_size(MESSAGE_SIZE_LIMIT)
                .max_encoding_message_size(MESSAGE_SIZE_LIMIT),
        )
    }

    fn client(&self) -> StorageClient<Channel> {
        self.0.clone()
    }
}

#[async_trait]
impl Storage for RemoteStorage {
    async fn get(&self, key: &str) -> Result<Option<StorageEntry>, StorageError> {
        let args = pb::StorageGetArgs { key: key.to_owned(), ..Default::default() };
        let reply = self.client().get(args).await.map_err(|status| unreachable(&status))?.into_inner();
        accepted(reply.err)?;
        let entry = reply.entry;
        Ok(entry.map(|entry| StorageEntry { key: entry.key, value: entry.value, seal_wrap: entry.seal_wrap }))
    }

    async fn put(&self, entry: StorageEntry) -> Result<(), StorageError> {
        let entry = pb::StorageEntry { key: entry.key, value: entry.value, seal_wrap: entry.seal_wrap };
        let args = pb::StoragePutArgs { entry: Some(entry), ..Default::default() };
        accepted(self.client().put(args).await.map_err(|status| unreachable(&status))?.into_inner().err)
    }

    async fn delete(&self, key: &str) -> Result<(), StorageError> {
        let args = pb::StorageDeleteArgs { key: key.to_owned(), ..Default::default() };
        accepted(self.client().delete(args).await.map_err(|status| unreachable(&status))?.into_inner().err)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, StorageError> {
        let args = pb::StorageListArgs { prefix: prefix.to_owned(), ..Default::default() };
        let reply = self.client().list(args).await.map_err(|status| unreachable(&status))?.into_inner();
        accepted(reply.err)?;
        Ok(reply.keys)
    }

    async fn begin(&self, _access: Access) -> Result<Option<Box<dyn Transaction>>, StorageError> {
        Ok(None)
    }
}

fn accepted(error: String) -> Result<(), StorageError> {
    if error.is_empty() { Ok(()) } else { Err(StorageError::Host(error)) }
}

fn unreachable(status: &Status) -> StorageError {
    StorageError::Unreachable(status.message().to_owned())
}

/// Settings at the other end of a brokered connection.
pub(crate) struct RemoteSystemView(SystemViewClient<Channel>);

impl RemoteSystemView {
    pub(crate) fn new(channel: Channel) -> RemoteSystemView {
        RemoteSystemView(SystemViewClient::new(channel))
    }

    fn client(&self) -> SystemViewClient<Channel> {
        self.0.clone()
    }
}

#[async_trait]
impl SystemView for RemoteSystemView {
    async fn default_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        let reply = self.client().default_lease_ttl(pb::Empty {}).await;
        Ok(duration(answered("the default lease duration", reply)?.ttl))
    }

    async fn max_lease_ttl(&self) -> Result<Duration, SystemViewError> {
        let reply = self.client().max_lease_ttl(pb::Empty {}).await;
        Ok(duration(answered("the longest lease duration", reply)?.ttl))
    }

    async fn tainted(&self) -> Result<bool, SystemViewError> {
        Ok(answered("the state of the mount", self.client().tainted(pb::Empty {}).await)?.tainted)
    }

    async fn caching_disabled(&self) -> Result<bool, SystemViewError> {
        let reply = self.client().caching_disabled(pb::Empty {}).await;
        Ok(answered("the state of caching", reply)?.disabled)
    }

    async fn replication_state(&self) -> Result<ReplicationState, SystemViewError> {
        let reply = self.client().replication_state(pb::Empty {}).await;
        let state = answered("the replication state", reply)?.state;
        Ok(ReplicationState::from_bits(state.cast_unsigned()))
    }

    async fn local_mount(&self) -> Result<bool, SystemViewError> {
        Ok(answered("whether the mount is local", self.client().local_mount(pb::Empty {}).await)?.local)
    }

    async fn plugin_env(&self) -> Result<PluginEnvironment, SystemViewError> {
        let reply = answered("its version", self.client().plugin_env(pb::Empty {}).await)?;
        if !reply.err.is_empty() {
            return Err(SystemViewError::Host(reply.err));
        }
        let env = reply.plugin_environment.unwrap_or_default();
        Ok(PluginEnvironment {
            version: env.vault_version,
            prerelease: env.vault_version_prerelease,
            metadata: env.vault_version_metadata,
        })
    }

    async fn generate_password(&self, policy: &str) -> Result<String, SystemViewError> {
        let request = pb::GeneratePasswordFromPolicyRequest { policy_name: policy.to_owned() };
        let reply = self.client().generate_password_from_policy(request).await;
        match reply {
            Err(status) if status.code() == Code::Unknown => {
                Err(SystemViewError::Host(status.message().to_owned()))
            }
            other => Ok(answered("passwords from policies", other)?.password),
        }
    }
}

fn answered<T>(what: &'static str, reply: Result<tonic::Response<T>, Status>) -> Result<T, SystemViewError> {
    match reply {
        Ok(reply) => Ok(reply.into_inner()),
        Err(status) if status.code() == Code::Unimplemented => Err(SystemViewError::Unsupported(what)),
        Err(status) => Err(SystemViewError::Unreachable(status.message().to_owned())),
    }
}
