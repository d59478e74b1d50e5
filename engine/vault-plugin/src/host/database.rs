//! Reads the version of a database plugin, like Vault when it registers one. Its other calls need a database.

use std::time::Duration;

use go_plugin::Handshake;

use super::launch::launch_with;
use super::{LaunchError, MountError, PluginCommand, ProbeError, ShutdownBehavior};
use crate::wire::RemoteBackend;

/// The handshake of Vault and OpenBao for database plugins (`sdk/database/dbplugin/v5`). Both versions have the same calls; plugins that
/// share a process choose version 6.
const HANDSHAKE: Handshake = Handshake {
    cookie_key: "VAULT_DATABASE_PLUGIN",
    cookie_value: "926a0820-aea2-be28-51d6-83cdf00e8edb",
    protocol_versions: &[5, 6],
};

/// The version and properties of a database plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseReport {
    /// The reported version with a leading `v`, or an empty string.
    pub version: String,
    /// Whether several connections can share one process.
    pub multiplexed: bool,
    /// The negotiated protocol version.
    pub protocol_version: u32,
    /// The time from the start of the process to its handshake line.
    pub handshake_time: Duration,
    /// How the plugin reacts to the shutdown call.
    pub shutdown: ShutdownBehavior,
}

/// Starts a database plugin like Vault when it registers one, reads its version, and stops it. It connects to no database.
///
/// ```no_run
/// use vault_plugin::host::{PluginCommand, probe_database};
///
/// # async fn run() -> Result<(), vault_plugin::ProbeError> {
/// let report = probe_database(PluginCommand::new("./vault-plugin-database-redis")).await?;
/// assert!(report.multiplexed && report.protocol_version == 6);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Fails if the program does not start, is not a database plugin, or is one of the old interface (`dbplugin` v4).
pub async fn probe_database(plugin: PluginCommand) -> Result<DatabaseReport, ProbeError> {
    let plugin = launch_with(plugin, HANDSHAKE).await.map_err(LaunchError::of_database)?;
    let version = RemoteBackend::new(plugin.process().channel()).version().await;
    let version = version.map_err(|error| ProbeError::from(MountError::from(error)));
    let (multiplexed, protocol_version) = (plugin.is_multiplexed(), plugin.protocol_version());
    let handshake_time = plugin.handshake_time();
    let (version, shutdown) = plugin.finish(version).await?;
    let shutdown = ShutdownBehavior::from(shutdown);
    Ok(DatabaseReport { version, multiplexed, protocol_version, handshake_time, shutdown })
}

impl LaunchError {
    /// Names the interface of database plugins that chose an old protocol version.
    fn of_database(self) -> LaunchError {
        match self {
            LaunchError::OldProtocol { version } => LaunchError::OldDatabaseProtocol { version },
            other => other,
        }
    }
}
