//! What a plugin offers to its clients: started as Vault would start it, asked for its help, and ended.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use go_plugin::host::{PluginExit, ShutdownError, ShutdownOutcome};
use serde::Serialize;
use serde_json::json;

use super::launch::QueryError;
use super::openapi;
use super::path_info::PathInfo;
use super::{CallError, LaunchError, MountConfig, MountError, Plugin, PluginCommand, launch};
use crate::logical::{BackendType, Operation, Request, SpecialPaths};
use crate::testing::{MemoryStorage, StaticSystemView};

/// Everything that can be seen of a plugin without using it.
///
/// ```no_run
/// use vault_plugin::host::{ShutdownBehavior, Inspection, PluginCommand, Verb, inspect};
///
/// # async fn run() -> Result<(), vault_plugin::host::InspectError> {
/// let found: Inspection = inspect(PluginCommand::new("./custom-plugin"), Default::default()).await?;
/// assert!(found.multiplexed && found.ending == ShutdownBehavior::WhenTold);
/// assert!(found.paths["config"].operations.contains_key(&Verb::Read));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The version it reports, with a leading `v`; empty where it reports none.
    pub version: String,
    /// Secrets engine or auth method.
    pub kind: BackendType,
    /// Whether many mounts may share one process.
    pub multiplexed: bool,
    /// The protocol version agreed on.
    pub protocol_version: u32,
    /// From the start of the process to its handshake line.
    pub handshake_time: Duration,
    /// Paths that the host treats in a special way.
    pub special_paths: SpecialPaths,
    /// The engine's help on itself.
    pub help: String,
    /// How it ended.
    pub ending: ShutdownBehavior,
    /// Its paths below the mount, with `{name}` for each part that a caller fills in; no slash at either end.
    pub paths: BTreeMap<String, PathInfo>,
}

/// How a plugin ends when its host tells it to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShutdownBehavior {
    /// By itself.
    WhenTold,
    /// It goes on, and has to be killed.
    Killed,
}

/// Starts any plugin as Vault would, asks what it offers, and ends it.
///
/// `options` are those of the mount: some engines choose their paths by them (`version=2` of the key/value engine).
///
/// ```no_run
/// use std::collections::BTreeMap;
/// use vault_plugin::host::{PluginCommand, inspect};
///
/// # async fn run() -> Result<(), vault_plugin::host::InspectError> {
/// let options = BTreeMap::from([("version".to_owned(), "2".to_owned())]);
/// let found = inspect(PluginCommand::new("./vault-plugin-secrets-kv"), options).await?;
/// assert!(found.paths.contains_key("data/{path}"));
/// # Ok(()) }
/// ```
///
/// # Errors
/// Fails when it does not start, or answers like no backend plugin.
pub async fn inspect(
    plugin: PluginCommand,
    options: BTreeMap<String, String>,
) -> Result<Inspection, InspectError> {
    let plugin = launch(plugin).await?;
    let inspection = query(&plugin, options).await;
    let (inspection, shutdown) = plugin.finish(inspection).await?;
    let ending = match shutdown {
        ShutdownOutcome::Graceful(_) => ShutdownBehavior::WhenTold,
        ShutdownOutcome::Killed => ShutdownBehavior::Killed,
    };
    Ok(Inspection { ending, ..inspection })
}

async fn query(plugin: &Plugin, options: BTreeMap<String, String>) -> Result<Inspection, InspectError> {
    let storage = Arc::new(MemoryStorage::default());
    let config = MountConfig { options, ..MountConfig::new(storage, Arc::new(StaticSystemView::default())) };
    let mount = plugin.mount(config).await?;
    // What Vault sends for its own document of the whole API.
    let prefix = json!({"requestResponsePrefix": "plugin"}).as_object().cloned().unwrap_or_default();
    let answer = mount.handle_request(Request::new(Operation::Help, "", prefix)).await;
    let help = answer.map_err(InspectError::Help)?.and_then(|answer| answer.data).unwrap_or_default();
    let text = help.get("help").and_then(|help| help.as_str()).unwrap_or_default().trim();
    let inspection = Inspection {
        version: mount.version().to_owned(),
        kind: mount.kind(),
        multiplexed: plugin.is_multiplexed(),
        protocol_version: plugin.protocol_version(),
        handshake_time: plugin.handshake_time(),
        special_paths: mount.special_paths().clone(),
        help: text.to_owned(),
        ending: ShutdownBehavior::WhenTold,
        paths: help.get("openapi").map(openapi::documented_paths).unwrap_or_default(),
    };
    mount.cleanup_with_timeout().await;
    Ok(inspection)
}

/// Why a plugin could not be inspected.
///
/// ```
/// use vault_plugin::host::{InspectError, PluginCommand, LaunchError, PluginStartError, inspect};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let failed = inspect(PluginCommand::new("/no/such/plugin"), Default::default()).await.unwrap_err();
/// assert!(matches!(failed, InspectError::Launch(LaunchError::Start(PluginStartError::NotFound(_)))));
/// assert_eq!(failed.to_string(), "the plugin does not start");
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// It did not start.
    #[error("the plugin does not start")]
    Launch(#[from] LaunchError),
    /// It could not be mounted.
    #[error("the plugin cannot be mounted")]
    Mount(#[from] MountError),
    /// It does not describe itself.
    #[error("the plugin does not answer to a request for help")]
    Help(#[source] CallError),
    /// It ended by itself.
    #[error("the plugin ended while it was asked what it offers: {0}")]
    Exited(PluginExit),
    /// It did not end.
    #[error("the plugin cannot be ended")]
    Shutdown(#[from] ShutdownError),
}

impl QueryError for InspectError {
    fn is_connection_lost(&self) -> bool {
        match self {
            InspectError::Mount(error) => error.is_connection_lost(),
            InspectError::Help(CallError::ConnectionLost) => true,
            _ => false,
        }
    }

    fn from_exit(exit: PluginExit) -> Self {
        InspectError::Exited(exit)
    }
}
