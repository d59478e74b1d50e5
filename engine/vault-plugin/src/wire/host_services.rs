//! The services of a host for an engine in another process: storage, settings, events and observations.

use std::sync::Arc;

use go_plugin::MESSAGE_SIZE_LIMIT;
use tonic::service::{Routes, RoutesBuilder};
use tonic::{Request, Response, Status};

use super::pb::events_server::{Events, EventsServer};
use super::pb::observations_server::{Observations, ObservationsServer};
use super::pb::storage_server::{Storage as StorageService, StorageServer};
use super::pb::system_view_server::{SystemView as SystemViewService, SystemViewServer};
use super::{pb, to_wire};
use crate::logical::{Storage, StorageEntry, StorageError, SystemView, SystemViewError};

/// The error of Vault's community edition for rotation jobs.
const NO_ROTATION: &str = "rotation manager capabilities not supported in Vault community edition";

/// Returns the services for one mount. Missing ones (OpenBao's transactions, identity tokens) return `Unimplemented`, which the
/// SDKs handle.
pub(crate) fn host_services(storage: Arc<dyn Storage>, system: Arc<dyn SystemView>) -> Routes {
    let storage = StorageServer::new(ServiceAdapter(storage))
        .max_decoding_message_size(MESSAGE_SIZE_LIMIT)
        .max_encoding_message_size(MESSAGE_SIZE_LIMIT);
    let mut routes = RoutesBuilder::default();
    routes.add_service(storage);
    routes.add_service(SystemViewServer::new(ServiceAdapter(system)));
    routes.add_service(EventsServer::new(NoopEvents));
    routes.add_service(ObservationsServer::new(NoopEvents));
    routes.routes()
}

struct ServiceAdapter<T: ?Sized>(Arc<T>);

#[tonic::async_trait]
impl StorageService for ServiceAdapter<dyn Storage> {
    async fn list(
        &self,
        request: Request<pb::StorageListArgs>,
    ) -> Result<Response<pb::StorageListReply>, Status> {
        let (keys, err) = split_error(self.0.list(&request.into_inner().prefix).await)?;
        Ok(Response::new(pb::StorageListReply { keys, err }))
    }

    async fn get(
        &self,
        request: Request<pb::StorageGetArgs>,
    ) -> Result<Response<pb::StorageGetReply>, Status> {
        let (entry, err) = split_error(self.0.get(&request.into_inner().key).await)?;
        let entry =
            entry.map(|StorageEntry { key, value, seal_wrap }| pb::StorageEntry { key, value, seal_wrap });
        Ok(Response::new(pb::StorageGetReply { entry, err }))
    }

    async fn put(
        &self,
        request: Request<pb::StoragePutArgs>,
    ) -> Result<Response<pb::StoragePutReply>, Status> {
        let Some(pb::StorageEntry { key, value, seal_wrap }) = request.into_inner().entry else {
            return Err(Status::invalid_argument("the request does not contain an entry"));
        };
        let ((), err) = split_error(self.0.put(StorageEntry { key, value, seal_wrap }).await)?;
        Ok(Response::new(pb::StoragePutReply { err }))
    }

    async fn delete(
        &self,
        request: Request<pb::StorageDeleteArgs>,
    ) -> Result<Response<pb::StorageDeleteReply>, Status> {
        let ((), err) = split_error(self.0.delete(&request.into_inner().key).await)?;
        Ok(Response::new(pb::StorageDeleteReply { err }))
    }
}

/// Splits a result into the value and the error text of the reply. Missing storage is a gRPC status, as in Vault.
fn split_error<T: Default>(result: Result<T, StorageError>) -> Result<(T, String), Status> {
    match result {
        Ok(value) => Ok((value, String::new())),
        Err(StorageError::Unreachable(text)) => Err(Status::unknown(text)),
        Err(error) => Ok((T::default(), error.to_string())),
    }
}

#[tonic::async_trait]
impl SystemViewService for ServiceAdapter<dyn SystemView> {
    async fn default_lease_ttl(
        &self,
        _request: Request<pb::Empty>,
    ) -> Result<Response<pb::TtlReply>, Status> {
        let ttl = self.0.default_lease_ttl().await.map_err(to_status)?;
        Ok(Response::new(pb::TtlReply { ttl: to_wire::nanoseconds(ttl) }))
    }

    async fn max_lease_ttl(&self, _request: Request<pb::Empty>) -> Result<Response<pb::TtlReply>, Status> {
        let ttl = self.0.max_lease_ttl().await.map_err(to_status)?;
        Ok(Response::new(pb::TtlReply { ttl: to_wire::nanoseconds(ttl) }))
    }

    async fn tainted(&self, _request: Request<pb::Empty>) -> Result<Response<pb::TaintedReply>, Status> {
        Ok(Response::new(pb::TaintedReply { tainted: self.0.tainted().await.map_err(to_status)? }))
    }

    async fn caching_disabled(
        &self,
        _request: Request<pb::Empty>,
    ) -> Result<Response<pb::CachingDisabledReply>, Status> {
        let disabled = self.0.caching_disabled().await.map_err(to_status)?;
        Ok(Response::new(pb::CachingDisabledReply { disabled }))
    }

    async fn replication_state(
        &self,
        _request: Request<pb::Empty>,
    ) -> Result<Response<pb::ReplicationStateReply>, Status> {
        let state = self.0.replication_state().await.map_err(to_status)?;
        Ok(Response::new(pb::ReplicationStateReply { state: state.bits().cast_signed() }))
    }

    async fn local_mount(
        &self,
        _request: Request<pb::Empty>,
    ) -> Result<Response<pb::LocalMountReply>, Status> {
        Ok(Response::new(pb::LocalMountReply { local: self.0.local_mount().await.map_err(to_status)? }))
    }

    async fn plugin_env(&self, _request: Request<pb::Empty>) -> Result<Response<pb::PluginEnvReply>, Status> {
        let env = self.0.plugin_env().await.map_err(to_status)?;
        let plugin_environment = Some(pb::PluginEnvironment {
            vault_version: env.version,
            vault_version_prerelease: env.prerelease,
            vault_version_metadata: env.metadata,
        });
        Ok(Response::new(pb::PluginEnvReply { plugin_environment, err: String::new() }))
    }

    async fn generate_password_from_policy(
        &self,
        request: Request<pb::GeneratePasswordFromPolicyRequest>,
    ) -> Result<Response<pb::GeneratePasswordFromPolicyReply>, Status> {
        let policy = request.into_inner().policy_name;
        if policy.is_empty() {
            return Err(Status::invalid_argument("no password policy specified"));
        }
        let password = self.0.generate_password(&policy).await.map_err(to_status)?;
        let password = password.expose().to_owned();
        Ok(Response::new(pb::GeneratePasswordFromPolicyReply { password }))
    }

    async fn cluster_info(
        &self,
        _request: Request<pb::Empty>,
    ) -> Result<Response<pb::ClusterInfoReply>, Status> {
        let cluster = self.0.cluster().await.map_err(to_status)?;
        Ok(Response::new(pb::ClusterInfoReply {
            cluster_name: cluster.name,
            cluster_id: cluster.id,
            err: String::new(),
        }))
    }

    async fn mlock_enabled(
        &self,
        _request: Request<pb::Empty>,
    ) -> Result<Response<pb::MlockEnabledReply>, Status> {
        Ok(Response::new(pb::MlockEnabledReply { enabled: false }))
    }

    async fn entity_info(
        &self,
        _request: Request<pb::EntityInfoArgs>,
    ) -> Result<Response<pb::EntityInfoReply>, Status> {
        Ok(Response::new(pb::EntityInfoReply::default()))
    }

    async fn groups_for_entity(
        &self,
        _request: Request<pb::EntityInfoArgs>,
    ) -> Result<Response<pb::GroupsForEntityReply>, Status> {
        Ok(Response::new(pb::GroupsForEntityReply::default()))
    }

    async fn register_rotation_job(
        &self,
        _request: Request<pb::RegisterRotationJobRequest>,
    ) -> Result<Response<pb::RegisterRotationJobResponse>, Status> {
        Err(Status::internal(NO_ROTATION))
    }

    /// Does nothing: engines of the Go SDK call it whenever no rotation is configured.
    async fn deregister_rotation_job(
        &self,
        _request: Request<pb::DeregisterRotationJobRequest>,
    ) -> Result<Response<pb::Empty>, Status> {
        Ok(Response::new(pb::Empty {}))
    }
}

fn to_status(error: SystemViewError) -> Status {
    match error {
        SystemViewError::Host(text) | SystemViewError::Unreachable(text) => Status::unknown(text),
        SystemViewError::Unsupported(what) => Status::unimplemented(what),
    }
}

/// Discards events and observations.
struct NoopEvents;

#[tonic::async_trait]
impl Events for NoopEvents {
    async fn send_event(
        &self,
        _request: Request<pb::SendEventRequest>,
    ) -> Result<Response<pb::Empty>, Status> {
        Ok(Response::new(pb::Empty {}))
    }
}

#[tonic::async_trait]
impl Observations for NoopEvents {
    async fn record_observation(
        &self,
        _request: Request<pb::RecordObservationRequest>,
    ) -> Result<Response<pb::Empty>, Status> {
        Ok(Response::new(pb::Empty {}))
    }
}
