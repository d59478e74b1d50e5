//! The requests that change or read a consumer, by its kind.

use vault_api::catalog::PluginType;
use vault_api::reload::ReloadMounts;
use vault_api::{CallError, Client, database, mounts};

use crate::consumer::Consumer;

/// Configures the version. A mount runs it after its next reload, a connection at once.
pub(crate) async fn set_version(
    client: &Client,
    consumer: &Consumer,
    version: String,
) -> Result<Vec<String>, CallError> {
    let path = consumer.to_string();
    match consumer.kind() {
        PluginType::Database => client.send(&database::SetVersion { path, version }).await,
        PluginType::Secret | PluginType::Auth => client.send(&mounts::TuneVersion { path, version }).await,
    }
}

/// Whether a connection is configured for a version, so that it need not be opened again. The server keeps the configuration of a connection
/// if it cannot open the new one.
pub(crate) async fn connection_has_version(
    client: &Client,
    consumer: &Consumer,
    version: &str,
) -> Result<bool, CallError> {
    if consumer.kind() != PluginType::Database {
        return Ok(false);
    }
    let connection = client.send(&database::Read { path: consumer.to_string() }).await?;
    Ok(connection.is_some_and(|connection| {
        connection.plugin_version == version
            && [version, ""].contains(&connection.running_plugin_version.as_str())
    }))
}

/// Starts the configured version.
pub(crate) async fn reload(client: &Client, consumer: &Consumer) -> Result<Vec<String>, CallError> {
    match consumer.kind() {
        PluginType::Database => client.send(&database::Reset { path: consumer.reset_path() }).await,
        PluginType::Secret | PluginType::Auth => {
            client.send(&ReloadMounts { paths: vec![consumer.to_string()] }).await
        }
    }
}

/// Reads the running version; `None` if the consumer does not exist. That of a connection is the configured one if the server does not show
/// it.
pub(crate) async fn running_version(
    client: &Client,
    consumer: &Consumer,
) -> Result<Option<String>, CallError> {
    let path = consumer.to_string();
    match consumer.kind() {
        PluginType::Database => {
            let connection = client.send(&database::Read { path }).await?;
            Ok(connection.map(|connection| match connection.running_plugin_version.as_str() {
                "" => connection.plugin_version,
                running => running.to_owned(),
            }))
        }
        PluginType::Secret | PluginType::Auth => {
            let mount = client.send(&mounts::Read { path }).await?;
            Ok(mount.map(|shown| shown.mount.running_version))
        }
    }
}
