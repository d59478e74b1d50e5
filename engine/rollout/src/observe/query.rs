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
    /// Whether it matters what other namespaces run: where versions go, and where a pin moves mounts.
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

    /// Whether it matters which nodes there are beside the one of this machine.
    pub(super) fn needs_other_nodes(self) -> bool {
        match self {
            Self::Deep => true,
            Self::Goal(goal) => goal.placement().is_some(),
            Self::Server | Self::All | Self::Health => false,
        }
    }
}

/// The query to the deployment that a snapshot needs.
pub(super) fn build_query(seen: &ServerSnapshot, scope: ObserveScope<'_>, freshness: Freshness) -> Query {
    let goal = scope.goal();
    let detail = match scope {
        ObserveScope::Deep => {
            Detail::Deep { files: seen.catalog.iter().map(CatalogEntry::file_name).collect() }
        }
        ObserveScope::Server | ObserveScope::All | ObserveScope::Health | ObserveScope::Goal(_) => {
            Detail::Versions
        }
    };
    Query {
        detail,
        freshness,
        needed_files: goal.and_then(|goal| needed_files(seen, goal)),
        plugin_directory: seen.plugin_directory.clone(),
        // An image that is named for the next start has to bring the files of every plugin.
        plugin: goal.filter(|goal| !goal.sets_init_image()).and_then(Goal::plugin_name).map(str::to_owned),
        binary: goal.and_then(Goal::provided_plugin).map(|plugin| plugin.binary.clone()),
    }
}

/// The files of what a change brings, and of what its plugin runs or will run; `None` where all are compared.
fn needed_files(seen: &ServerSnapshot, goal: &Goal) -> Option<BTreeSet<String>> {
    let (plugin, target) = match goal {
        Goal::Register(register) => (&*register.plugin.name, register.plugin.version.v_prefixed()),
        Goal::Upgrade(upgrade) => (upgrade.name(), upgrade.version().v_prefixed()),
        Goal::Reload(_) | Goal::Deregister(_) | Goal::GarbageCollect(_) => return None,
    };
    let pins = match &seen.pins {
        Pins::Set(pins) => pins.as_slice(),
        Pins::Unsupported => &[],
    };
    let is_used = |entry: &&CatalogEntry| {
        let by = |mount: &MountObserved| {
            mount.plugin == entry.name
                && (mount.follows_latest()
                    || [&mount.configured_version, &mount.running_version].contains(&&entry.version))
        };
        entry.version == target
            || pins.iter().any(|pin| pin.name == entry.name && pin.version == entry.version)
            || seen.mounts.values().any(by)
    };
    let entries = seen.catalog.iter().filter(|entry| entry.name == plugin).filter(is_used);
    Some(entries.map(CatalogEntry::file_name).chain(goal.provided_plugin().map(Plugin::file_name)).collect())
}

/// Whether more of an entry must be known than the list tells. What is removed must not be the file of another entry.
pub(super) fn needs_entry_detail(scope: ObserveScope<'_>, entry: &CatalogEntry) -> bool {
    let goal = match scope {
        ObserveScope::Server | ObserveScope::All | ObserveScope::Health => return false,
        ObserveScope::Deep => return true,
        ObserveScope::Goal(goal) => goal,
    };
    match goal {
        Goal::Register(register) => {
            let plugin = &register.plugin;
            let wanted = plugin.version.v_prefixed();
            entry.kind == plugin.kind && entry.name == plugin.name && entry.version == wanted
        }
        // An image that takes the place of another has to bring the files of every plugin.
        Goal::Upgrade(_) if goal.sets_init_image() => true,
        Goal::Upgrade(upgrade) => entry.kind == upgrade.kind() && entry.name == upgrade.name(),
        Goal::Reload(_) => false,
        Goal::Deregister(_) | Goal::GarbageCollect(_) => true,
    }
}

/// What a change of plugins needs, whichever plugin it is.
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

    /// Any command can be registered, and the name of the file is no more than the usual one.
    #[test]
    fn an_image_is_compared_with_the_files_that_other_plugins_are_registered_with() {
        let own = &server_with("1.0.0", "bb").catalog[0];
        let other = CatalogEntry { name: "ldap-x".into(), command: None, ..own.clone() };
        let reads = |survival: Durability| {
            let goal = Goal::Upgrade(Box::new(UpgradeGoal { durability: survival, ..upgrade() }));
            [own, &other].map(|entry| needs_entry_detail(ObserveScope::Goal(&goal), entry))
        };
        assert_eq!(reads(Durability::Required), [true, false]);
        let image = || "registry.example.com/plugins:2".to_owned();
        assert_eq!(reads(Durability::Image { image: image(), files: None }), [true, true]);
    }
}
