//! Reads the consumers of plugins: only those kinds that can matter, because each needs permissions of its own.

use std::collections::BTreeMap;

use vault_api::catalog::PluginType;
use vault_api::{mounts, namespaces};

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
        Ok(())
    }

    /// Reads the mounts of all child namespaces, recursively.
    pub(super) async fn child_namespace_mounts(
        &mut self,
        catalog: &[CatalogEntry],
    ) -> Result<BTreeMap<String, ConsumerObserved>, ObserveError> {
        let mut all = BTreeMap::new();
        let mut pending = vec![String::new()];
        let needs_auth = self.needs(PluginType::Auth, catalog);
        while let Some(parent) = pending.pop() {
            let path = format!("{parent}sys/namespaces");
            let list = namespaces::List { namespace: parent.clone() };
            let children = self.request(&path, &list).await?.unwrap_or_default();
            for child in children {
                let child = format!("{parent}{}/", child.trim_end_matches('/'));
                let path = format!("{child}sys/mounts");
                let list = namespaces::ListMounts { namespace: child.clone() };
                let listed = self.request(&path, &list).await?.unwrap_or_default();
                let mut found: Vec<_> = consumers(PluginType::Secret, listed).collect();
                if needs_auth {
                    let path = format!("{child}sys/auth");
                    let list = namespaces::ListAuthMounts { namespace: child.clone() };
                    let listed = self.request(&path, &list).await?.unwrap_or_default();
                    found.extend(consumers(PluginType::Auth, listed));
                }
                all.extend(
                    found.into_iter().map(|(consumer, observed)| (format!("{child}{consumer}"), observed)),
                );
                pending.push(child);
            }
        }
        Ok(all)
    }

    /// Whether the consumers of a kind can matter.
    fn needs(&self, kind: PluginType, catalog: &[CatalogEntry]) -> bool {
        // A restarted standby runs the plugins of all mounts.
        self.standby_restarts == StandbyRestarts::Possible || is_needed(self.scope, kind, catalog)
    }
}

fn is_needed(scope: ObserveScope<'_>, kind: PluginType, catalog: &[CatalogEntry]) -> bool {
    let Some(goal) = scope.goal() else { return true };
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
        Goal::GarbageCollect(_) => catalog.iter().any(|entry| entry.kind == kind),
    }
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
            accessor,
            uuid,
            warnings: Vec::new(),
            health: None,
        }
    }
}
