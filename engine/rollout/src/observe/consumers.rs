//! Reads the consumers of plugins: only the kinds that can matter, because each needs other permissions.

use std::collections::BTreeMap;

use vault_api::catalog::PluginType;
use vault_api::{database, mounts, namespaces};

use super::query::{ObserveScope, StandbyRestarts};
use super::{ObserveError, Observer, ServerSnapshot};
use crate::consumer::Consumer;
use crate::goal::{Goal, ReloadTarget};
use crate::observed::{CatalogEntry, ConsumerObserved};

impl Observer<'_> {
    /// Reads the secrets mounts.
    pub(super) async fn secrets_mounts(
        &mut self,
    ) -> Result<BTreeMap<Consumer, ConsumerObserved>, ObserveError> {
        let listed = self.request("sys/mounts", &mounts::List).await?.unwrap_or_default();
        Ok(consumers(PluginType::Secret, listed).collect())
    }

    /// Reads the consumers of the other kinds.
    pub(super) async fn read_other_consumers(
        &mut self,
        snapshot: &mut ServerSnapshot,
    ) -> Result<(), ObserveError> {
        if self.needs(PluginType::Auth, &snapshot.catalog) {
            let listed = self.request("sys/auth", &mounts::ListAuth).await?.unwrap_or_default();
            snapshot.consumers.extend(consumers(PluginType::Auth, listed));
        }
        if self.needs(PluginType::Database, &snapshot.catalog) {
            let engines = snapshot.consumers.iter().filter(|(_, mount)| is_database_engine(mount));
            let engines: Vec<Consumer> = engines.map(|(path, _)| path.clone()).collect();
            for engine in engines {
                let connections = self.connections(&engine).await?;
                snapshot.consumers.extend(connections);
            }
        }
        Ok(())
    }

    /// Reads the connections of a database secrets engine.
    async fn connections(
        &mut self,
        engine: &Consumer,
    ) -> Result<Vec<(Consumer, ConsumerObserved)>, ObserveError> {
        let list = database::List { mount: engine.to_string() };
        let names = self.request(&engine.join("config"), &list).await?.unwrap_or_default();
        let mut connections = Vec::new();
        for name in names {
            let consumer = Consumer::connection(engine, &name);
            let read = database::Read { path: consumer.to_string() };
            if let Some(Some(connection)) = self.request(consumer.as_str(), &read).await? {
                connections.push((consumer, ConsumerObserved::of_connection(connection)));
            }
        }
        Ok(connections)
    }

    /// Adds the checksums of connections, which servers do not show: a connection runs the registered binary of its version.
    pub(super) fn add_connection_checksums(snapshot: &mut ServerSnapshot) {
        let ServerSnapshot { consumers, catalog, .. } = snapshot;
        for connection in consumers.values_mut().filter(|consumer| consumer.kind == PluginType::Database) {
            let is_it = |entry: &&CatalogEntry| {
                entry.kind == connection.kind
                    && entry.name == connection.plugin
                    && entry.version == connection.running_version
            };
            let sha256 = catalog.iter().find(is_it).map(|entry| entry.sha256.clone());
            connection.running_sha256 = sha256.unwrap_or_default();
        }
    }

    /// Reads all child namespaces, recursively, with their consumers.
    pub(super) async fn read_child_namespaces(
        &mut self,
        snapshot: &mut ServerSnapshot,
    ) -> Result<(), ObserveError> {
        let mut pending = vec![String::new()];
        let needs_auth = self.needs(PluginType::Auth, &snapshot.catalog);
        let needs_connections = self.needs(PluginType::Database, &snapshot.catalog);
        while let Some(parent) = pending.pop() {
            let children = self.request_in(&parent, "sys/namespaces", &namespaces::List).await?;
            for child in children.unwrap_or_default() {
                let child = format!("{parent}{}/", child.trim_end_matches('/'));
                let listed = self.request_in(&child, "sys/mounts", &mounts::List).await?.unwrap_or_default();
                let mut found: Vec<_> = consumers(PluginType::Secret, listed).collect();
                if needs_auth {
                    let listed =
                        self.request_in(&child, "sys/auth", &mounts::ListAuth).await?.unwrap_or_default();
                    found.extend(consumers(PluginType::Auth, listed));
                }
                let mut found: BTreeMap<_, _> =
                    found.into_iter().map(|(path, mount)| (path.in_namespace(&child), mount)).collect();
                if needs_connections {
                    let engines = found.iter().filter(|(_, mount)| is_database_engine(mount));
                    let engines: Vec<Consumer> = engines.map(|(path, _)| path.clone()).collect();
                    for engine in engines {
                        found.extend(self.connections(&engine).await?);
                    }
                }
                found.values_mut().for_each(|consumer| consumer.namespace = Some(child.clone()));
                snapshot.consumers.extend(found);
                snapshot.namespaces.insert(child.clone());
                pending.push(child);
            }
        }
        Ok(())
    }

    /// Whether the consumers of a kind can matter.
    fn needs(&self, kind: PluginType, catalog: &[CatalogEntry]) -> bool {
        // A restarted standby runs the plugins of all mounts.
        let is_used = kind != PluginType::Database || catalog.iter().any(|entry| entry.kind == kind);
        (self.standby_restarts == StandbyRestarts::Possible && is_used)
            || is_needed(self.scope, kind, catalog)
    }
}

fn is_needed(scope: ObserveScope<'_>, kind: PluginType, catalog: &[CatalogEntry]) -> bool {
    if let ObserveScope::Consumers = scope {
        return true;
    }
    let is_registered = || catalog.iter().any(|entry| entry.kind == kind);
    let Some(goal) = scope.goal() else { return kind != PluginType::Database || is_registered() };
    match goal {
        Goal::Register(register) => register.plugin.kind == kind,
        Goal::Upgrade(upgrade) => upgrade.kind() == kind,
        Goal::Reload(reload) => match &reload.target {
            ReloadTarget::Plugin { kind: of_plugin, .. } => *of_plugin == kind,
            ReloadTarget::Mounts(paths) => paths.iter().any(|path| path.kind() == kind),
        },
        // A file belongs to every registered plugin of its name.
        Goal::Deregister(deregister) => {
            deregister.kind == kind
                || catalog.iter().any(|entry| entry.kind == kind && entry.name == deregister.name)
        }
        Goal::GarbageCollect(_) => is_registered(),
    }
}

/// Whether a mount is a database secrets engine, which has connections.
fn is_database_engine(mount: &ConsumerObserved) -> bool {
    mount.kind == PluginType::Secret && mount.plugin == "database"
}

fn consumers(
    kind: PluginType,
    listed: BTreeMap<String, mounts::MountInfo>,
) -> impl Iterator<Item = (Consumer, ConsumerObserved)> {
    let consumer = move |(path, mount): (String, _)| {
        (Consumer::listed(kind, &path), ConsumerObserved::of_mount(kind, mount))
    };
    listed.into_iter().map(consumer)
}

impl ConsumerObserved {
    /// OpenBao does not show the running version. There it is the configured one, with which each connection is opened.
    fn of_connection(connection: database::Connection) -> Self {
        let database::Connection { plugin_name, plugin_version, running_plugin_version } = connection;
        let running_version =
            if running_plugin_version.is_empty() { plugin_version.clone() } else { running_plugin_version };
        Self {
            kind: PluginType::Database,
            plugin: plugin_name,
            configured_version: plugin_version,
            running_version,
            ..Self::default()
        }
    }

    fn of_mount(kind: PluginType, mount: mounts::MountInfo) -> Self {
        let mounts::MountInfo {
            plugin,
            description: _,
            accessor,
            uuid,
            configured_version,
            running_version,
            running_sha256,
        } = mount;
        Self {
            kind,
            plugin,
            configured_version,
            running_version,
            running_sha256,
            namespace: None,
            accessor,
            uuid,
            warnings: Vec::new(),
            health: None,
        }
    }
}
