//! What a snapshot asks of the server and of the deployment: only what its goal depends on.

use std::collections::BTreeSet;

use super::ServerSnapshot;
use crate::deployment::{Detail, Freshness, Query};
use crate::goal::{Goal, Plugin};
use crate::observed::{CATALOG_PREFIX, CatalogEntry, MountObserved, Pins};

/// Scope of a snapshot.
#[derive(Clone, Copy)]
pub(super) enum ObserveScope<'a> {
    Server,
    All,
    Goal(&'a Goal),
    Health,
    Deep,
}

impl<'a> ObserveScope<'a> {
    pub(super) fn of(goal: Option<&'a Goal>) -> Self {
        goal.map_or(Self::All, Self::Goal)
    }

    pub(super) fn goal(self) -> Option<&'a Goal> {
        match self {
            Self::Goal(goal) => Some(goal),
            Self::Server | Self::All | Self::Health | Self::Deep => None,
        }
    }
}

impl ObserveScope<'_> {
    /// Whether the mounts of other namespaces are needed: to remove versions, and to move mounts by a pin.
    pub(super) fn needs_namespaces(self, pins: &Pins) -> bool {
        match self.goal() {
            Some(Goal::Deregister(_) | Goal::GarbageCollect(_)) => true,
            Some(Goal::Upgrade(upgrade)) => {
                let Pins::Set(pins) = pins else { return false };
                pins.iter().any(|pin| pin.kind == upgrade.kind() && pin.name == upgrade.name())
            }
            Some(Goal::Register(_) | Goal::Reload(_)) | None => false,
        }
    }

    /// Whether the nodes on other machines are needed.
    pub(super) fn needs_other_nodes(self) -> bool {
        match self {
            Self::Deep => true,
            Self::Goal(goal) => goal.placement().is_some(),
            Self::Server | Self::All | Self::Health => false,
        }
    }
}

/// The query to the deployment that a snapshot needs.
pub(super) fn build_query(snapshot: &ServerSnapshot, scope: ObserveScope<'_>, freshness: Freshness) -> Query {
    let goal = scope.goal();
    let detail = match scope {
        ObserveScope::Deep => {
            Detail::Deep { files: snapshot.catalog.iter().map(CatalogEntry::file_name).collect() }
        }
        ObserveScope::Server | ObserveScope::All | ObserveScope::Health | ObserveScope::Goal(_) => {
            Detail::Versions
        }
    };
    Query {
        detail,
        freshness,
        needed_files: goal.and_then(|goal| needed_files(snapshot, goal)),
        plugin_directory: snapshot.plugin_directory.clone(),
        // A new image must contain the files of every plugin.
        plugin: goal.filter(|goal| !goal.sets_init_image()).and_then(Goal::plugin_name).map(str::to_owned),
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
        let uses = |mount: &MountObserved| {
            mount.plugin == entry.name
                && (mount.follows_latest()
                    || [&mount.configured_version, &mount.running_version].contains(&&entry.version))
        };
        entry.version == target
            || pins.iter().any(|pin| pin.name == entry.name && pin.version == entry.version)
            || snapshot.mounts.values().any(uses)
    };
    let entries = snapshot.catalog.iter().filter(|entry| entry.name == plugin).filter(is_used);
    Some(entries.map(CatalogEntry::file_name).chain(goal.provided_plugin().map(Plugin::file_name)).collect())
}

/// Whether the details of an entry are needed, which the list does not contain. A removal must not remove the file of another entry.
pub(super) fn needs_entry_detail(scope: ObserveScope<'_>, entry: &CatalogEntry) -> bool {
    let goal = match scope {
        ObserveScope::Server | ObserveScope::All | ObserveScope::Health => return false,
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
    use crate::goal::{Durability, UpgradeGoal};

    /// Any command can be registered; the usual file name is only a default.
    #[test]
    fn an_image_is_compared_with_the_files_that_other_plugins_are_registered_with() {
        let own = &server_with("1.0.0", "bb").catalog[0];
        let other = CatalogEntry { name: "ldap-x".into(), command: None, ..own.clone() };
        let reads = |durability: Durability| {
            let goal = Goal::Upgrade(Box::new(UpgradeGoal { durability, ..upgrade() }));
            [own, &other].map(|entry| needs_entry_detail(ObserveScope::Goal(&goal), entry))
        };
        assert_eq!(reads(Durability::Required), [true, false]);
        let image = || "registry.example.com/plugins:2".to_owned();
        assert_eq!(reads(Durability::Image { image: image(), files: None }), [true, true]);
    }
}
