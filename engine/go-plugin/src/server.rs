//! The plugin side: from the check of the cookie to the last response, in the same order as go-plugin's `Serve`.

use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::ServingStatus;

use crate::broker::Broker;
use crate::connection;
use crate::connection_holder;
use crate::environment::Environment;
use crate::graceful_shutdown::GracefulShutdown;
use crate::handshake::{Address, Handshake, HandshakeLine};
use crate::identity::{Identity, IdentityError};
use crate::incoming;
use crate::multiplex::{self, OpenRequests};
use crate::parent_watcher::ParentWatcher;
use crate::services::{BrokerService, ControllerService, StdioService};
use crate::socket::{self, SocketError, SocketFile};
use crate::stdout::{self, HandshakeOutput, StdoutCapture};
use crate::tls;
use crate::wire::grpc_broker_server::GrpcBrokerServer;
use crate::wire::grpc_controller_server::GrpcControllerServer;
use crate::wire::grpc_stdio_server::GrpcStdioServer;

/// How long in-flight requests may take after a shutdown. The host kills the process two seconds after the response.
const REQUEST_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// How long the requests of registered instances may take after a shutdown. They would fail permanently if they were cut off. The
/// host waits, because its shutdown call gets no response. Longer than a busy disk needs, shorter than a hanging upstream.
const INSTANCE_GRACE_PERIOD: Duration = Duration::from_secs(10);

/// How long the connections stay open after the exit if the host does not close them. It does so as soon as it is notified, unless it
/// did not cause the exit.
const MAX_CONNECTION_HOLD: Duration = Duration::from_secs(2);

/// How long to wait for the shutdown call after the broker's stream was closed. A host closes the stream just before the call.
const SHUTDOWN_CALL_GRACE_PERIOD: Duration = Duration::from_millis(500);

/// The service name in health checks of go-plugin.
const HEALTH_SERVICE: &str = "plugin";

/// A plugin that is ready to serve, and has not written its handshake line yet.
pub struct Server {
    line: HandshakeLine,
    output: HandshakeOutput,
    stdout_capture: StdoutCapture,
    listener: UnixListener,
    open_requests: Option<OpenRequests>,
    /// Removed after the listener is closed.
    socket: SocketFile,
    tls: Option<TlsAcceptor>,
    broker: Broker,
    graceful_shutdown: GracefulShutdown,
    parent: ParentWatcher,
    /// Kept so that `SIGINT` stays ignored.
    _interrupts: Signal,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("line", &self.line).finish_non_exhaustive()
    }
}

/// The reason why [`Server::serve`] has returned without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The host called `Shutdown`, or the process received `SIGTERM`. If instances are registered, their requests are answered until
    /// the process exits. The caller has to exit immediately with [`std::process::exit`], without dropping the runtime.
    Shutdown,
    /// The host closed the broker's stream or exited.
    HostDisconnected,
}

impl Server {
    /// Checks the cookie, chooses the protocol version, redirects standard output, binds the socket, and generates the
    /// certificate. It writes nothing, so the application can still fail with its own message.
    ///
    /// From here on `SIGINT` is ignored: Ctrl-C is sent to the host and to all of its plugins, and only the host reacts.
    /// Must be called in a Tokio runtime with I/O and time enabled.
    ///
    /// # Errors
    /// [`ServerStartError::NotStartedByHost`] if no host has started the program. Then print its purpose on stderr and exit with
    /// code 1: Vault starts a binary with the cookies of several plugin types. The other errors report what is missing in the
    /// environment or the system.
    pub async fn start(handshake: &Handshake, env: Environment) -> Result<Self, ServerStartError> {
        if !env.has_cookie(handshake.cookie_key, handshake.cookie_value) {
            return Err(ServerStartError::NotStartedByHost);
        }
        let parent = ParentWatcher::watch();
        let protocol_version = handshake.negotiate(&env.offered_versions());
        let interrupts = signal(SignalKind::interrupt()).map_err(ServerStartError::Signals)?;
        let (output, stdout_capture) = stdout::redirect().map_err(ServerStartError::Stdout)?;

        let (directory, directory_variable) = env.socket_directory();
        let (listener, socket) = socket::bind(&directory, directory_variable, env.socket_group().as_deref())?;

        let mut certificate = None;
        let (mut acceptor, mut connector) = (None, None);
        if let Some(pem) = env.client_certificate() {
            let host = CertificateDer::from_pem_slice(pem.as_encoded_bytes())
                .map_err(ServerStartError::HostCertificate)?;
            let identity = Identity::plugin()?;
            certificate = Some(identity.certificate().to_vec());
            acceptor = Some(tls::acceptor(&identity, host.clone()).map_err(ServerStartError::Tls)?);
            connector = Some(tls::connector(&identity, host).map_err(ServerStartError::Tls)?);
        }
        let (opener, open_requests) = env.multiplex().then(multiplex::open_requests).unzip();

        let line = HandshakeLine {
            protocol_version,
            address: Address::Unix(socket.path().to_owned()),
            certificate,
            multiplexed: open_requests.is_some(),
        };
        Ok(Self {
            line,
            output,
            stdout_capture,
            listener,
            open_requests,
            socket,
            tls: acceptor,
            broker: Broker::new(connector, opener),
            graceful_shutdown: GracefulShutdown::new(),
            parent,
            _interrupts: interrupts,
        })
    }

    /// Returns the protocol version that was chosen.
    #[must_use]
    pub fn protocol_version(&self) -> u32 {
        self.line.protocol_version
    }

    /// Returns the broker that connects to the host's services. It works while [`Server::serve`] runs.
    #[must_use]
    pub fn broker(&self) -> Broker {
        self.broker.clone()
    }

    /// Returns a handle that signals the shutdown and delays it for in-flight requests.
    #[must_use]
    pub fn graceful_shutdown(&self) -> GracefulShutdown {
        self.graceful_shutdown.clone()
    }

    /// Serves the application's services and those of go-plugin, and writes the handshake line.
    ///
    /// Returns when the host shuts the plugin down, after in-flight requests had a second to finish, or when the host has
    /// disconnected: its broker stream or its process has ended. The caller should then exit.
    ///
    /// The message size limits are those of the given services; see [`crate::MESSAGE_SIZE_LIMIT`].
    ///
    /// # Errors
    /// The handshake could not be written, or the server failed.
    pub async fn serve(self, application: Routes) -> Result<StopReason, ServerError> {
        let Self {
            line,
            output,
            stdout_capture,
            listener,
            open_requests,
            socket,
            tls,
            broker,
            graceful_shutdown,
            parent,
            ..
        } = self;
        let mut terminations = signal(SignalKind::terminate()).map_err(ServerError::Signals)?;
        let shutdown = Arc::new(Notify::new());
        let host_disconnected = Arc::new(Notify::new());
        let stop = CancellationToken::new();

        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status(HEALTH_SERVICE, ServingStatus::Serving).await;
        let broker_service = BrokerService {
            broker: broker.clone(),
            host_disconnected: Arc::clone(&host_disconnected),
            graceful_shutdown: graceful_shutdown.clone(),
            stop: stop.clone(),
        };
        let controller = ControllerService { shutdown: Arc::clone(&shutdown), stop: stop.clone() };
        let routes = application
            .add_service(health_service)
            .add_service(GrpcBrokerServer::new(broker_service))
            .add_service(GrpcControllerServer::new(controller))
            .add_service(GrpcStdioServer::new(StdioService { stdout_capture, stop: stop.clone() }));
        let incoming = match open_requests {
            None => incoming::accept(listener, tls),
            Some(open_requests) => multiplex::accept(listener, open_requests, tls),
        };
        let mut server = tokio::spawn(
            connection::server()
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned()),
        );

        output.write_line(&line.to_string()).map_err(ServerError::Handshake)?;

        let mut parent_exited = pin!(parent.exited());
        let reason = tokio::select! {
            () = shutdown.notified() => StopReason::Shutdown,
            _ = terminations.recv() => StopReason::Shutdown,
            () = &mut parent_exited => StopReason::HostDisconnected,
            () = host_disconnected.notified() => tokio::select! {
                () = shutdown.notified() => StopReason::Shutdown,
                () = &mut parent_exited => StopReason::HostDisconnected,
                () = tokio::time::sleep(SHUTDOWN_CALL_GRACE_PERIOD) => StopReason::HostDisconnected,
            },
            stopped = &mut server => {
                stopped.map_err(ServerError::Stopped)?.map_err(ServerError::Server)?;
                StopReason::HostDisconnected
            }
        };
        if reason == StopReason::Shutdown {
            graceful_shutdown.begin();
            let has_instances = graceful_shutdown.has_instances();
            // Requests that take longer are cut off.
            let grace = if has_instances { INSTANCE_GRACE_PERIOD } else { REQUEST_GRACE_PERIOD };
            let _ = tokio::time::timeout(grace, graceful_shutdown.drained()).await;
            if has_instances {
                connection_holder::hold_connections(socket.path(), MAX_CONNECTION_HOLD);
                return Ok(reason);
            }
        }
        stop.cancel();
        broker.detach_stream();
        if reason == StopReason::Shutdown {
            // Requests that take longer are cut off when the process exits.
            let _ = tokio::time::timeout(REQUEST_GRACE_PERIOD, &mut server).await;
        }
        server.abort();
        drop(socket);
        Ok(reason)
    }
}

/// An error from [`Server::start`].
#[derive(Debug, thiserror::Error)]
pub enum ServerStartError {
    /// The cookie is missing or has another value: no host has started this process as this plugin.
    #[error("not started by a plugin host")]
    NotStartedByHost,
    /// Standard output could not be redirected.
    #[error("cannot redirect standard output")]
    Stdout(#[source] io::Error),
    /// The handler of `SIGINT` could not be installed.
    #[error("cannot install the handler of SIGINT")]
    Signals(#[source] io::Error),
    /// The socket could not be bound.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// `PLUGIN_CLIENT_CERT` does not contain a certificate.
    #[error("cannot parse the host's certificate in PLUGIN_CLIENT_CERT")]
    HostCertificate(#[source] rustls::pki_types::pem::Error),
    /// The plugin's certificate could not be generated.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS could not be set up.
    #[error("cannot set up TLS with the host")]
    Tls(#[source] rustls::Error),
}

/// An error from [`Server::serve`].
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The handler of `SIGTERM` could not be installed.
    #[error("cannot install the handler of SIGTERM")]
    Signals(#[source] io::Error),
    /// Standard output is closed: the host has exited.
    #[error("cannot write the handshake to standard output")]
    Handshake(#[source] io::Error),
    /// The gRPC server failed.
    #[error("gRPC server of the plugin failed")]
    Server(#[source] tonic::transport::Error),
    /// The task of the gRPC server panicked.
    #[error("gRPC server of the plugin panicked")]
    Stopped(#[source] JoinError),
}
