//! A plugin process, from its start to its end.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use go_plugin::UnsupportedVersion;
use go_plugin::host::{
    self, BrokerTransport, Isolation, LaunchOptions, LogSink, PluginExit, PluginProcess, START_TIMEOUT,
    ShutdownError, ShutdownOutcome,
};

use super::CallError;
use crate::serve::HANDSHAKE;
use crate::wire;

/// What plugins see as the version of their host unless the caller says otherwise.
const DEFAULT_HOST_VERSION: &str = "1.21.4";

/// How long a process may take to end after its connection was lost: a crash closes that while the kernel still writes the
/// core.
const EXIT_AFTER_DISCONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// What to start, and how. The environment may hold secrets, so `Debug` shows its names only.
///
/// ```
/// use std::sync::Arc;
/// use vault_plugin::host::{PluginCommand, LogLine};
///
/// let (lines, mut said) = tokio::sync::mpsc::unbounded_channel();
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
    /// Variables added to what it inherits; Vault's own are added after them.
    pub env: Vec<(OsString, OsString)>,
    /// What it inherits from this process.
    pub isolation: Isolation,
    /// The version of Vault that the plugin is told, without a leading `v`.
    pub host_version: String,
    /// Takes what the plugin says, line by line: its log, other text on standard error, and what its code prints.
    pub log: LogSink,
    /// How the plugin reaches the storage.
    pub broker_transport: BrokerTransport,
    /// How long the handshake and the connection may take.
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
    /// Starts `program` without arguments, as Vault 1.21 would, and listens to nothing of what it says.
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

/// Starts a plugin as Vault does: protocol version 5, mutual TLS, a process group of its own. It dies with this process.
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
/// Says what was seen: why the program does not start, what it printed instead of a handshake, what it said last.
pub async fn launch(launch: PluginCommand) -> Result<Plugin, LaunchError> {
    let mut options = LaunchOptions::new(launch.program, HANDSHAKE);
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

/// A plugin process. It is killed when the last clone of this and the last [`RemoteMount`](super::RemoteMount) in it are dropped.
///
/// ```no_run
/// use vault_plugin::host::{PluginCommand, launch};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let plugin = launch(PluginCommand::new("./custom-plugin")).await?;
/// assert!(plugin.is_running() && plugin.is_multiplexed());
/// let ended = plugin.exited().await; // without being told
/// assert!(ended.status.is_some_and(|status| !status.success()));
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
    /// Whether the one mount is there of a plugin that can have only one.
    mount_taken: AtomicBool,
}

impl Plugin {
    /// The process id. It may be another's when the plugin has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.process.pid()
    }

    /// The time from the start of the process to its handshake line.
    #[must_use]
    pub fn handshake_time(&self) -> Duration {
        self.0.process.handshake_time()
    }

    /// The protocol version agreed on.
    #[must_use]
    pub fn protocol_version(&self) -> u32 {
        self.0.process.protocol_version()
    }

    /// Whether many mounts may share the process. If not, each needs a process of its own.
    #[must_use]
    pub fn is_multiplexed(&self) -> bool {
        self.0.multiplexed
    }

    /// Whether the process has not ended yet.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.0.process.is_running()
    }

    /// Waits until the process has ended, by itself or not. May be asked at any time, by any number of callers; it does
    /// not keep the process alive.
    pub fn exited(&self) -> impl Future<Output = PluginExit> + Send + 'static + use<> {
        self.0.process.exited()
    }

    /// The last lines that the plugin wrote to standard error.
    #[must_use]
    pub fn stderr_tail(&self) -> String {
        self.0.process.stderr_tail()
    }

    /// Tells the plugin to end, kills it after two seconds, and waits until it is gone. Its mounts are gone with it.
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

    /// How the process ended, after its connection was lost. A plugin can close that and go on: `None`.
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

    /// Takes the place of a mount; `false` when there is none left.
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

/// A plugin could not be started.
///
/// ```
/// use vault_plugin::host::{PluginCommand, LaunchError, PluginStartError, launch};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let failed = launch(PluginCommand::new("/no/such/plugin")).await.unwrap_err();
/// assert!(matches!(failed, LaunchError::Start(PluginStartError::NotFound(_))));
/// assert_eq!(failed.to_string(), "/no/such/plugin does not exist");
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The process did not become a plugin.
    #[error(transparent)]
    Start(host::PluginStartError),
    /// The plugin was built before there was AutoMTLS for engines.
    #[error(
        "the plugin speaks protocol version {version}, which is not supported: rebuild it with vault/sdk 0.7 or later, \
         which speaks version 5"
    )]
    OldProtocol {
        /// The plugin's choice.
        version: u32,
    },
    /// The plugin made its handshake and answers nothing.
    #[error("the plugin does not answer its first call within {} s", after.as_secs_f32())]
    NoResponse {
        /// The limit.
        after: Duration,
    },
    /// The plugin does not say whether mounts can share it.
    #[error("the plugin does not say whether mounts can share its process")]
    Multiplexing(#[source] CallError),
}
