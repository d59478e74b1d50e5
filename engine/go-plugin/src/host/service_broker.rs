//! The services that the host offers to a plugin beside the main connection, and how the plugin finds them.

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

/// Messages that wait for a slow plugin.
const CHANNEL_CAPACITY: usize = 16;

/// How a plugin reaches the host's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokerTransport {
    /// Each on a socket of its own, as Vault and OpenBao do for ordinary processes.
    Sockets,
    /// All inside the main connection, as Vault does for plugins in containers.
    Multiplexed,
}

/// Everything that is offered. Dropping it ends it.
pub(super) struct ServiceBroker {
    to_plugin: mpsc::Sender<ConnInfo>,
    tls: Option<TlsAcceptor>,
    /// Present when the services are reached through the main connection.
    router: Option<StreamRouter>,
    last_id: AtomicU32,
    services: Mutex<HashMap<u32, RunningService>>,
}

/// What is offered; nobody reads it, it ends when it is dropped. The file goes with it and not with a task, which the end of
/// the process may overtake.
struct RunningService {
    _stop: DropGuard,
    _socket: Option<SocketFile>,
}

impl ServiceBroker {
    /// Opens the stream whose end tells a plugin that its host is gone.
    pub(super) fn open(channel: &Channel, tls: Option<TlsAcceptor>, doors: Option<StreamRouter>) -> Self {
        let mut client = GrpcBrokerClient::new(channel.clone());
        let (to_plugin, outgoing) = mpsc::channel(CHANNEL_CAPACITY);
        // Weak, so that the stream ends with the value and not with the plugin.
        let (answers, knocked) = (to_plugin.downgrade(), doors.clone());
        // Go's plugins answer the call only when they have something to say, so nobody can wait for it here.
        tokio::spawn(async move {
            let Ok(response) = client.start_stream(ReceiverStream::new(outgoing)).await else { return };
            let mut incoming = response.into_inner();
            while let Ok(Some(message)) = incoming.message().await {
                // What else a plugin announces are services of its own, which no Vault host asks for.
                let Some(answer) = knocked.as_ref().and_then(|doors| doors.answer_knock(&message)) else {
                    continue;
                };
                let Some(answers) = answers.upgrade() else { return };
                if answers.send(answer).await.is_err() {
                    return;
                }
            }
        });
        Self { to_plugin, tls, router: doors, last_id: AtomicU32::new(0), services: Mutex::default() }
    }

    pub(super) async fn serve(&self, routes: Routes) -> Result<u32, BrokerError> {
        let service_id = self.last_id.fetch_add(1, Ordering::Relaxed) + 1;
        let stop = CancellationToken::new();
        let socket = match &self.router {
            Some(doors) => {
                let (arrivals, incoming) = incoming::connection_queue(self.tls.clone());
                doors.register(service_id, arrivals);
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
                    return Err(BrokerError::PluginGone);
                }
                Some(socket)
            }
        };
        self.services.lock().insert(service_id, RunningService { _stop: stop.drop_guard(), _socket: socket });
        Ok(service_id)
    }

    pub(super) fn stop_service(&self, service_id: u32) {
        if let Some(doors) = &self.router {
            doors.unregister(service_id);
        }
        self.services.lock().remove(&service_id);
    }
}

/// Serves until `stop`, and lets go of each connection when nothing is asked on it any more.
async fn serve_until_stopped(routes: Routes, incoming: Incoming, stop: CancellationToken) {
    let server = connection::server().add_routes(routes);
    // What fails here is one connection, and the plugin learns of it.
    let _ = server.serve_with_incoming_shutdown(incoming, stop.cancelled_owned()).await;
}

/// Which service gets the next stream that the plugin opens: the one that it knocked for first.
#[derive(Clone, Default)]
pub(super) struct StreamRouter(Arc<Mutex<RouterState>>);

#[derive(Default)]
struct RouterState {
    services: HashMap<u32, ConnectionQueue>,
    knocked: VecDeque<u32>,
}

impl StreamRouter {
    /// Gives a stream of the plugin to the service it is for; one that nobody knocked for is dropped.
    pub(super) fn route(&self, stream: Connection) {
        let mut inside = self.0.lock();
        if let Some(service) = inside.knocked.pop_front().and_then(|id| inside.services.get(&id)) {
            service.push(stream);
        }
    }

    fn register(&self, service_id: u32, service: ConnectionQueue) {
        self.0.lock().services.insert(service_id, service);
    }

    fn unregister(&self, service_id: u32) {
        self.0.lock().services.remove(&service_id);
    }

    /// The answer to a knock; `None` to anything else.
    fn answer_knock(&self, message: &ConnInfo) -> Option<ConnInfo> {
        message.knock.as_ref().filter(|knock| knock.knock && !knock.ack)?;
        let service_id = message.service_id;
        let mut inside = self.0.lock();
        let error = if inside.services.contains_key(&service_id) {
            inside.knocked.push_back(service_id);
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
    async fn a_knock_at_a_service_that_is_not_there_is_refused() {
        let doors = StreamRouter::default();
        let (arrivals, _incoming) = incoming::connection_queue(None);
        doors.register(7, arrivals);
        let answer = |id| doors.answer_knock(&knock(id)).unwrap().knock.unwrap();
        assert!(answer(7).ack && answer(7).error.is_empty());
        assert_eq!(answer(8).error, "no listener for id 8");
        doors.unregister(7);
        assert_eq!(answer(7).error, "no listener for id 7");
        assert!(doors.answer_knock(&ConnInfo { service_id: 7, ..ConnInfo::default() }).is_none());
    }
}
