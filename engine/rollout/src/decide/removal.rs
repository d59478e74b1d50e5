//! Finds unused versions, and decides the next step that removes one.

use std::collections::BTreeSet;

use vault_api::catalog::PluginType;

use super::check;
use crate::goal::{DeregisterGoal, GarbageCollectGoal, VersionSelector};
use crate::observed::deployment::NodeName;
use crate::observed::{CatalogEntry, ConsumerObserved, Observed};
use crate::plugin_file_name::parse_plugin_file_name;
use crate::refusal::{InUse, Refusal};
use crate::step::Step;
use crate::version::Version;

/// A version of a plugin, with its `v`; empty for the unversioned entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct PluginVersion {
    kind: PluginType,
    name: String,
    version: String,
}

pub(super) fn deregister_step(observed: &Observed, goal: &DeregisterGoal) -> Result<Option<Step>, Refusal> {
    let DeregisterGoal { kind, name, versions } = goal;
    check::root_namespace(observed)?;
    let known =
        known_versions(observed).into_iter().filter(|known| known.kind == *kind && known.name == *name);
    let unused: Vec<PluginVersion> = match versions {
        VersionSelector::All => known.collect(),
        VersionSelector::Only(versions) => {
            let these: BTreeSet<String> = versions.iter().map(Version::v_prefixed).collect();
            known.filter(|known| these.contains(&known.version)).collect()
        }
    };
    for unused in &unused {
        if let Some(usage) = find_use(observed, unused) {
            let PluginVersion { name, version, .. } = unused.clone();
            return Err(Refusal::InUse { name, version, usage });
        }
    }
    Ok(removal_step(observed, &unused))
}

pub(super) fn garbage_collect_step(
    observed: &Observed,
    goal: &GarbageCollectGoal,
) -> Result<Option<Step>, Refusal> {
    check::root_namespace(observed)?;
    let plugins: BTreeSet<(PluginType, String)> = known_versions(observed)
        .into_iter()
        .filter(|known| goal.name.as_ref().is_none_or(|only| *only == known.name))
        .map(|known| (known.kind, known.name))
        .collect();
    let unused: Vec<PluginVersion> =
        plugins.iter().flat_map(|(kind, name)| prunable_versions(observed, *kind, name, goal.keep)).collect();
    Ok(removal_step(observed, &unused))
}

/// The versions of a plugin that can be removed: unused, older than the newest one in use, and not among the `keep` before it.
///
/// Newer versions may be part of an upgrade in progress, and a plugin without mounts may be registered for later. The unversioned entry cannot
/// be compared.
fn prunable_versions(observed: &Observed, kind: PluginType, name: &str, keep: usize) -> Vec<PluginVersion> {
    let known = known_versions(observed).into_iter().filter(|known| known.kind == kind && known.name == name);
    let (needed, free): (Vec<_>, Vec<_>) = known.partition(|known| find_use(observed, known).is_some());
    let version = |named: &PluginVersion| named.version.parse::<Version>().ok();
    let Some(newest) = needed.iter().filter_map(version).max() else { return Vec::new() };
    let mut older: Vec<(Version, PluginVersion)> = free
        .into_iter()
        .filter_map(|named| version(&named).map(|version| (version, named)))
        .filter(|(version, _)| *version < newest)
        .filter(|(version, _)| !is_linked(observed, &format!("{name}-{version}")))
        .collect();
    older.sort();
    let registered = |(version, _): &(Version, PluginVersion)| {
        observed.catalog_entry(kind, name, &version.v_prefixed()).is_some()
    };
    // A rollback needs a registered version, so a file alone does not count.
    let mut kept = 0;
    let mut unused = Vec::new();
    for candidate in older.into_iter().rev() {
        if kept < keep && registered(&candidate) {
            kept += 1;
        } else {
            unused.push(candidate.1);
        }
    }
    unused
}

/// Whether a file is a link of OpenBao, which would create it again.
fn is_linked(observed: &Observed, file: &str) -> bool {
    observed
        .deployment
        .iter()
        .flat_map(|deployment| deployment.nodes.values())
        .any(|node| node.links.contains(file))
}

/// The next removal: catalog entries before files, because a registered version needs its file.
fn removal_step(observed: &Observed, unused: &[PluginVersion]) -> Option<Step> {
    let entry = unused
        .iter()
        .find_map(|PluginVersion { kind, name, version }| observed.catalog_entry(*kind, name, version));
    if let Some(CatalogEntry { kind, name, version, .. }) = entry {
        let (kind, name, version) = (*kind, name.clone(), version.clone());
        return Some(Step::DeregisterVersion { kind, name, version });
    }
    let file = |named: &PluginVersion| {
        let version = named.version.parse::<Version>().ok()?;
        let file = format!("{}-{version}", named.name);
        let is_registered = observed.catalog.iter().any(|entry| entry.file_name() == file);
        let of_other_kind = kinds_of(observed, &named.name)
            .into_iter()
            .any(|kind| find_use(observed, &PluginVersion { kind, ..named.clone() }).is_some());
        (!is_registered && !of_other_kind).then(|| remove_file_step(observed, &file)).flatten()
    };
    unused.iter().find_map(file)
}

fn remove_file_step(observed: &Observed, file: &str) -> Option<Step> {
    let deployment = observed.deployment.as_ref()?;
    let is_link = |name: &NodeName| deployment.nodes.get(name).is_some_and(|node| node.links.contains(file));
    let mut nodes = observed.nodes_with_file(file);
    nodes.retain(|name| !is_link(name));
    let (directory, file) = (deployment.directory.clone(), file.to_owned());
    (!nodes.is_empty()).then_some(Step::RemoveBinary { nodes, directory, file })
}

/// Every version that is in the catalog or on a node.
fn known_versions(observed: &Observed) -> BTreeSet<PluginVersion> {
    let registered = observed.catalog.iter().map(|entry| PluginVersion {
        kind: entry.kind,
        name: entry.name.clone(),
        version: entry.version.clone(),
    });
    let files = observed.file_names().into_iter().filter_map(parse_plugin_file_name);
    let files = files.flat_map(|(name, version)| {
        kinds_of(observed, name).into_iter().map(move |kind| PluginVersion {
            kind,
            name: name.to_owned(),
            version: version.v_prefixed(),
        })
    });
    registered.chain(files).collect()
}

/// The types to which a file of this name can belong: those with which the plugin is registered or mounted. The file of an unknown plugin is
/// taken for that of a secrets engine.
fn kinds_of(observed: &Observed, name: &str) -> BTreeSet<PluginType> {
    let registered = observed.catalog.iter().filter(|entry| entry.name == name).map(|entry| entry.kind);
    let mounted =
        observed.consumers.values().filter(|consumer| consumer.plugin == name).map(|consumer| consumer.kind);
    let kinds: BTreeSet<PluginType> = registered.chain(mounted).collect();
    if kinds.is_empty() { [PluginType::Secret].into() } else { kinds }
}

/// What uses a version.
fn find_use(observed: &Observed, named: &PluginVersion) -> Option<InUse> {
    let PluginVersion { kind, name, version } = named;
    let mount = |condition: &dyn Fn(&ConsumerObserved) -> bool| {
        let is_of_plugin = |mount: &ConsumerObserved| mount.kind == *kind && mount.plugin == *name;
        let mut mounts = observed.consumers.iter().filter(|(_, mount)| is_of_plugin(mount));
        mounts.find(|(_, mount)| condition(mount)).map(|(path, _)| path.to_string())
    };
    if let Some(path) = mount(&|mount| mount.running_version == *version) {
        return Some(InUse::RunningAt { path });
    }
    if let Some(path) = mount(&|mount| observed.configured_version(mount) == version) {
        return Some(InUse::ConfiguredAt { path });
    }
    if observed.pinned_version(*kind, name) == Some(version) {
        return Some(InUse::Pinned);
    }
    let file = version.parse::<Version>().ok().map(|version| format!("{name}-{version}"))?;
    observed.process_of(&file).map(|(node, pid)| InUse::Process { node, pid })
}

#[cfg(test)]
mod tests {
    use vault_api::pins::Pin;

    use super::super::samples::{decide, old_fleet, plan};
    use super::*;
    use crate::consumer::Consumer;
    use crate::decide::Decision;
    use crate::goal::Goal;
    use crate::observed::Pins;
    use crate::observed::deployment::{PluginFile, Process};

    /// The fleet, which runs 1.0.0, with other versions installed and registered.
    fn fleet_with(versions: &[&str]) -> Observed {
        let mut observed = old_fleet();
        for version in versions {
            let entry =
                CatalogEntry { version: format!("v{version}"), command: None, ..observed.catalog[0].clone() };
            observed.catalog.push(entry);
            place_file(&mut observed, &format!("custom-{version}"));
        }
        observed
    }

    fn place_file(observed: &mut Observed, name: &str) {
        for node in observed.deployment.as_mut().expect("a deployment").nodes.values_mut() {
            node.files.push(PluginFile { name: name.into(), sha256: "bb".into(), mode: 0o755 });
        }
    }

    fn step_texts(observed: &Observed, goal: &Goal) -> Vec<String> {
        plan(observed, goal).expect("a plan").steps.iter().map(ToString::to_string).collect()
    }

    fn gc(keep: usize) -> Goal {
        Goal::GarbageCollect(GarbageCollectGoal { name: None, keep })
    }

    fn deregister(versions: VersionSelector) -> Goal {
        Goal::Deregister(DeregisterGoal { kind: PluginType::Secret, name: "custom".into(), versions })
    }

    #[test]
    fn what_runs_the_one_before_and_what_is_to_come_are_kept() {
        let observed = fleet_with(&["0.7.0", "0.9.0", "0.8.0", "1.1.0"]);
        assert_eq!(
            step_texts(&observed, &gc(1)),
            [
                "deregister secret plugin custom v0.8.0",
                "deregister secret plugin custom v0.7.0",
                "remove custom-0.8.0 from /vault/plugins on vault-0, vault-1, vault-2",
                "remove custom-0.7.0 from /vault/plugins on vault-0, vault-1, vault-2",
            ]
        );
        assert_eq!(step_texts(&observed, &gc(2)).len(), 2);
        assert_eq!(decide(&observed, &gc(3)), Decision::Done);
    }

    #[test]
    fn a_file_without_an_entry_goes_and_does_not_count_as_the_one_before() {
        let mut observed = fleet_with(&["0.7.0"]);
        place_file(&mut observed, "custom-0.9.0");
        assert_eq!(
            step_texts(&observed, &gc(1)),
            ["remove custom-0.9.0 from /vault/plugins on vault-0, vault-1, vault-2"]
        );
    }

    #[test]
    fn what_is_pinned_configured_or_executed_is_kept_however_old() {
        let mut observed = fleet_with(&["0.6.0", "0.7.0", "0.8.0", "0.9.0"]);
        let pin = Pin { kind: PluginType::Secret, name: "custom".into(), version: "v0.6.0".into() };
        observed.pins = Pins::Set(vec![pin]);
        observed.consumers.get_mut("team/").expect("a mount").configured_version = "v0.7.0".into();
        let nodes = &mut observed.deployment.as_mut().expect("a deployment").nodes;
        let node = nodes.values_mut().last().expect("a node");
        node.processes.push(Process { pid: 9, file: "custom-0.8.0 (deleted)".into(), sha256: None });
        assert_eq!(
            step_texts(&observed, &gc(0)),
            [
                "deregister secret plugin custom v0.9.0",
                "remove custom-0.9.0 from /vault/plugins on vault-0, vault-1, vault-2",
            ]
        );
    }

    #[test]
    fn a_plugin_that_nothing_runs_is_left_alone() {
        let mut observed = fleet_with(&["0.9.0", "0.8.0"]);
        observed.consumers.clear();
        for node in observed.deployment.as_mut().expect("a deployment").nodes.values_mut() {
            node.processes.clear();
        }
        assert_eq!(decide(&observed, &gc(0)), Decision::Done);
    }

    /// As [`fleet_with`], but the plugin is of another type, which one consumer runs.
    fn fleet_of(kind: PluginType, consumer: &str, versions: &[&str]) -> Observed {
        let mut observed = fleet_with(versions);
        observed.catalog.iter_mut().for_each(|entry| entry.kind = kind);
        let running = ConsumerObserved { kind, ..observed.consumers["custom/"].clone() };
        let path: Consumer = consumer.parse().expect("a path");
        observed.consumers = [(path.of_kind(kind), running)].into();
        observed
    }

    #[test]
    fn an_auth_method_and_a_database_plugin_are_collected_by_what_runs_them() {
        for (kind, consumer) in
            [(PluginType::Auth, "auth/custom"), (PluginType::Database, "database/config/orders")]
        {
            let observed = fleet_of(kind, consumer, &["0.9.0"]);
            let expected = format!("deregister {kind} plugin custom v0.9.0");
            assert_eq!(step_texts(&observed, &gc(0))[0], expected);
            let all = DeregisterGoal { kind, name: "custom".into(), versions: VersionSelector::All };
            let Decision::Refuse(refusal) = decide(&observed, &Goal::Deregister(all)) else {
                panic!("not refused");
            };
            let path = observed.consumers.keys().next().expect("a consumer");
            assert_eq!(refusal.to_string(), format!("custom v1.0.0 is in use: {path} runs it"));
        }
    }

    /// Both types share the file.
    #[test]
    fn a_file_that_a_plugin_of_another_type_runs_stays() {
        let mut observed = fleet_with(&["0.9.0"]);
        let entry = observed.catalog.iter().find(|entry| entry.version == "v0.9.0").expect("an entry");
        let auth = CatalogEntry { kind: PluginType::Auth, version: "v2.0.0".into(), ..entry.clone() };
        let running = ConsumerObserved {
            kind: PluginType::Auth,
            plugin: "custom".into(),
            running_version: "v0.9.0".into(),
            ..ConsumerObserved::default()
        };
        observed.catalog.push(auth);
        observed.consumers.insert("auth/custom".parse().expect("a path"), running);
        assert_eq!(step_texts(&observed, &gc(0)), ["deregister secret plugin custom v0.9.0"]);
    }

    /// OpenBao creates such links to files that it has extracted from an image.
    #[test]
    fn a_file_that_is_a_link_of_the_server_is_neither_collected_nor_deregistered() {
        let mut observed = old_fleet();
        place_file(&mut observed, "custom-0.9.0");
        for node in observed.deployment.as_mut().expect("a deployment").nodes.values_mut() {
            node.links.insert("custom-0.9.0".into());
        }
        assert_eq!(decide(&observed, &gc(0)), Decision::Done);
        let entry = CatalogEntry { version: "v0.9.0".into(), command: None, ..observed.catalog[0].clone() };
        observed.catalog.push(entry);
        assert_eq!(decide(&observed, &gc(0)), Decision::Done);
    }

    #[test]
    fn a_file_that_another_entry_starts_stays() {
        let mut observed = fleet_with(&["0.9.0"]);
        let other = CatalogEntry {
            name: "other".into(),
            command: Some("custom-0.9.0".into()),
            ..observed.catalog[0].clone()
        };
        observed.catalog.push(other);
        assert_eq!(step_texts(&observed, &gc(0)), ["deregister secret plugin custom v0.9.0"]);
    }

    #[test]
    fn what_a_namespace_below_runs_is_kept_and_from_below_nothing_is_removed() {
        let mut observed = fleet_with(&["0.7.0", "0.8.0"]);
        let mount = ConsumerObserved {
            configured_version: "v0.7.0".into(),
            running_version: "v0.7.0".into(),
            ..observed.consumers["custom/"].clone()
        };
        let path: Consumer = "custom".parse().expect("a path");
        observed.consumers.insert(path.in_namespace("team"), mount);
        assert_eq!(step_texts(&observed, &gc(0)).len(), 2);
        let these = VersionSelector::Only(vec!["0.7.0".parse().expect("a version")]);
        let Decision::Refuse(refusal) = decide(&observed, &deregister(these)) else {
            panic!("not refused");
        };
        assert_eq!(refusal.to_string(), "custom v0.7.0 is in use: team/custom/ runs it");
        observed.namespace = Some("team".into());
        for goal in [gc(0), deregister(VersionSelector::All)] {
            let decision = decide(&observed, &goal);
            assert!(matches!(decision, Decision::Refuse(Refusal::NotRootNamespace { .. })), "{decision:?}");
        }
    }

    #[test]
    fn nothing_is_deregistered_that_is_needed() {
        let observed = fleet_with(&["0.9.0"]);
        let these = VersionSelector::Only(vec!["0.9.0".parse().expect("a version")]);
        assert_eq!(step_texts(&observed, &deregister(these)).len(), 2);
        let Decision::Refuse(refusal) = decide(&observed, &deregister(VersionSelector::All)) else {
            panic!("not refused");
        };
        assert_eq!(refusal.to_string(), "custom v1.0.0 is in use: custom/ runs it");
    }
}
