//! The plugin's side of a start: in Go's order, from the cookie to the last answer.

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

/// How long requests in flight may take after a shutdown. The host kills the process two seconds after its answer.
const REQUEST_GRACE_PERIOD: Duration = Duration::from_secs(1);

/// How long those of guests may take, whom a host that ends the process for another's sake makes fail when they are cut off.
/// It gets no answer, so it waits: longer than a disk that is busy, and not as long as an upstream that hangs.
const INSTANCE_GRACE_PERIOD: Duration = Duration::from_secs(10);

/// A host that ends the plugin closes the broker's stream an instant before it says so.
const SHUTDOWN_CALL_GRACE_PERIOD: Duration = Duration::from_millis(500);

/// The name under which go-plugin's health service answers.
const HEALTH_SERVICE: &str = "plugin";

/// A plugin that has what it needs to serve, and has told nobody yet.
pub struct Server {
    line: HandshakeLine,
    output: HandshakeOutput,
    stdout_capture: StdoutCapture,
    listener: UnixListener,
    open_requests: Option<OpenRequests>,
    /// Removed after everything that listens on it.
    socket: SocketFile,
    tls: Option<TlsAcceptor>,
    broker: Broker,
    graceful_shutdown: GracefulShutdown,
    parent: ParentWatcher,
    /// Kept, so that interrupts stay ours and come to nothing.
    _interrupts: Signal,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("line", &self.line).finish_non_exhaustive()
    }
}

/// Why a plugin has ended, when nothing failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The host, or a `SIGTERM`, asked for it. Guests that are left are answered until the process has ended, which the
    /// caller has to bring about at once, with [`std::process::exit`]: not even the runtime may be dropped before.
    Shutdown,
    /// The host closed the broker's stream or died.
    HostGone,
}

impl Server {
    /// Checks the cookie, chooses the protocol version, takes standard output from the process, binds the socket, and
    /// makes the certificate. Nothing is printed yet: the application can still fail with a message of its own.
    ///
    /// From here on `SIGINT` is ignored: the Ctrl-C of an operator reaches the host and all of its plugins, and it is
    /// the host that decides. Must be called in a Tokio runtime with I/O and time.
    ///
    /// # Errors
    /// [`ServerStartError::NotAPluginHost`] when a person started the program; say what it is for on stderr, and exit with 1,
    /// because Vault tries cookies of several plugin types on one binary. The others name what the host or the system
    /// lacks.
    pub async fn start(handshake: &Handshake, env: Environment) -> Result<Self, ServerStartError> {
        if !env.has_cookie(handshake.cookie_key, handshake.cookie_value) {
            return Err(ServerStartError::NotAPluginHost);
        }
        let parent = ParentWatcher::watch();
        let protocol_version = handshake.negotiate(&env.offered_versions());
        let interrupts = signal(SignalKind::interrupt()).map_err(ServerStartError::Signals)?;
        let (output, captured) = stdout::redirect().map_err(ServerStartError::Stdout)?;

        let (directory, named_by) = env.socket_directory();
        let (listener, socket) = socket::bind(&directory, named_by, env.socket_group().as_deref())?;

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
        let (opener, openings) = env.multiplex().then(multiplex::open_requests).unzip();

        let line = HandshakeLine {
            protocol_version,
            address: Address::Unix(socket.path().to_owned()),
            certificate,
            multiplexed: openings.is_some(),
        };
        Ok(Self {
            line,
            output,
            stdout_capture: captured,
            listener,
            open_requests: openings,
            socket,
            tls: acceptor,
            broker: Broker::new(connector, opener),
            graceful_shutdown: GracefulShutdown::new(),
            parent,
            _interrupts: interrupts,
        })
    }

    /// The version that was chosen, for plugins that serve each version differently.
    #[must_use]
    pub fn protocol_version(&self) -> u32 {
        self.line.protocol_version
    }

    /// The way to the host's services; it works once [`Server::serve`] runs.
    #[must_use]
    pub fn broker(&self) -> Broker {
        self.broker.clone()
    }

    /// Tells when the host ends the plugin, and keeps the process for what is in flight.
    #[must_use]
    pub fn graceful_shutdown(&self) -> GracefulShutdown {
        self.graceful_shutdown.clone()
    }

    /// Serves the application's services beside go-plugin's own, and prints the handshake line.
    ///
    /// Returns when the host shuts the plugin down, in which case requests in flight have a second to end, or when the
    /// host is gone: its broker stream or its process has ended. The caller should exit then.
    ///
    /// The limits for messages are those of the given services; see [`crate::MESSAGE_SIZE_LIMIT`].
    ///
    /// # Errors
    /// The handshake could not be written, or the server failed.
    pub async fn serve(self, application: Routes) -> Result<StopReason, ServerError> {
        let Self {
            line,
            output,
            stdout_capture: captured,
            listener,
            open_requests: openings,
            socket,
            tls,
            broker,
            graceful_shutdown: farewell,
            parent,
            ..
        } = self;
        let mut terminations = signal(SignalKind::terminate()).map_err(ServerError::Signals)?;
        let shutdown = Arc::new(Notify::new());
        let host_left = Arc::new(Notify::new());
        let stop = CancellationToken::new();

        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_service_status(HEALTH_SERVICE, ServingStatus::Serving).await;
        let broker_service = BrokerService {
            broker: broker.clone(),
            host_disconnected: Arc::clone(&host_left),
            graceful_shutdown: farewell.clone(),
            stop: stop.clone(),
        };
        let controller = ControllerService { shutdown: Arc::clone(&shutdown), stop: stop.clone() };
        let routes = application
            .add_service(health_service)
            .add_service(GrpcBrokerServer::new(broker_service))
            .add_service(GrpcControllerServer::new(controller))
            .add_service(GrpcStdioServer::new(StdioService { stdout_capture: captured, stop: stop.clone() }));
        let incoming = match openings {
            None => incoming::accept(listener, tls),
            Some(openings) => multiplex::accept(listener, openings, tls),
        };
        let mut server = tokio::spawn(
            connection::server()
                .add_routes(routes)
                .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned()),
        );

        output.write_line(&line.to_string()).map_err(ServerError::Handshake)?;

        let mut parent_gone = pin!(parent.exited());
        let ended = tokio::select! {
            () = shutdown.notified() => StopReason::Shutdown,
            _ = terminations.recv() => StopReason::Shutdown,
            () = &mut parent_gone => StopReason::HostGone,
            () = host_left.notified() => tokio::select! {
                () = shutdown.notified() => StopReason::Shutdown,
                () = &mut parent_gone => StopReason::HostGone,
                () = tokio::time::sleep(SHUTDOWN_CALL_GRACE_PERIOD) => StopReason::HostGone,
            },
            stopped = &mut server => {
                stopped.map_err(ServerError::Stopped)?.map_err(ServerError::Server)?;
                StopReason::HostGone
            }
        };
        if ended == StopReason::Shutdown {
            farewell.begin();
            let with_guests = farewell.has_instances();
            // Whatever takes longer is cut off.
            let grace = if with_guests { INSTANCE_GRACE_PERIOD } else { REQUEST_GRACE_PERIOD };
            let _ = tokio::time::timeout(grace, farewell.drained()).await;
            if with_guests {
                return Ok(ended);
            }
        }
        stop.cancel();
        broker.detach_stream();
        if ended == StopReason::Shutdown {
            // Whatever is not done by then is cut off with the process.
            let _ = tokio::time::timeout(REQUEST_GRACE_PERIOD, &mut server).await;
        }
        server.abort();
        drop(socket);
        Ok(ended)
    }
}

/// A plugin could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerStartError {
    /// The cookie is missing or another's: this process was not started as this plugin.
    #[error("not started by a plugin host")]
    NotAPluginHost,
    /// Standard output could not be claimed.
    #[error("cannot claim standard output")]
    Stdout(#[source] io::Error),
    /// The interrupt could not be claimed.
    #[error("cannot claim the interrupt signal")]
    Signals(#[source] io::Error),
    /// No socket to listen on.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// `PLUGIN_CLIENT_CERT` holds no certificate.
    #[error("cannot read the host's certificate in PLUGIN_CLIENT_CERT")]
    HostCertificate(#[source] rustls::pki_types::pem::Error),
    /// Our certificate could not be made.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// TLS could not be set up.
    #[error("cannot set up TLS with the host")]
    Tls(#[source] rustls::Error),
}

/// A plugin could not go on serving.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The termination could not be claimed.
    #[error("cannot claim the termination signal")]
    Signals(#[source] io::Error),
    /// Standard output is closed: the host is gone, or never was.
    #[error("cannot write the handshake to standard output")]
    Handshake(#[source] io::Error),
    /// The gRPC server ended by itself.
    #[error("plugin server failed")]
    Server(#[source] tonic::transport::Error),
    /// The task of the gRPC server panicked.
    #[error("plugin server stopped")]
    Stopped(#[source] JoinError),
}
