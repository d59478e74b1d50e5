//! What a snapshot asks of the server and of the deployment: only what its goal depends on.

use std::collections::BTreeSet;

use vault_api::health::Product;

use super::{ServerSnapshot, is_external};
use crate::consumer::Consumer;
use crate::deployment::{Deployment, Detail, Freshness, Query};
use crate::goal::{Goal, Plugin, ReloadTarget, UpgradeGoal};
use crate::observed::{CATALOG_PREFIX, CatalogEntry, ConsumerObserved, Pins};

/// Scope of a snapshot.
#[derive(Clone, Copy)]
pub(super) enum ObserveScope<'a> {
    Server,
    All,
    Goal(&'a Goal),
    Health,
    Deep,
    /// The consumers of builtin plugins too, and nothing of the deployment.
    Consumers,
}

impl<'a> ObserveScope<'a> {
    pub(super) fn of(goal: Option<&'a Goal>) -> Self {
        goal.map_or(Self::All, Self::Goal)
    }

    pub(super) fn goal(self) -> Option<&'a Goal> {
        match self {
            Self::Goal(goal) => Some(goal),
            Self::Server | Self::All | Self::Health | Self::Deep | Self::Consumers => None,
        }
    }
}

impl ObserveScope<'_> {
    /// Whether the mounts of child namespaces are needed. Not for a goal that names its mounts, all of which are in this namespace.
    pub(super) fn needs_namespaces(self, pins: &Pins, restarts: StandbyRestarts) -> bool {
        let Some(goal) = self.goal() else { return true };
        let is_in_child = |path: &Consumer| !path.namespace().is_empty();
        let is_needed = match goal {
            Goal::Deregister(_) | Goal::GarbageCollect(_) => true,
            Goal::Upgrade(upgrade) => {
                upgrade.only_mounts.is_empty()
                    || upgrade.only_mounts.iter().any(is_in_child)
                    || is_pinned(pins, upgrade)
            }
            Goal::Register(register) => register.mounts.iter().any(|mount| is_in_child(&mount.path)),
            Goal::Reload(reload) => match &reload.target {
                ReloadTarget::Plugin { .. } => true,
                ReloadTarget::Mounts(paths) => paths.iter().any(is_in_child),
            },
        };
        // A restarted standby runs the plugins of all mounts.
        is_needed || restarts == StandbyRestarts::Possible
    }

    /// Whether the nodes on other machines are needed.
    pub(super) fn needs_other_nodes(self) -> bool {
        match self {
            Self::Deep => true,
            Self::Goal(goal) => goal.other_nodes_policy().is_some(),
            Self::Server | Self::All | Self::Health | Self::Consumers => false,
        }
    }
}

fn is_pinned(pins: &Pins, upgrade: &UpgradeGoal) -> bool {
    let Pins::Set(pins) = pins else { return false };
    pins.iter().any(|pin| pin.kind == upgrade.kind() && pin.name == upgrade.name())
}

/// Whether a goal may restart standbys. Standbys of OpenBao run the plugins of all mounts, so that a restart also needs the files of other plugins.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum StandbyRestarts {
    Possible,
    Excluded,
}

impl StandbyRestarts {
    pub(super) fn of(scope: ObserveScope<'_>, product: Product, deployment: Option<&dyn Deployment>) -> Self {
        let has_standbys = deployment.is_some_and(Deployment::follows_active_node);
        let restarts = scope.goal().is_some_and(Goal::may_restart_nodes);
        if product == Product::OpenBao && has_standbys && restarts { Self::Possible } else { Self::Excluded }
    }
}

/// The query to the deployment that a snapshot needs.
pub(super) fn build_query(
    snapshot: &ServerSnapshot,
    scope: ObserveScope<'_>,
    restarts: StandbyRestarts,
    freshness: Freshness,
) -> Query {
    let goal = scope.goal();
    let detail = match scope {
        ObserveScope::Deep => {
            Detail::Deep { files: snapshot.catalog.iter().map(CatalogEntry::file_name).collect() }
        }
        ObserveScope::Goal(_) if restarts == StandbyRestarts::Possible => {
            let running = snapshot.catalog.iter().filter(|entry| is_running(snapshot, entry));
            Detail::Deep { files: running.map(CatalogEntry::file_name).collect() }
        }
        ObserveScope::Server
        | ObserveScope::All
        | ObserveScope::Health
        | ObserveScope::Consumers
        | ObserveScope::Goal(_) => Detail::Versions,
    };
    let of_plugins = snapshot.consumers.values().filter(|mount| is_external(mount, &snapshot.catalog));
    Query {
        namespaces: of_plugins.filter_map(|mount| mount.namespace.clone()).collect(),
        detail,
        freshness,
        needed_files: goal.and_then(|goal| needed_files(snapshot, goal)),
        plugin_directory: snapshot.plugin_directory.clone(),
        // A new image must contain the files of every plugin, and a restart may lose them.
        plugin: goal
            .filter(|goal| !goal.sets_init_image() && restarts == StandbyRestarts::Excluded)
            .and_then(Goal::plugin_name)
            .map(str::to_owned),
        binary: goal.and_then(Goal::provided_plugin).map(|plugin| plugin.binary.clone()),
    }
}

/// The files of the new version, and of the versions that its plugin runs or will run; `None` if all files are needed.
fn needed_files(snapshot: &ServerSnapshot, goal: &Goal) -> Option<BTreeSet<String>> {
    let (plugin, target) = match goal {
        Goal::Register(register) => (&*register.plugin.name, register.plugin.version.v_prefixed()),
        Goal::Upgrade(upgrade) => (upgrade.name(), upgrade.version().v_prefixed()),
        Goal::Reload(_) | Goal::Deregister(_) | Goal::GarbageCollect(_) => return None,
    };
    let pins = match &snapshot.pins {
        Pins::Set(pins) => pins.as_slice(),
        Pins::Unsupported => &[],
    };
    let is_used = |entry: &&CatalogEntry| {
        let uses = |mount: &ConsumerObserved| {
            mount.kind == entry.kind
                && mount.plugin == entry.name
                && (mount.follows_latest()
                    || [&mount.configured_version, &mount.running_version].contains(&&entry.version))
        };
        entry.version == target
            || pins.iter().any(|pin| pin.name == entry.name && pin.version == entry.version)
            || snapshot.consumers.values().any(uses)
    };
    let entries = snapshot.catalog.iter().filter(|entry| entry.name == plugin).filter(is_used);
    Some(entries.map(CatalogEntry::file_name).chain(goal.provided_plugin().map(Plugin::file_name)).collect())
}

/// Whether a mount runs the version of an entry.
fn is_running(snapshot: &ServerSnapshot, entry: &CatalogEntry) -> bool {
    snapshot.consumers.values().any(|mount| {
        mount.kind == entry.kind && mount.plugin == entry.name && mount.running_version == entry.version
    })
}

/// Whether the details of an entry are needed, which the list does not contain. A removal must not remove the file of another entry, and a
/// standby must not be restarted without the file that a mount runs.
pub(super) fn needs_entry_detail(
    snapshot: &ServerSnapshot,
    scope: ObserveScope<'_>,
    restarts: StandbyRestarts,
    entry: &CatalogEntry,
) -> bool {
    if restarts == StandbyRestarts::Possible && is_running(snapshot, entry) {
        return true;
    }
    let goal = match scope {
        ObserveScope::Server | ObserveScope::All | ObserveScope::Health | ObserveScope::Consumers => {
            return false;
        }
        ObserveScope::Deep => return true,
        ObserveScope::Goal(goal) => goal,
    };
    match goal {
        Goal::Register(register) => {
            let plugin = &register.plugin;
            let version = plugin.version.v_prefixed();
            entry.kind == plugin.kind && entry.name == plugin.name && entry.version == version
        }
        // A new image must contain the files of every plugin.
        Goal::Upgrade(_) if goal.sets_init_image() => true,
        Goal::Upgrade(upgrade) => entry.kind == upgrade.kind() && entry.name == upgrade.name(),
        Goal::Reload(_) => false,
        Goal::Deregister(_) | Goal::GarbageCollect(_) => true,
    }
}

/// The paths whose capabilities a deep observation reads.
pub(super) fn deep_capability_paths(catalog: &[CatalogEntry]) -> Vec<String> {
    let entries: BTreeSet<String> =
        catalog.iter().map(|entry| format!("{CATALOG_PREFIX}{}/{}", entry.kind, entry.name)).collect();
    entries.into_iter().chain(["sys/plugins/reload/backend".to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::samples::{server_with, upgrade};
    use crate::goal::Durability;

    /// Any command can be registered; the usual file name is only a default.
    #[test]
    fn an_image_is_compared_with_the_files_that_other_plugins_are_registered_with() {
        let own = &server_with("1.0.0", "bb").catalog[0];
        let other = CatalogEntry { name: "ldap-x".into(), command: None, ..own.clone() };
        let snapshot = ServerSnapshot::default();
        let reads = |durability: Durability| {
            let goal = Goal::Upgrade(Box::new(UpgradeGoal { durability, ..upgrade() }));
            let scope = ObserveScope::Goal(&goal);
            [own, &other].map(|entry| needs_entry_detail(&snapshot, scope, StandbyRestarts::Excluded, entry))
        };
        assert_eq!(reads(Durability::Required), [true, false]);
        let image = || "registry.example.com/plugins:2".to_owned();
        assert_eq!(reads(Durability::Image { image: image(), files: None }), [true, true]);
    }

    #[test]
    fn before_standbys_are_restarted_the_files_of_all_mounts_are_looked_at_whatever_their_names() {
        let server = server_with("1.0.0", "bb");
        let entry = |name: &str, version: &str, command: &str| CatalogEntry {
            name: name.into(),
            version: version.into(),
            command: Some(command.into()),
            ..server.catalog[0].clone()
        };
        let mount = ConsumerObserved { plugin: "ldap-x".into(), ..server.consumers["custom/"].clone() };
        let seen = ServerSnapshot {
            consumers: [("ldap".parse().expect("a path"), mount)].into(),
            catalog: vec![entry("ldap-x", "v1.0.0", "directory-plugin"), entry("unused", "v1.0.0", "unused")],
            ..ServerSnapshot::default()
        };
        let goal = Goal::Upgrade(Box::new(upgrade()));
        let scope = ObserveScope::Goal(&goal);
        for (restarts, plugin, of_mount) in
            [(StandbyRestarts::Possible, None, true), (StandbyRestarts::Excluded, Some("custom"), false)]
        {
            let read = |at: usize| needs_entry_detail(&seen, scope, restarts, &seen.catalog[at]);
            assert_eq!([read(0), read(1)], [of_mount, false]);
            let query = build_query(&seen, scope, restarts, Freshness::Now);
            assert_eq!(query.plugin.as_deref(), plugin);
            assert_eq!(query.detail.includes("directory-plugin"), of_mount);
            assert!(!query.detail.includes("unused"));
        }
    }
}
