//! The host's side: starts a plugin as Vault does, trusts it, serves it, listens to it, and ends it.

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

/// How long Vault waits for a plugin's handshake.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long Vault waits for a plugin to end by itself.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Pieces of output that wait for a slow listener.
const CHANNEL_CAPACITY: usize = 16;

/// What to start, and how. The environment may hold secrets, so `Debug` shows its names only.
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
    /// Variables added to what it inherits; the handshake's own are added after them.
    pub env: Vec<(OsString, OsString)>,
    /// What it inherits.
    pub isolation: Isolation,
    /// The cookie, and the versions to offer.
    pub handshake: Handshake,
    /// How to trust the plugin.
    pub tls: TlsMode,
    /// How the plugin reaches the host's services.
    pub broker_transport: BrokerTransport,
    /// Takes the lines of the plugin's standard error as they come.
    pub log: LogSink,
    /// How long the handshake and the connection may take.
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
            .field("security", &self.tls)
            .field("brokering", &self.broker_transport)
            .field("start_timeout", &self.start_timeout)
            .finish_non_exhaustive()
    }
}

impl LaunchOptions {
    /// Starts `program` without arguments, secured, with Vault's time limit, and listens to nothing of what it says.
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

/// How host and plugin trust each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Certificates made for this start on both sides.
    AutoMtls,
    /// None: whoever may connect to the socket is trusted.
    Plaintext,
}

/// How a plugin ended when it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShutdownOutcome {
    /// By itself, in time.
    Graceful(ExitStatus),
    /// It had to be killed.
    Killed,
}

/// The end of a plugin.
#[derive(Clone, Debug)]
pub struct PluginExit {
    /// How it ended; `None` when the system does not tell.
    pub status: Option<ExitStatus>,
    /// The end of its standard error.
    pub stderr: String,
}

/// A plugin that is connected. Dropping it kills the process.
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

/// Starts a plugin as Vault would, and connects to it.
///
/// The process gets its own process group, no standard input, and a P-521 certificate that calls itself an authority,
/// as Go's hosts make it. It is killed when this process dies, whatever the cause. The broker's stream is opened at once
/// and kept.
///
/// # Errors
/// Says what was seen: why the program does not start, what it printed instead of a handshake, what the end of its
/// standard error was.
pub async fn launch(options: LaunchOptions) -> Result<PluginProcess, PluginStartError> {
    let identity = match options.tls {
        TlsMode::AutoMtls => Some(Identity::host()?),
        TlsMode::Plaintext => None,
    };
    let started = Instant::now();
    let mut process = ChildProcess::start(&options, handshake_env(&options, identity.as_ref())).await?;
    let connecting = async {
        let line = process.read_handshake().await?;
        let handshake_time = started.elapsed();
        let offered = options.handshake.protocol_versions;
        if !offered.contains(&line.protocol_version) {
            let refused = UnsupportedVersion { plugin: line.protocol_version, host: offered };
            return Err(PluginStartError::Version(refused));
        }
        let doors = match options.broker_transport {
            BrokerTransport::Sockets => None,
            BrokerTransport::Multiplexed if !line.multiplexed => {
                return Err(PluginStartError::NoMultiplexing);
            }
            BrokerTransport::Multiplexed => Some(StreamRouter::default()),
        };
        let (channel, tls) = connect(&line, identity.as_ref(), doors.as_ref()).await?;
        wait_ready(&channel).await?;
        let brokered = ServiceBroker::open(&channel, tls, doors);
        Ok((line, handshake_time, channel, brokered))
    };
    let after = options.start_timeout;
    let (line, handshake_time, channel, brokered) = match tokio::time::timeout(after, connecting).await {
        Ok(connected) => connected?,
        Err(_) => return Err(PluginStartError::Timeout { after, stderr: process.stderr().text() }),
    };
    Ok(PluginProcess { channel, line, handshake_time, service_broker: brokered, process })
}

impl PluginProcess {
    /// The main connection, for the application's services.
    #[must_use]
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// The version that the plugin chose.
    #[must_use]
    pub fn protocol_version(&self) -> u32 {
        self.line.protocol_version
    }

    /// The time from the start of the process to its handshake line.
    #[must_use]
    pub fn handshake_time(&self) -> Duration {
        self.handshake_time
    }

    /// The process. The number may be another's when the plugin has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the process has ended, by itself or not. May be asked at any time, by any number of callers.
    pub fn exited(&self) -> impl Future<Output = PluginExit> + Send + 'static + use<> {
        let (ended, stderr) = (self.process.wait_exit(), Arc::clone(self.process.stderr()));
        async move {
            let status = ended.await.ok();
            stderr.wait_closed().await;
            PluginExit { status, stderr: stderr.text() }
        }
    }

    /// Whether the process has not ended yet.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.is_running()
    }

    /// The last lines that the plugin wrote to standard error: its log.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.process.stderr().text()
    }

    /// What the plugin wrote to its real standard output after the handshake. A sound plugin writes nothing there.
    #[must_use]
    pub fn stray_stdout(&self) -> String {
        self.process.stdout_tail()
    }

    /// Listens to what the plugin's code prints. There is one listener at a time; what was printed before is not lost.
    #[must_use]
    pub fn stdout(&self) -> StdoutStream {
        let mut client = GrpcStdioClient::new(self.channel());
        let (printed, output) = mpsc::channel(CHANNEL_CAPACITY);
        // Go's plugins answer the call only when there is something to say, so nobody can wait for it here.
        tokio::spawn(async move {
            let Ok(response) = client.stream_stdio(()).await else { return };
            let mut stream = response.into_inner();
            while let Ok(Some(message)) = stream.message().await {
                if printed.send(message.data).await.is_err() {
                    return;
                }
            }
        });
        StdoutStream(output)
    }

    /// Serves `routes` to the plugin beside the main connection, and announces it. Ends with this value, or with
    /// [`PluginProcess::stop_service`].
    ///
    /// # Errors
    /// No socket can be bound in the temporary directory, or the plugin is gone.
    pub async fn serve_brokered(&self, routes: Routes) -> Result<u32, BrokerError> {
        self.service_broker.serve(routes).await
    }

    /// Ends the service with this number and its connections; nothing happens when there is none.
    pub fn stop_service(&self, service_id: u32) {
        self.service_broker.stop_service(service_id);
    }

    /// Tells the plugin to end, waits two seconds, kills it, and waits until it is gone.
    ///
    /// # Errors
    /// The process cannot be waited for.
    pub async fn shutdown(&self) -> Result<ShutdownOutcome, ShutdownError> {
        let asked = async {
            // A plugin may end before it answers, as Go's do; what counts is whether it ends.
            let _ = GrpcControllerClient::new(self.channel.clone()).shutdown(Empty {}).await;
            self.process.wait_exit().await
        };
        match tokio::time::timeout(SHUTDOWN_TIMEOUT, asked).await {
            Ok(exited) => Ok(ShutdownOutcome::Graceful(exited.map_err(ShutdownError::Wait)?)),
            Err(_) => {
                self.process.kill();
                self.process.wait_exit().await.map_err(ShutdownError::Wait)?;
                Ok(ShutdownOutcome::Killed)
            }
        }
    }
}

/// What a plugin's code prints, as the plugin hands it on.
#[derive(Debug)]
pub struct StdoutStream(mpsc::Receiver<Vec<u8>>);

impl StdoutStream {
    /// Waits for the next piece of at most 1 KiB; `None` when the plugin has ended, or does not hand on its output.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.recv().await
    }

    /// Hands every line to `log` until the plugin has ended.
    pub async fn forward(mut self, log: LogSink) {
        let mut lines = LineSplitter::new(LogSource::Stdout, log);
        while let Some(piece) = self.next().await {
            lines.push(&piece);
        }
        lines.flush();
    }
}

/// What go-plugin puts into the environment.
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
    doors: Option<&StreamRouter>,
) -> Result<(Channel, Option<TlsAcceptor>), PluginStartError> {
    let unreachable = |source| PluginStartError::Connect { address: line.address.clone(), source };
    let mut connection = Connection::open(&line.address).await.map_err(unreachable)?;
    if let Some(doors) = doors.cloned() {
        let session: StreamOpener = multiplex::connect(connection, move |stream| doors.route(stream));
        let lost = || std::io::Error::new(std::io::ErrorKind::NotConnected, "the session has ended");
        connection = session.open().await.ok_or_else(lost).map_err(unreachable)?;
    }
    let mut acceptor = None;
    if let Some(identity) = identity {
        let plugin = CertificateDer::from(line.certificate.clone().ok_or(PluginStartError::NoCertificate)?);
        let connector = tls::connector(identity, plugin.clone()).map_err(PluginStartError::TlsSetup)?;
        acceptor = Some(tls::acceptor(identity, plugin).map_err(PluginStartError::TlsSetup)?);
        connection = tls::connect(&connector, connection).await.map_err(PluginStartError::Tls)?;
    }
    let channel = connection.into_channel().await.map_err(PluginStartError::Channel)?;
    Ok((channel, acceptor))
}

/// Makes sure that the plugin accepts us: in TLS 1.3 a client learns of its rejection only by the first answer.
///
/// Go's plugins have a health service; for others any answer will do.
async fn wait_ready(channel: &Channel) -> Result<(), PluginStartError> {
    let request = HealthCheckRequest { service: "plugin".to_owned() };
    match HealthClient::new(channel.clone()).check(request).await {
        Err(status) if status.source().is_some() => Err(PluginStartError::Refused(status)),
        Ok(_) | Err(_) => Ok(()),
    }
}
