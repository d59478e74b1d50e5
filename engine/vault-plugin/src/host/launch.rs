//! The process of a plugin.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use go_plugin::host::{
    self, BrokerTransport, Isolation, LaunchOptions, LogSink, PluginExit, PluginProcess, START_TIMEOUT,
    ShutdownError, ShutdownOutcome,
};
use go_plugin::{Handshake, UnsupportedVersion};

use super::CallError;
use crate::serve::HANDSHAKE;
use crate::wire;

/// The default host version that plugins see.
const DEFAULT_HOST_VERSION: &str = "1.21.4";

/// How long to wait for the exit of a process after its connection was lost. After a crash, the kernel closes the connection before
/// it has written the core dump.
const EXIT_AFTER_DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What to start, and how. The environment may contain secrets, so `Debug` shows its names only.
///
/// ```
/// use std::sync::Arc;
/// use vault_plugin::host::{PluginCommand, LogLine};
///
/// let (lines, mut output) = tokio::sync::mpsc::unbounded_channel();
/// let plugin = PluginCommand {
///     args: vec!["serve".into()],
///     env: vec![("API_KEY".into(), "hunter2".into())],
///     host_version: "1.18.0".to_owned(),
///     log: Arc::new(move |line: LogLine| drop(lines.send(line.message))),
///     ..PluginCommand::new("./custom-plugin")
/// };
/// assert_eq!(plugin.program.to_str(), Some("./custom-plugin"));
/// assert!(format!("{plugin:?}").contains("API_KEY") && !format!("{plugin:?}").contains("hunter2"));
/// ```
#[derive(Clone)]
pub struct PluginCommand {
    /// The plugin's binary.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables that are added to the inherited ones. Those of Vault are added last.
    pub env: Vec<(OsString, OsString)>,
    /// What the plugin inherits from this process.
    pub isolation: Isolation,
    /// The Vault version that the plugin sees, without a leading `v`.
    pub host_version: String,
    /// Receives each line of the plugin's output: its log, other text on standard error, and what its code prints.
    pub log: LogSink,
    /// How the plugin reaches the storage.
    pub broker_transport: BrokerTransport,
    /// The time limit for the handshake and the connection together.
    pub start_timeout: Duration,
}

impl fmt::Debug for PluginCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("PluginCommand")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &names)
            .field("isolation", &self.isolation)
            .field("host_version", &self.host_version)
            .field("broker_transport", &self.broker_transport)
            .field("start_timeout", &self.start_timeout)
            .finish_non_exhaustive()
    }
}

impl PluginCommand {
    /// Returns a command that starts `program` without arguments, like Vault 1.21, and without a log.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> PluginCommand {
        PluginCommand {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            isolation: Isolation::Inherit,
            host_version: DEFAULT_HOST_VERSION.to_owned(),
            log: Arc::new(|_| {}),
            broker_transport: BrokerTransport::Sockets,
            start_timeout: START_TIMEOUT,
        }
    }
}

/// Starts a plugin like Vault: protocol version 5, mutual TLS, its own process group. It is killed when this process dies.
///
/// ```no_run
/// use vault_plugin::host::{PluginCommand, launch};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let plugin = launch(PluginCommand::new("./custom-plugin")).await?;
/// assert_eq!(plugin.protocol_version(), 5);
/// plugin.shutdown().await?;
/// assert!(!plugin.is_running());
/// # Ok(()) }
/// ```
///
/// # Errors
/// Reports why the program does not start, what it printed instead of a handshake, and its last output.
pub async fn launch(launch: PluginCommand) -> Result<Plugin, LaunchError> {
    launch_with(launch, HANDSHAKE).await
}

/// Starts a plugin of another type.
pub(super) async fn launch_with(launch: PluginCommand, handshake: Handshake) -> Result<Plugin, LaunchError> {
    let mut options = LaunchOptions::new(launch.program, handshake);
    options.args = launch.args;
    options.env = launch.env;
    options.isolation = launch.isolation;
    // The variables of `sdk/helper/pluginutil/run_config.go`.
    options.env.extend(
        [
            ("VAULT_VERSION", launch.host_version.as_str()),
            ("VAULT_PLUGIN_METADATA_MODE", "false"),
            ("VAULT_PLUGIN_AUTOMTLS_ENABLED", "true"),
        ]
        .map(|(name, value)| (name.into(), value.into())),
    );
    options.log = Arc::clone(&launch.log);
    options.broker_transport = launch.broker_transport;
    options.start_timeout = launch.start_timeout;

    let process = host::launch(options).await.map_err(|error| match error {
        host::PluginStartError::Version(UnsupportedVersion { plugin, .. }) => {
            LaunchError::OldProtocol { version: plugin }
        }
        other => LaunchError::Start(other),
    })?;
    tokio::spawn(process.stdout().forward(launch.log));
    let multiplexed =
        wire::supports_multiplexing(process.channel()).await.map_err(LaunchError::Multiplexing)?;
    Ok(Plugin(Arc::new(PluginInner { process, multiplexed, mount_taken: AtomicBool::new(false) })))
}

/// A plugin process. It is killed when the last clone of this value and the last [`RemoteMount`](super::RemoteMount) are dropped.
///
/// ```no_run
/// use vault_plugin::host::{PluginCommand, launch};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let plugin = launch(PluginCommand::new("./custom-plugin")).await?;
/// assert!(plugin.is_running() && plugin.is_multiplexed());
/// let exit = plugin.exited().await; // without a shutdown call
/// assert!(exit.status.is_some_and(|status| !status.success()));
/// assert!(plugin.stderr_tail().contains("panicked"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Plugin(Arc<PluginInner>);

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("pid", &self.pid()).finish_non_exhaustive()
    }
}

struct PluginInner {
    process: PluginProcess,
    multiplexed: bool,
    /// Whether the mount of a plugin that supports only one exists.
    mount_taken: AtomicBool,
}

impl Plugin {
    /// Returns the process id. It may belong to another process after the plugin has exited.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.process.pid()
    }

    /// Returns the time from the start of the process to its handshake line.
    #[must_use]
    pub fn handshake_time(&self) -> Duration {
        self.0.process.handshake_time()
    }

    /// Returns the negotiated protocol version.
    #[must_use]
    pub fn protocol_version(&self) -> u32 {
        self.0.process.protocol_version()
    }

    /// Whether several mounts can share the process. If not, each mount needs its own process.
    #[must_use]
    pub fn is_multiplexed(&self) -> bool {
        self.0.multiplexed
    }

    /// Whether the process is running.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.process.is_running()
    }

    /// Waits until the process has exited. Any number of callers may wait, at any time. The future does not keep the process
    /// alive.
    pub fn exited(&self) -> impl Future<Output = PluginExit> + Send + 'static + use<> {
        self.0.process.exited()
    }

    /// Returns the last lines of standard error.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.0.process.stderr_tail()
    }

    /// Calls `Shutdown`, kills the plugin after two seconds, and waits for its exit. Its mounts are lost.
    ///
    /// ```no_run
    /// # use vault_plugin::host::{ShutdownOutcome, Plugin};
    /// # async fn run(plugin: Plugin) -> Result<(), Box<dyn std::error::Error>> {
    /// assert!(matches!(plugin.shutdown().await?, ShutdownOutcome::Graceful(_)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// The process cannot be waited for.
    pub async fn shutdown(&self) -> Result<ShutdownOutcome, ShutdownError> {
        self.0.process.shutdown().await
    }

    /// Returns how the process exited after its connection was lost, or `None` if it has only closed the connection.
    async fn exit_after_disconnect(&self) -> Option<PluginExit> {
        tokio::time::timeout(EXIT_AFTER_DISCONNECT_TIMEOUT, self.exited()).await.ok()
    }

    /// Stops the plugin after a query, and returns the result of the query. If the query has failed because the plugin exited, the exit is the
    /// error.
    pub(super) async fn finish<T, E: QueryError>(
        &self,
        result: Result<T, E>,
    ) -> Result<(T, ShutdownOutcome), E> {
        if result.as_ref().is_err_and(E::is_connection_lost)
            && let Some(exit) = self.exit_after_disconnect().await
        {
            return Err(E::from_exit(exit));
        }
        let shutdown = self.shutdown().await;
        Ok((result?, shutdown?))
    }

    pub(super) fn process(&self) -> &PluginProcess {
        &self.0.process
    }

    /// Reserves a mount. Returns `false` if none is available.
    pub(super) fn reserve_mount(&self) -> bool {
        self.0.multiplexed || !self.0.mount_taken.swap(true, Ordering::AcqRel)
    }

    pub(super) fn release_mount(&self) {
        self.0.mount_taken.store(false, Ordering::Release);
    }
}

/// The error of a query to a plugin that runs only for it.
pub(super) trait QueryError: From<ShutdownError> {
    /// Whether the plugin may have exited.
    fn is_connection_lost(&self) -> bool;

    /// The plugin has exited during the query.
    fn from_exit(exit: PluginExit) -> Self;
}

/// An error from [`launch`].
///
/// ```
/// use vault_plugin::host::{PluginCommand, LaunchError, PluginStartError, launch};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let error = launch(PluginCommand::new("/no/such/plugin")).await.unwrap_err();
/// assert!(matches!(error, LaunchError::Start(PluginStartError::NotFound(_))));
/// assert_eq!(error.to_string(), "/no/such/plugin does not exist");
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The process could not be started as a plugin.
    #[error(transparent)]
    Start(host::PluginStartError),
    /// The plugin was built with an SDK without AutoMTLS for engines.
    #[error(
        "the plugin uses protocol version {version}, which is not supported: rebuild it with vault/sdk 0.7 or later, \
         which uses version 5"
    )]
    OldProtocol {
        /// The version that the plugin chose.
        version: u32,
    },
    /// The database plugin was built with an SDK whose interface the servers no longer support.
    #[error(
        "the database plugin uses protocol version {version}, the interface dbplugin v4 or older, which is not supported: rebuild \
         it with vault/sdk/database/dbplugin/v5"
    )]
    OldDatabaseProtocol {
        /// The version that the plugin chose.
        version: u32,
    },
    /// The plugin did not respond to the first call after its handshake.
    #[error("the plugin did not respond to its first call within {} s", after.as_secs_f32())]
    NoResponse {
        /// The time limit.
        after: Duration,
    },
    /// The call that reports multiplexing support failed.
    #[error("cannot determine whether the plugin supports multiplexing")]
    Multiplexing(#[source] CallError),
}
