//! The gRPC services of a plugin process. Several mounts share one process: the metadata of a request identifies its mount.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use go_plugin::log::Logger;
use go_plugin::{Broker, GracefulShutdown, MESSAGE_SIZE_LIMIT, ShutdownGuard};
use parking_lot::RwLock;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::multiplexing::plugin_multiplexing_server::{PluginMultiplexing, PluginMultiplexingServer};
use super::multiplexing::{MultiplexingSupportRequest, MultiplexingSupportResponse};
use super::pb::backend_server::BackendServer;
use super::remote_events::RemoteEvents;
use super::remote_storage::RemoteStorage;
use super::remote_system::RemoteSystemView;
use super::version::VersionReply;
use super::version::plugin_version_server::{PluginVersion, PluginVersionServer};
use super::{from_wire, pb, snapshot, to_wire, version};
use crate::logical::{
    Backend, BackendConfig, Error, EventError, Factory, InFlight, Product, StorageError, SystemViewError,
};

/// Returns the services that a host calls.
pub(crate) fn routes(
    factory: Factory,
    version: String,
    product: Product,
    (broker, graceful_shutdown): (Broker, GracefulShutdown),
    logger: Logger,
) -> Routes {
    let mounts = InstanceRegistry {
        factory,
        product,
        broker,
        graceful_shutdown,
        logger,
        instances: RwLock::default(),
    };
    let backend = BackendServer::new(mounts)
        .max_decoding_message_size(MESSAGE_SIZE_LIMIT)
        .max_encoding_message_size(MESSAGE_SIZE_LIMIT);
    let mut routes = tonic::service::RoutesBuilder::default();
    routes.add_service(backend);
    routes.add_service(PluginVersionServer::new(VersionService(version)));
    routes.add_service(PluginMultiplexingServer::new(MultiplexingService));
    routes.routes()
}

/// The mounts of this process. The lock is held only to read or change the table, never while a handler runs, so that a slow
/// mount does not block the others.
struct InstanceRegistry {
    factory: Factory,
    product: Product,
    broker: Broker,
    graceful_shutdown: GracefulShutdown,
    logger: Logger,
    instances: RwLock<HashMap<String, RegisteredInstance>>,
}

struct RegisteredInstance {
    backend: Arc<dyn Backend>,
    /// Delays the exit of the process until requests that are on their way are answered. A mount that gets no requests, such as that of
    /// a server that registers a version, does not register.
    registration: OnceLock<ShutdownGuard>,
    in_flight: InFlight,
}

/// Vault and OpenBao recognize this message of Go's `net/rpc`: they restart the plugin and retry, and no client sees it.
const ERR_SHUTDOWN: &str = "connection is shut down";

/// How long to wait for the shutdown after a failed callback, which may fail just before the plugin is notified.
const SHUTDOWN_NOTICE_GRACE_PERIOD: Duration = Duration::from_millis(250);

/// How long the cleanup of a mount waits for work that continues after its request. The host holds back requests to the mount.
const CLEANUP_GRACE_PERIOD: Duration = Duration::from_secs(10);

impl InstanceRegistry {
    fn instance(&self, metadata: &MetadataMap) -> Result<Arc<dyn Backend>, Status> {
        let id = multiplex_id(metadata)?;
        let mounts = self.instances.read();
        mounts.get(id).map(|mount| Arc::clone(&mount.backend)).ok_or_else(unknown_instance)
    }

    /// Returns the instance, and registers it for further requests.
    fn acquire(&self, metadata: &MetadataMap) -> Result<Arc<dyn Backend>, Status> {
        let id = multiplex_id(metadata)?;
        let mounts = self.instances.read();
        let mount = mounts.get(id).ok_or_else(unknown_instance)?;
        mount.registration.get_or_init(|| self.graceful_shutdown.register_instance());
        Ok(Arc::clone(&mount.backend))
    }

    /// Runs the handler. If the host is shutting this process down because of another mount, returns the error on which the host
    /// retries with the next process.
    async fn run_handler<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let _tracked = self.graceful_shutdown.track_request();
        let retry = || Err(Error::internal(ERR_SHUTDOWN));
        if self.graceful_shutdown.is_shutting_down() {
            return retry();
        }
        let result = work.await;
        match &result {
            Err(_) if self.graceful_shutdown.is_shutting_down() => retry(),
            Err(error) if is_unreachable(error) => {
                match tokio::time::timeout(
                    SHUTDOWN_NOTICE_GRACE_PERIOD,
                    self.graceful_shutdown.shutting_down(),
                )
                .await
                {
                    Ok(()) => retry(),
                    Err(_) => result,
                }
            }
            _ => result,
        }
    }
}

/// Whether the engine failed because the host could not be reached.
fn is_unreachable(error: &Error) -> bool {
    matches!(
        error,
        Error::Storage(StorageError::Unreachable(_))
            | Error::System(SystemViewError::Unreachable(_))
            | Error::Event(EventError::Unreachable(_))
    )
}

fn unknown_instance() -> Status {
    Status::not_found("no backend instance found")
}

/// Returns the id of the mount. Exactly one is required, as in the Go SDK.
fn multiplex_id(metadata: &MetadataMap) -> Result<&str, Status> {
    let mut ids = metadata.get_all("multiplex_id").iter();
    match (ids.next().map(|id| id.to_str()), ids.next()) {
        (Some(Ok(id)), None) if !id.is_empty() => Ok(id),
        _ => Err(Status::invalid_argument("the metadata must contain exactly one multiplex_id")),
    }
}

#[tonic::async_trait]
impl pb::backend_server::Backend for InstanceRegistry {
    async fn setup(&self, request: Request<pb::SetupArgs>) -> Result<Response<pb::SetupReply>, Status> {
        let id = multiplex_id(request.metadata())?.to_owned();
        let args = request.into_inner();
        let channel = match self.broker.dial(args.broker_id).await {
            Ok(channel) => channel,
            Err(error) => {
                let err = format!("cannot reach the host's storage: {error}");
                return Ok(Response::new(pb::SetupReply { err }));
            }
        };
        let config = BackendConfig {
            storage: Arc::new(RemoteStorage::new(channel.clone())),
            system: Arc::new(RemoteSystemView::new(channel.clone())),
            events: Arc::new(RemoteEvents::new(channel)),
            product: self.product,
            logger: self.logger.clone(),
            options: args.config.into_iter().collect(),
            backend_uuid: args.backend_uuid,
            in_flight: InFlight::with_graceful_shutdown(self.graceful_shutdown.clone()),
        };
        let in_flight = config.in_flight.clone();
        let backend = (self.factory)(config);
        self.instances
            .write()
            .insert(id, RegisteredInstance { backend, registration: OnceLock::new(), in_flight });
        Ok(Response::new(pb::SetupReply::default()))
    }

    async fn initialize(
        &self,
        request: Request<pb::InitializeArgs>,
    ) -> Result<Response<pb::InitializeReply>, Status> {
        let mount = self.acquire(request.metadata())?;
        let err = mount.initialize().await.err();
        Ok(Response::new(pb::InitializeReply { err: err.as_ref().map(to_wire::error) }))
    }

    async fn handle_request(
        &self,
        request: Request<pb::HandleRequestArgs>,
    ) -> Result<Response<pb::HandleRequestReply>, Status> {
        let mount = self.acquire(request.metadata())?;
        let snapshot = snapshot::snapshot_id(request.metadata());
        let result = match from_wire::request(request.into_inner().request) {
            Ok(request) => {
                snapshot::with_snapshot(snapshot, self.run_handler(mount.handle_request(request))).await
            }
            Err(error) => Err(Error::internal(error.to_string())),
        };
        Ok(Response::new(match result {
            Ok(response) => pb::HandleRequestReply { response: response.map(to_wire::response), err: None },
            Err(error) => pb::HandleRequestReply { response: None, err: Some(to_wire::error(&error)) },
        }))
    }

    async fn handle_existence_check(
        &self,
        request: Request<pb::HandleExistenceCheckArgs>,
    ) -> Result<Response<pb::HandleExistenceCheckReply>, Status> {
        let mount = self.acquire(request.metadata())?;
        let found = match from_wire::request(request.into_inner().request) {
            Ok(request) => self.run_handler(mount.handle_existence_check(request)).await,
            Err(error) => Err(Error::internal(error.to_string())),
        };
        Ok(Response::new(match found {
            Ok(found) => pb::HandleExistenceCheckReply {
                check_found: found.is_some(),
                exists: found.unwrap_or_default(),
                err: None,
            },
            Err(error) => {
                pb::HandleExistenceCheckReply { err: Some(to_wire::error(&error)), ..Default::default() }
            }
        }))
    }

    async fn special_paths(
        &self,
        request: Request<pb::Empty>,
    ) -> Result<Response<pb::SpecialPathsReply>, Status> {
        let paths = self.instance(request.metadata())?.special_paths();
        Ok(Response::new(pb::SpecialPathsReply { paths: Some(to_wire::special_paths(paths)) }))
    }

    async fn r#type(&self, request: Request<pb::Empty>) -> Result<Response<pb::TypeReply>, Status> {
        let kind = self.instance(request.metadata())?.kind();
        Ok(Response::new(pb::TypeReply { r#type: kind as u32 }))
    }

    async fn invalidate_key(
        &self,
        request: Request<pb::InvalidateKeyArgs>,
    ) -> Result<Response<pb::Empty>, Status> {
        let mount = self.instance(request.metadata())?;
        mount.invalidate_key(&request.into_inner().key).await;
        Ok(Response::new(pb::Empty {}))
    }

    /// Removes the mount, and closes the connection to the host's storage, which the host waits for.
    async fn cleanup(&self, request: Request<pb::Empty>) -> Result<Response<pb::Empty>, Status> {
        let id = multiplex_id(request.metadata())?;
        let mount = self.instances.write().remove(id);
        if let Some(RegisteredInstance { backend, registration: _registration, in_flight }) = mount {
            // Work that takes longer has a write-ahead log entry.
            let _ = tokio::time::timeout(CLEANUP_GRACE_PERIOD, in_flight.wait_idle()).await;
            backend.cleanup().await;
        }
        Ok(Response::new(pb::Empty {}))
    }
}

struct VersionService(String);

#[tonic::async_trait]
impl PluginVersion for VersionService {
    async fn version(&self, _request: Request<version::Empty>) -> Result<Response<VersionReply>, Status> {
        Ok(Response::new(VersionReply { plugin_version: self.0.clone() }))
    }
}

struct MultiplexingService;

#[tonic::async_trait]
impl PluginMultiplexing for MultiplexingService {
    async fn multiplexing_support(
        &self,
        _request: Request<MultiplexingSupportRequest>,
    ) -> Result<Response<MultiplexingSupportResponse>, Status> {
        Ok(Response::new(MultiplexingSupportResponse { supported: true }))
    }
}
