//! The host side: starts a plugin process like Vault, authenticates it, serves it, collects its output, and stops it.
//!
//! [`launch`] starts a plugin with [`LaunchOptions`] and returns a [`PluginProcess`]. Its [`channel`](PluginProcess::channel)
//! calls the plugin's services, [`serve_brokered`](PluginProcess::serve_brokered) offers services to the plugin, and
//! [`shutdown`](PluginProcess::shutdown) stops it. [`Isolation`] restricts a plugin that is not trusted.

mod error;
mod executable;
mod isolation;
mod log_line;
mod output_tail;
mod process;
mod service_broker;
mod supervisor;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

use std::error::Error as _;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use crate::connection::Connection;
use crate::environment::{CLIENT_CERTIFICATE, MULTIPLEX, PROTOCOL_VERSIONS};
use crate::handshake::{Handshake, HandshakeLine, UnsupportedVersion};
use crate::identity::Identity;
use crate::multiplex::{self, StreamOpener};
use crate::tls;
use crate::wire::Empty;
use crate::wire::grpc_controller_client::GrpcControllerClient;
use crate::wire::grpc_stdio_client::GrpcStdioClient;

pub use error::{BrokerError, PluginStartError, ShutdownError};
pub use isolation::{Isolation, IsolationGap, NetworkAccess};
use log_line::LineSplitter;
pub use log_line::{LogLine, LogSink, LogSource};
use process::ChildProcess;
pub use service_broker::BrokerTransport;
use service_broker::{ServiceBroker, StreamRouter};

/// How long Vault waits for the handshake of a plugin.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long Vault waits for a plugin to exit before it kills it.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// How many chunks of output are buffered for a slow reader.
const CHANNEL_CAPACITY: usize = 16;

/// What to start, and how. The environment may contain secrets, so `Debug` shows its names only.
///
/// ```
/// use go_plugin::Handshake;
/// use go_plugin::host::LaunchOptions;
///
/// const HANDSHAKE: Handshake =
///     Handshake { cookie_key: "MY_PLUGIN", cookie_value: "6f0b", protocol_versions: &[1] };
///
/// let env = vec![("API_KEY".into(), "hunter2".into())];
/// let options = LaunchOptions { env, ..LaunchOptions::new("./my-plugin", HANDSHAKE) };
/// assert!(format!("{options:?}").contains("API_KEY") && !format!("{options:?}").contains("hunter2"));
/// ```
#[derive(Clone)]
pub struct LaunchOptions {
    /// The plugin's binary.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables that are added to the inherited ones. Those of the handshake are added last.
    pub env: Vec<(OsString, OsString)>,
    /// What the plugin inherits from the host.
    pub isolation: Isolation,
    /// The cookie, and the protocol versions to offer.
    pub handshake: Handshake,
    /// How host and plugin authenticate each other.
    pub tls: TlsMode,
    /// How the plugin reaches the host's services.
    pub broker_transport: BrokerTransport,
    /// Receives each line of the plugin's standard error as it is written.
    pub log: LogSink,
    /// The time limit for the handshake and the connection together.
    pub start_timeout: Duration,
}

impl fmt::Debug for LaunchOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("LaunchOptions")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &names)
            .field("isolation", &self.isolation)
            .field("handshake", &self.handshake)
            .field("tls", &self.tls)
            .field("broker_transport", &self.broker_transport)
            .field("start_timeout", &self.start_timeout)
            .finish_non_exhaustive()
    }
}

impl LaunchOptions {
    /// Returns options that start `program` without arguments, over AutoMTLS, with Vault's time limit, and without a log.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, handshake: Handshake) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            isolation: Isolation::Inherit,
            handshake,
            tls: TlsMode::AutoMtls,
            broker_transport: BrokerTransport::Sockets,
            log: Arc::new(|_| {}),
            start_timeout: START_TIMEOUT,
        }
    }
}

/// How host and plugin authenticate each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Both sides generate a certificate per process, and pin that of the other.
    AutoMtls,
    /// No TLS: any process that can connect to the socket is trusted.
    Plaintext,
}

/// The result of [`PluginProcess::shutdown`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownOutcome {
    /// The plugin exited in time.
    Graceful(ExitStatus),
    /// The plugin did not exit in time and was killed.
    Killed,
}

/// The exit of a plugin process.
#[derive(Clone, Debug)]
pub struct PluginExit {
    /// The exit status, or `None` if it cannot be read.
    pub status: Option<ExitStatus>,
    /// The end of its standard error.
    pub stderr: String,
}

/// A running plugin and the connection to it. Dropping it kills the process.
pub struct PluginProcess {
    channel: Channel,
    line: HandshakeLine,
    handshake_time: Duration,
    service_broker: ServiceBroker,
    process: ChildProcess,
}

impl fmt::Debug for PluginProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PluginProcess")
            .field("pid", &self.pid())
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

/// Starts a plugin like Vault, and connects to it.
///
/// The process gets its own process group, no standard input, and a P-521 host certificate that is marked as a CA, as
/// generated by Go hosts. The kernel kills it when this process dies. The broker's stream is opened immediately and stays
/// open.
///
/// # Errors
/// Reports why the program does not start, what it printed instead of a handshake, and the last lines of its
/// standard error.
pub async fn launch(options: LaunchOptions) -> Result<PluginProcess, PluginStartError> {
    let identity = match options.tls {
        TlsMode::AutoMtls => Some(Identity::host()?),
        TlsMode::Plaintext => None,
    };
    let start_time = Instant::now();
    let mut process = ChildProcess::start(&options, handshake_env(&options, identity.as_ref())).await?;
    let connecting = async {
        let line = process.read_handshake().await?;
        let handshake_time = start_time.elapsed();
        let offered = options.handshake.protocol_versions;
        if !offered.contains(&line.protocol_version) {
            let mismatch = UnsupportedVersion { plugin: line.protocol_version, host: offered };
            return Err(PluginStartError::Version(mismatch));
        }
        let router = match options.broker_transport {
            BrokerTransport::Sockets => None,
            BrokerTransport::Multiplexed if !line.multiplexed => {
                return Err(PluginStartError::NoMultiplexing);
            }
            BrokerTransport::Multiplexed => Some(StreamRouter::default()),
        };
        let (channel, tls) = connect(&line, identity.as_ref(), router.as_ref()).await?;
        wait_ready(&channel).await?;
        let service_broker = ServiceBroker::open(&channel, tls, router);
        Ok((line, handshake_time, channel, service_broker))
    };
    let after = options.start_timeout;
    let (line, handshake_time, channel, service_broker) = match tokio::time::timeout(after, connecting).await
    {
        Ok(connected) => connected?,
        Err(_) => return Err(PluginStartError::Timeout { after, stderr: process.stderr().text() }),
    };
    Ok(PluginProcess { channel, line, handshake_time, service_broker, process })
}

impl PluginProcess {
    /// Returns the main connection, for the application's services.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Returns the protocol version that the plugin chose.
    #[must_use]
    pub fn protocol_version(&self) -> u32 {
        self.line.protocol_version
    }

    /// Returns the time from the start of the process to its handshake line.
    #[must_use]
    pub fn handshake_time(&self) -> Duration {
        self.handshake_time
    }

    /// Returns the process id. It may belong to another process after the plugin has exited.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the process has exited. Any number of callers may wait, at any time.
    pub fn exited(&self) -> impl Future<Output = PluginExit> + Send + 'static + use<> {
        let (exit_status, stderr) = (self.process.wait_exit(), Arc::clone(self.process.stderr()));
        async move {
            let status = exit_status.await.ok();
            stderr.wait_closed().await;
            PluginExit { status, stderr: stderr.text() }
        }
    }

    /// Whether the process is still running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// Returns the last lines of the plugin's standard error, which contains its log.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.process.stderr().text()
    }

    /// Returns what the plugin wrote to its real standard output after the handshake. It should be empty.
    #[must_use]
    pub fn stray_stdout(&self) -> String {
        self.process.stdout_tail()
    }

    /// Reads what the plugin's code prints. Only one reader is served at a time; earlier output is buffered by the plugin.
    #[must_use]
    pub fn stdout(&self) -> StdoutStream {
        let mut client = GrpcStdioClient::new(self.channel());
        let (sender, output) = mpsc::channel(CHANNEL_CAPACITY);
        // Go plugins do not respond to the call until there is output, so it runs in a task.
        tokio::spawn(async move {
            let Ok(response) = client.stream_stdio(()).await else { return };
            let mut stream = response.into_inner();
            while let Ok(Some(message)) = stream.message().await {
                if sender.send(message.data).await.is_err() {
                    return;
                }
            }
        });
        StdoutStream(output)
    }

    /// Serves `routes` to the plugin beside the main connection, and announces them. Returns the number of the service. It
    /// is served until this value is dropped, or until [`PluginProcess::stop_service`].
    ///
    /// # Errors
    /// No socket can be bound in the temporary directory, or the plugin has disconnected.
    pub async fn serve_brokered(&self, routes: Routes) -> Result<u32, BrokerError> {
        self.service_broker.serve(routes).await
    }

    /// Stops the service with this number and closes its connections. An unknown number is ignored.
    pub fn stop_service(&self, service_id: u32) {
        self.service_broker.stop_service(service_id);
    }

    /// Calls `Shutdown`, waits two seconds for the plugin to exit, then kills it and waits for its exit.
    ///
    /// # Errors
    /// The process cannot be waited for.
    pub async fn shutdown(&self) -> Result<ShutdownOutcome, ShutdownError> {
        let graceful_exit = async {
            // A plugin may exit before it responds, as Go plugins do, so only the exit counts.
            let _ = GrpcControllerClient::new(self.channel.clone()).shutdown(Empty {}).await;
            self.process.wait_exit().await
        };
        match tokio::time::timeout(SHUTDOWN_TIMEOUT, graceful_exit).await {
            Ok(exited) => Ok(ShutdownOutcome::Graceful(exited.map_err(ShutdownError::Wait)?)),
            Err(_) => {
                self.process.kill();
                self.process.wait_exit().await.map_err(ShutdownError::Wait)?;
                Ok(ShutdownOutcome::Killed)
            }
        }
    }
}

/// The output of a plugin's code, as forwarded by the plugin.
#[derive(Debug)]
pub struct StdoutStream(mpsc::Receiver<Vec<u8>>);

impl StdoutStream {
    /// Waits for the next chunk of at most 1 KiB. Returns `None` if the plugin has exited or does not forward its output.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.recv().await
    }

    /// Passes every line to `log` until the plugin exits.
    pub async fn forward(mut self, log: LogSink) {
        let mut lines = LineSplitter::new(LogSource::Stdout, log);
        while let Some(chunk) = self.next().await {
            lines.push(&chunk);
        }
        lines.flush();
    }
}

/// Returns the environment variables of the go-plugin handshake.
fn handshake_env(options: &LaunchOptions, identity: Option<&Identity>) -> Vec<(&'static str, String)> {
    let Handshake { cookie_key, cookie_value, protocol_versions } = options.handshake;
    let versions: Vec<String> = protocol_versions.iter().map(u32::to_string).collect();
    let mut variables = vec![
        (cookie_key, cookie_value.to_owned()),
        ("PLUGIN_MIN_PORT", "10000".to_owned()),
        ("PLUGIN_MAX_PORT", "25000".to_owned()),
        (PROTOCOL_VERSIONS, versions.join(",")),
    ];
    if let Some(identity) = identity {
        variables.push((CLIENT_CERTIFICATE, identity.certificate_pem()));
    }
    if options.broker_transport == BrokerTransport::Multiplexed {
        variables.push((MULTIPLEX, "true".to_owned()));
    }
    variables
}

async fn connect(
    line: &HandshakeLine,
    identity: Option<&Identity>,
    router: Option<&StreamRouter>,
) -> Result<(Channel, Option<TlsAcceptor>), PluginStartError> {
    let connect_error = |source| PluginStartError::Connect { address: line.address.clone(), source };
    let mut connection = Connection::open(&line.address).await.map_err(connect_error)?;
    if let Some(router) = router.cloned() {
        let session: StreamOpener = multiplex::connect(connection, move |stream| router.route(stream));
        let closed = || std::io::Error::new(std::io::ErrorKind::NotConnected, "yamux session closed");
        connection = session.open().await.ok_or_else(closed).map_err(connect_error)?;
    }
    let mut acceptor = None;
    if let Some(identity) = identity {
        let peer = CertificateDer::from(line.certificate.clone().ok_or(PluginStartError::NoCertificate)?);
        let connector = tls::connector(identity, peer.clone()).map_err(PluginStartError::TlsSetup)?;
        acceptor = Some(tls::acceptor(identity, peer).map_err(PluginStartError::TlsSetup)?);
        connection = tls::connect(&connector, connection).await.map_err(PluginStartError::Tls)?;
    }
    let channel = connection.into_channel().await.map_err(PluginStartError::Channel)?;
    Ok((channel, acceptor))
}

/// Checks that the plugin accepts the connection. In TLS 1.3 a client learns with the first response that it was rejected.
///
/// Go plugins have a health service. For others, any response is sufficient.
async fn wait_ready(channel: &Channel) -> Result<(), PluginStartError> {
    let request = HealthCheckRequest { service: "plugin".to_owned() };
    match HealthClient::new(channel.clone()).check(request).await {
        Err(status) if status.source().is_some() => Err(PluginStartError::Refused(status)),
        Ok(_) | Err(_) => Ok(()),
    }
}
