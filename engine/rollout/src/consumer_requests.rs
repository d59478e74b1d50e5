//! The requests that change or read a consumer, by its kind and in its namespace.

use std::time::Duration;

use vault_api::catalog::PluginType;
use vault_api::reload::ReloadMounts;
use vault_api::{CallError, Client, database, mounts};

use crate::consumer::Consumer;

/// Enables a mount.
pub(crate) async fn enable(
    client: &Client,
    mount: &Consumer,
    plugin: String,
    version: Option<String>,
    max_lease_ttl: Option<Duration>,
) -> Result<Vec<String>, CallError> {
    let (client, path) = in_its_namespace(client, mount);
    client.send(&mounts::Enable { path, plugin, version, max_lease_ttl }).await
}

/// Disables a mount.
pub(crate) async fn disable(client: &Client, mount: &Consumer) -> Result<Vec<String>, CallError> {
    let (client, path) = in_its_namespace(client, mount);
    client.send(&mounts::Disable { path }).await
}

/// Configures the version. A mount runs it after its next reload, a connection at once.
pub(crate) async fn set_version(
    client: &Client,
    consumer: &Consumer,
    version: String,
) -> Result<Vec<String>, CallError> {
    let (client, path) = in_its_namespace(client, consumer);
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
    let (client, path) = in_its_namespace(client, consumer);
    let connection = client.send(&database::Read { path }).await?;
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
            let (client, path) = in_its_namespace(client, consumer);
            client.send(&ReloadMounts { paths: vec![path] }).await
        }
    }
}

/// Reads the running version; `None` if the consumer does not exist. That of a connection is the configured one if the server does not show
/// it.
pub(crate) async fn running_version(
    client: &Client,
    consumer: &Consumer,
) -> Result<Option<String>, CallError> {
    let (client, path) = in_its_namespace(client, consumer);
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

/// A client of the namespace of a consumer, and the path of the consumer there.
fn in_its_namespace(client: &Client, consumer: &Consumer) -> (Client, String) {
    (client.in_namespace(consumer.namespace()), consumer.local_path().to_owned())
}
