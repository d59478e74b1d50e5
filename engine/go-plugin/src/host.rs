//! The host's side: starts a plugin as Vault does, trusts it, serves it, listens to it, and ends it.

mod brokered;
mod error;
mod executable;
mod isolation;
mod keeper;
mod log_line;
mod process;
mod tail;

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
use crate::multiplex::{self, Opener};
use crate::tls;
use crate::wire::Empty;
use crate::wire::grpc_controller_client::GrpcControllerClient;
use crate::wire::grpc_stdio_client::GrpcStdioClient;

pub use brokered::Brokering;
use brokered::{Brokered, Doors};
pub use error::{BrokeredError, LaunchError, ShutdownError};
pub use isolation::{Isolation, IsolationGap, Network};
use log_line::Lines;
pub use log_line::{LogLine, LogSink, Origin};
use process::Process;

/// How long Vault waits for a plugin's handshake.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long Vault waits for a plugin to end by itself.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);

/// Pieces of output that wait for a slow listener.
const QUEUE: usize = 16;

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
    pub security: Security,
    /// How the plugin reaches the host's services.
    pub brokering: Brokering,
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
            .field("security", &self.security)
            .field("brokering", &self.brokering)
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
            security: Security::AutoMtls,
            brokering: Brokering::Sockets,
            log: Arc::new(|_| {}),
            start_timeout: START_TIMEOUT,
        }
    }
}

/// How host and plugin trust each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Certificates made for this start on both sides.
    AutoMtls,
    /// None: whoever may connect to the socket is trusted.
    Plain,
}

/// How a plugin ended when it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, in time.
    Graceful(ExitStatus),
    /// It had to be killed.
    Killed,
}

/// The end of a plugin.
#[derive(Clone, Debug)]
pub struct Exited {
    /// How it ended; `None` when the system does not tell.
    pub status: Option<ExitStatus>,
    /// The end of its standard error.
    pub stderr: String,
}

/// A plugin that is connected. Dropping it kills the process.
pub struct Running {
    channel: Channel,
    line: HandshakeLine,
    handshake_time: Duration,
    brokered: Brokered,
    process: Process,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("pid", &self.pid()).field("line", &self.line).finish_non_exhaustive()
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
pub async fn launch(options: LaunchOptions) -> Result<Running, LaunchError> {
    let identity = match options.security {
        Security::AutoMtls => Some(Identity::host()?),
        Security::Plain => None,
    };
    let started = Instant::now();
    let mut process = Process::start(&options, variables(&options, identity.as_ref())).await?;
    let connecting = async {
        let line = process.handshake().await?;
        let handshake_time = started.elapsed();
        let offered = options.handshake.protocol_versions;
        if !offered.contains(&line.protocol_version) {
            let refused = UnsupportedVersion { plugin: line.protocol_version, host: offered };
            return Err(LaunchError::Version(refused));
        }
        let doors = match options.brokering {
            Brokering::Sockets => None,
            Brokering::Multiplexed if !line.multiplexed => return Err(LaunchError::NoMultiplexing),
            Brokering::Multiplexed => Some(Doors::default()),
        };
        let (channel, tls) = connect(&line, identity.as_ref(), doors.as_ref()).await?;
        greet(&channel).await?;
        let brokered = Brokered::open(&channel, tls, doors);
        Ok((line, handshake_time, channel, brokered))
    };
    let after = options.start_timeout;
    let (line, handshake_time, channel, brokered) = match tokio::time::timeout(after, connecting).await {
        Ok(connected) => connected?,
        Err(_) => return Err(LaunchError::Timeout { after, stderr: process.stderr().text() }),
    };
    Ok(Running { channel, line, handshake_time, brokered, process })
}

impl Running {
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
    pub fn exited(&self) -> impl Future<Output = Exited> + Send + 'static + use<> {
        let (ended, stderr) = (self.process.ended(), Arc::clone(self.process.stderr()));
        async move {
            let status = ended.await.ok();
            stderr.settle().await;
            Exited { status, stderr: stderr.text() }
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
    pub fn output(&self) -> Output {
        let mut client = GrpcStdioClient::new(self.channel());
        let (printed, output) = mpsc::channel(QUEUE);
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
        Output(output)
    }

    /// Serves `routes` to the plugin beside the main connection, and announces it. Ends with this value, or with
    /// [`Running::withdraw`].
    ///
    /// # Errors
    /// No socket can be bound in the temporary directory, or the plugin is gone.
    pub async fn serve_brokered(&self, routes: Routes) -> Result<u32, BrokeredError> {
        self.brokered.serve(routes).await
    }

    /// Ends the service with this number and its connections; nothing happens when there is none.
    pub fn withdraw(&self, service_id: u32) {
        self.brokered.withdraw(service_id);
    }

    /// Tells the plugin to end, waits two seconds, kills it, and waits until it is gone.
    ///
    /// # Errors
    /// The process cannot be waited for.
    pub async fn shutdown(&self) -> Result<Exit, ShutdownError> {
        let asked = async {
            // A plugin may end before it answers, as Go's do; what counts is whether it ends.
            let _ = GrpcControllerClient::new(self.channel.clone()).shutdown(Empty {}).await;
            self.process.ended().await
        };
        match tokio::time::timeout(SHUTDOWN_TIMEOUT, asked).await {
            Ok(exited) => Ok(Exit::Graceful(exited.map_err(ShutdownError::Wait)?)),
            Err(_) => {
                self.process.kill();
                self.process.ended().await.map_err(ShutdownError::Wait)?;
                Ok(Exit::Killed)
            }
        }
    }
}

/// What a plugin's code prints, as the plugin hands it on.
#[derive(Debug)]
pub struct Output(mpsc::Receiver<Vec<u8>>);

impl Output {
    /// Waits for the next piece of at most 1 KiB; `None` when the plugin has ended, or does not hand on its output.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.recv().await
    }

    /// Hands every line to `log` until the plugin has ended.
    pub async fn forward(mut self, log: LogSink) {
        let mut lines = Lines::new(Origin::Printed, log);
        while let Some(piece) = self.next().await {
            lines.push(&piece);
        }
        lines.end();
    }
}

/// What go-plugin puts into the environment.
fn variables(options: &LaunchOptions, identity: Option<&Identity>) -> Vec<(&'static str, String)> {
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
    if options.brokering == Brokering::Multiplexed {
        variables.push((MULTIPLEX, "true".to_owned()));
    }
    variables
}

async fn connect(
    line: &HandshakeLine,
    identity: Option<&Identity>,
    doors: Option<&Doors>,
) -> Result<(Channel, Option<TlsAcceptor>), LaunchError> {
    let unreachable = |source| LaunchError::Connect { address: line.address.clone(), source };
    let mut connection = Connection::open(&line.address).await.map_err(unreachable)?;
    if let Some(doors) = doors.cloned() {
        let session: Opener = multiplex::connect(connection, move |stream| doors.enter(stream));
        let lost = || std::io::Error::new(std::io::ErrorKind::NotConnected, "the session has ended");
        connection = session.open().await.ok_or_else(lost).map_err(unreachable)?;
    }
    let mut acceptor = None;
    if let Some(identity) = identity {
        let plugin = CertificateDer::from(line.certificate.clone().ok_or(LaunchError::NoCertificate)?);
        let connector = tls::connector(identity, plugin.clone()).map_err(LaunchError::TlsSetup)?;
        acceptor = Some(tls::acceptor(identity, plugin).map_err(LaunchError::TlsSetup)?);
        connection = tls::connect(&connector, connection).await.map_err(LaunchError::Tls)?;
    }
    let channel = connection.into_channel().await.map_err(LaunchError::Channel)?;
    Ok((channel, acceptor))
}

/// Makes sure that the plugin accepts us: in TLS 1.3 a client learns of its rejection only by the first answer.
///
/// Go's plugins have a health service; for others any answer will do.
async fn greet(channel: &Channel) -> Result<(), LaunchError> {
    let request = HealthCheckRequest { service: "plugin".to_owned() };
    match HealthClient::new(channel.clone()).check(request).await {
        Err(status) if status.source().is_some() => Err(LaunchError::Refused(status)),
        Ok(_) | Err(_) => Ok(()),
    }
}
