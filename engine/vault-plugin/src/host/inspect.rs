//! Inspects a plugin: starts it like Vault, reads its help and its OpenAPI document, and stops it.

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

/// The API and the properties of a plugin.
///
/// ```no_run
/// use vault_plugin::host::{ShutdownBehavior, Inspection, PluginCommand, Verb, inspect};
///
/// # async fn run() -> Result<(), vault_plugin::host::InspectError> {
/// let inspection: Inspection = inspect(PluginCommand::new("./custom-plugin"), Default::default()).await?;
/// assert!(inspection.multiplexed && inspection.shutdown == ShutdownBehavior::Graceful);
/// assert!(inspection.paths["config"].operations.contains_key(&Verb::Read));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The reported version with a leading `v`, or an empty string.
    pub version: String,
    /// The type: secrets engine or auth method.
    pub kind: BackendType,
    /// Whether several mounts can share one process.
    pub multiplexed: bool,
    /// The negotiated protocol version.
    pub protocol_version: u32,
    /// The time from the start of the process to its handshake line.
    pub handshake_time: Duration,
    /// The paths that the host treats specially.
    pub special_paths: SpecialPaths,
    /// The help of the engine.
    pub help: String,
    /// How the plugin reacts to the shutdown call.
    pub shutdown: ShutdownBehavior,
    /// The paths of the mount, with `{name}` for each parameter, and without leading and trailing slashes.
    pub paths: BTreeMap<String, PathInfo>,
}

/// How a plugin reacts to the shutdown call of its host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ShutdownBehavior {
    /// It exits.
    Graceful,
    /// It keeps running and has to be killed.
    Killed,
}

impl From<ShutdownOutcome> for ShutdownBehavior {
    fn from(outcome: ShutdownOutcome) -> ShutdownBehavior {
        match outcome {
            ShutdownOutcome::Graceful(_) => ShutdownBehavior::Graceful,
            ShutdownOutcome::Killed => ShutdownBehavior::Killed,
        }
    }
}

/// Starts any plugin like Vault, reads its API, and stops it.
///
/// `options` are those of the mount. The paths of some engines depend on them (`version=2` of the key/value engine).
///
/// ```no_run
/// use std::collections::BTreeMap;
/// use vault_plugin::host::{PluginCommand, inspect};
///
/// # async fn run() -> Result<(), vault_plugin::host::InspectError> {
/// let options = BTreeMap::from([("version".to_owned(), "2".to_owned())]);
/// let inspection = inspect(PluginCommand::new("./vault-plugin-secrets-kv"), options).await?;
/// assert!(inspection.paths.contains_key("data/{path}"));
/// # Ok(()) }
/// ```
///
/// # Errors
/// Fails if the program does not start, or is not a backend plugin.
pub async fn inspect(
    plugin: PluginCommand,
    options: BTreeMap<String, String>,
) -> Result<Inspection, InspectError> {
    let plugin = launch(plugin).await?;
    let inspection = query(&plugin, options).await;
    let (inspection, outcome) = plugin.finish(inspection).await?;
    Ok(Inspection { shutdown: outcome.into(), ..inspection })
}

async fn query(plugin: &Plugin, options: BTreeMap<String, String>) -> Result<Inspection, InspectError> {
    let storage = Arc::new(MemoryStorage::default());
    let config = MountConfig { options, ..MountConfig::new(storage, Arc::new(StaticSystemView::default())) };
    let mount = plugin.mount(config).await?;
    // Like Vault when it collects the document of the whole API.
    let prefix = json!({"requestResponsePrefix": "plugin"}).as_object().cloned().unwrap_or_default();
    let response = mount.handle_request(Request::new(Operation::Help, "", prefix)).await;
    let help = response.map_err(InspectError::Help)?.and_then(|response| response.data).unwrap_or_default();
    let text = help.get("help").and_then(|help| help.as_str()).unwrap_or_default().trim();
    let inspection = Inspection {
        version: mount.version().to_owned(),
        kind: mount.backend_type(),
        multiplexed: plugin.is_multiplexed(),
        protocol_version: plugin.protocol_version(),
        handshake_time: plugin.handshake_time(),
        special_paths: mount.special_paths().clone(),
        help: text.to_owned(),
        shutdown: ShutdownBehavior::Graceful,
        paths: help.get("openapi").map(openapi::documented_paths).unwrap_or_default(),
    };
    mount.cleanup_with_timeout().await;
    Ok(inspection)
}

/// An error from [`inspect()`].
///
/// ```
/// use vault_plugin::host::{InspectError, PluginCommand, LaunchError, PluginStartError, inspect};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let error = inspect(PluginCommand::new("/no/such/plugin"), Default::default()).await.unwrap_err();
/// assert!(matches!(error, InspectError::Launch(LaunchError::Start(PluginStartError::NotFound(_)))));
/// assert_eq!(error.to_string(), "cannot start the plugin");
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// The plugin did not start.
    #[error("cannot start the plugin")]
    Launch(#[from] LaunchError),
    /// The engine could not be mounted.
    #[error("cannot mount the plugin")]
    Mount(#[from] MountError),
    /// The help request failed.
    #[error("the plugin does not respond to a help request")]
    Help(#[source] CallError),
    /// The plugin exited during the inspection.
    #[error("the plugin exited during the inspection: {0}")]
    Exited(PluginExit),
    /// The plugin could not be stopped.
    #[error("cannot stop the plugin")]
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
