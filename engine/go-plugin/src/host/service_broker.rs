//! Serves the host's services to a plugin beside the main connection, and announces them.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::transport::Channel;

use super::error::BrokerError;
use crate::connection::{self, Connection};
use crate::environment::TEMPORARY_DIRECTORY;
use crate::incoming::{self, ConnectionQueue, Incoming};
use crate::socket::{self, SocketFile};
use crate::wire::ConnInfo;
use crate::wire::conn_info::Knock;
use crate::wire::grpc_broker_client::GrpcBrokerClient;

/// How many messages are buffered for a slow plugin.
const CHANNEL_CAPACITY: usize = 16;

/// How a plugin reaches the host's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerTransport {
    /// Each service has its own socket, as in Vault and OpenBao for normal processes.
    Sockets,
    /// All services share the main connection, as in Vault for plugins in containers.
    Multiplexed,
}

/// The services that the host offers. Dropping it stops all of them.
pub(super) struct ServiceBroker {
    to_plugin: mpsc::Sender<ConnInfo>,
    tls: Option<TlsAcceptor>,
    /// Present if the services are reached through the main connection.
    router: Option<StreamRouter>,
    last_id: AtomicU32,
    services: Mutex<HashMap<u32, RunningService>>,
}

/// Stops the service when dropped. The socket file is removed here and not by the serving task, because the process may exit
/// before that task has ended.
struct RunningService {
    _stop: DropGuard,
    _socket: Option<SocketFile>,
}

impl ServiceBroker {
    /// Opens the broker's stream. Its end tells a plugin that its host has exited.
    pub(super) fn open(channel: &Channel, tls: Option<TlsAcceptor>, router: Option<StreamRouter>) -> Self {
        let mut client = GrpcBrokerClient::new(channel.clone());
        let (to_plugin, outgoing) = mpsc::channel(CHANNEL_CAPACITY);
        // Weak, so that the stream ends when this value is dropped, and not when the plugin exits.
        let (responses, knock_router) = (to_plugin.downgrade(), router.clone());
        // Go plugins do not respond to the call until they send a message, so it runs in a task.
        tokio::spawn(async move {
            let Ok(response) = client.start_stream(ReceiverStream::new(outgoing)).await else { return };
            let mut incoming = response.into_inner();
            while let Ok(Some(message)) = incoming.message().await {
                // Other messages announce services of the plugin, which no Vault host uses.
                let Some(response) = knock_router.as_ref().and_then(|router| router.answer_knock(&message))
                else {
                    continue;
                };
                let Some(responses) = responses.upgrade() else { return };
                if responses.send(response).await.is_err() {
                    return;
                }
            }
        });
        Self { to_plugin, tls, router, last_id: AtomicU32::new(0), services: Mutex::default() }
    }

    pub(super) async fn serve(&self, routes: Routes) -> Result<u32, BrokerError> {
        let service_id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let stop = CancellationToken::new();
        let socket = match &self.router {
            Some(router) => {
                let (queue, incoming) = incoming::connection_queue(self.tls.clone());
                router.register(service_id, queue);
                tokio::spawn(serve_until_stopped(routes, incoming, stop.clone()));
                None
            }
            None => {
                let (listener, socket) = socket::bind(&std::env::temp_dir(), TEMPORARY_DIRECTORY, None)?;
                let announcement = ConnInfo {
                    service_id,
                    network: "unix".to_owned(),
                    address: socket.path().to_string_lossy().into_owned(),
                    knock: None,
                };
                let incoming = incoming::accept(listener, self.tls.clone());
                tokio::spawn(serve_until_stopped(routes, incoming, stop.clone()));
                if self.to_plugin.send(announcement).await.is_err() {
                    stop.cancel();
                    return Err(BrokerError::PluginDisconnected);
                }
                Some(socket)
            }
        };
        self.services.lock().insert(service_id, RunningService { _stop: stop.drop_guard(), _socket: socket });
        Ok(service_id)
    }

    pub(super) fn stop_service(&self, service_id: u32) {
        if let Some(router) = &self.router {
            router.unregister(service_id);
        }
        self.services.lock().remove(&service_id);
    }
}

/// Serves until `stop`, and closes each connection after its last request.
async fn serve_until_stopped(routes: Routes, incoming: Incoming, stop: CancellationToken) {
    let server = connection::server().add_routes(routes);
    // An error affects a single connection, and the plugin receives it.
    let _ = server.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await;
}

/// Assigns each stream that the plugin opens to a service, in the order of its knocks.
#[derive(Clone, Default)]
pub(super) struct StreamRouter(Arc<Mutex<RouterState>>);

#[derive(Default)]
struct RouterState {
    services: HashMap<u32, ConnectionQueue>,
    knocked: VecDeque<u32>,
}

impl StreamRouter {
    /// Passes a stream to its service. A stream without a knock is dropped.
    pub(super) fn route(&self, stream: Connection) {
        let mut state = self.0.lock();
        if let Some(service) = state.knocked.pop_front().and_then(|id| state.services.get(&id)) {
            service.push(stream);
        }
    }

    fn register(&self, service_id: u32, service: ConnectionQueue) {
        self.0.lock().services.insert(service_id, service);
    }

    fn unregister(&self, service_id: u32) {
        self.0.lock().services.remove(&service_id);
    }

    /// Returns the response to a knock, or `None` for any other message.
    fn answer_knock(&self, message: &ConnInfo) -> Option<ConnInfo> {
        message.knock.as_ref().filter(|knock| knock.knock && !knock.ack)?;
        let service_id = message.service_id;
        let mut state = self.0.lock();
        let error = if state.services.contains_key(&service_id) {
            state.knocked.push_back(service_id);
            String::new()
        } else {
            format!("no listener for id {service_id}")
        };
        let knock = Some(Knock { knock: true, ack: true, error });
        Some(ConnInfo { service_id, knock, ..ConnInfo::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knock(service_id: u32) -> ConnInfo {
        let knock = Knock { knock: true, ..Knock::default() };
        ConnInfo { service_id, knock: Some(knock), ..ConnInfo::default() }
    }

    #[tokio::test]
    async fn a_knock_for_an_unknown_service_is_refused() {
        let router = StreamRouter::default();
        let (queue, _incoming) = incoming::connection_queue(None);
        router.register(7, queue);
        let response = |id| router.answer_knock(&knock(id)).unwrap().knock.unwrap();
        assert!(response(7).ack && response(7).error.is_empty());
        assert_eq!(response(8).error, "no listener for id 8");
        router.unregister(7);
        assert_eq!(response(7).error, "no listener for id 7");
        assert!(router.answer_knock(&ConnInfo { service_id: 7, ..ConnInfo::default() }).is_none());
    }
}
