//! What the steps need a token to be allowed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vault_api::catalog::PluginType;

use crate::goal::{Canary, Goal, MountPath, Upgrade};
use crate::observed::{MountObserved, Observed};
use crate::refusal::Refusal;
use crate::step::Step;

const RELOAD: &str = "sys/plugins/reload/backend";
const CATALOG: &str = "sys/plugins/catalog/";
const PINS: &str = "sys/plugins/pins/";
const STEP_DOWN: &str = "sys/step-down";

/// The server protects the entries of the catalog as it protects its root paths.
const CHANGE_CATALOG: [&str; 3] = ["read", "update", "sudo"];

/// The paths whose capabilities matter for a goal, where `mounts` are there.
pub(crate) fn paths(goal: &Goal, mounts: &BTreeMap<String, MountObserved>) -> Vec<String> {
    let mut paths = vec![RELOAD.to_owned()];
    match goal {
        Goal::Register(register) => {
            paths.push(catalog(register.plugin.kind, &register.plugin.name));
            for mount in &register.mounts {
                paths.push(mount_of(&mount.path));
                paths.push(tune_of(&mount.path));
                paths.extend(mount.writes.iter().map(|write| mount.path.join(&write.path)));
            }
        }
        Goal::Upgrade(upgrade) => of_upgrade(upgrade, mounts, &mut paths),
        Goal::Reload(_) => {}
        Goal::Deregister(deregister) => paths = vec![catalog(deregister.kind, &deregister.name)],
        Goal::Collect(collect) => {
            let names: std::collections::BTreeSet<&String> = match &collect.name {
                Some(name) => [name].into(),
                None => mounts.values().map(|mount| &mount.plugin).collect(),
            };
            paths = names.into_iter().map(|name| catalog(PluginType::Secret, name)).collect();
        }
    }
    paths
}

fn of_upgrade(upgrade: &Upgrade, mounts: &BTreeMap<String, MountObserved>, paths: &mut Vec<String>) {
    paths.push(catalog(upgrade.kind(), upgrade.name()));
    paths.push(pin(upgrade.kind(), upgrade.name()));
    paths.push(STEP_DOWN.to_owned());
    let ours = mounts.iter().filter(|(_, mount)| mount.plugin == upgrade.name());
    paths.extend(ours.filter_map(|(path, _)| path.parse().ok()).map(|path| tune_of(&path)));
    if let Canary::Mount { .. } = upgrade.canary {
        paths.push(mount_of(&upgrade.canary_path()));
        paths.push(catalog(upgrade.kind(), &upgrade.canary_name()));
    }
}

fn mount_of(path: &MountPath) -> String {
    format!("sys/mounts/{}", path.as_str().trim_end_matches('/'))
}

fn tune_of(path: &MountPath) -> String {
    format!("{}/tune", mount_of(path))
}

fn pin(kind: PluginType, name: &str) -> String {
    format!("sys/plugins/pins/{kind}/{name}")
}

/// Refused because reading was not allowed, so nothing can be known. The policy then holds all that the goal could
/// need, so that one change of it is enough.
pub(super) fn denied(observed: &Observed, goal: &Goal) -> Option<Refusal> {
    if observed.caller.denied.is_empty() {
        return None;
    }
    let mut needs: BTreeMap<String, Vec<&'static str>> =
        observed.caller.denied.iter().map(|path| (path.clone(), vec![to_read(path)])).collect();
    for path in paths(goal, &observed.mounts) {
        let lacks = |capability| match observed.caller.capabilities.as_ref().and_then(|held| held.get(&path))
        {
            Some(held) => !held.allow(capability),
            None => true,
        };
        let wanted: &[&str] = match path.as_str() {
            path if path.starts_with(CATALOG) => &CHANGE_CATALOG,
            // Only where a plan asks for it.
            STEP_DOWN => continue,
            path if path.starts_with(PINS) => continue,
            _ => &["update"],
        };
        if wanted.iter().any(|capability| lacks(capability)) {
            needs.insert(path, wanted.to_vec());
        }
    }
    refused(needs)
}

/// What it takes to read a path.
fn to_read(path: &str) -> &'static str {
    if path.ends_with("sys/namespaces") { "list" } else { "read" }
}

/// Refused because a step would not be allowed; `None` also where the server does not tell.
pub(super) fn missing(observed: &Observed, steps: &[Step]) -> Option<Refusal> {
    let held = observed.caller.capabilities.as_ref()?;
    let mut needs = BTreeMap::new();
    for (path, wanted) in steps.iter().flat_map(needed) {
        let Some(held) = held.get(&path) else { continue };
        // A write is `create` or `update` depending on what the engine finds there; either will do to try.
        let may_write = held.allow("update") || held.allow("create");
        let lacks = wanted.iter().any(|capability| match *capability {
            "update" => !may_write,
            other => !held.allow(other),
        });
        if lacks {
            needs.insert(path, wanted);
        }
    }
    refused(needs)
}

fn needed(step: &Step) -> Vec<(String, Vec<&'static str>)> {
    let one = |path: String, wanted: &[&'static str]| vec![(path, wanted.to_vec())];
    match step {
        Step::PlaceBinary { .. }
        | Step::RemoveFile { .. }
        | Step::RestartNode { .. }
        | Step::Persist { .. }
        // What is below a canary's mount is tried with the right to do so or fails, and nothing has changed by then.
        | Step::TryCanary { .. } => Vec::new(),
        Step::RegisterVersion { kind, name, .. } => one(catalog(*kind, name), &CHANGE_CATALOG),
        Step::DeregisterVersion { kind, name, .. } => one(catalog(*kind, name), &["delete", "sudo"]),
        Step::EnableMount { path, .. } => one(mount_of(path), &["update"]),
        Step::MountCanary { path, .. } => one(mount_of(path), &["update", "delete"]),
        Step::RemoveCanary { path } => one(mount_of(path), &["delete"]),
        Step::TuneMount { path, .. } => one(tune_of(path), &["update"]),
        Step::SetPin { kind, name, .. } => one(pin(*kind, name), &["update"]),
        Step::ReloadMount { .. } => one(RELOAD.to_owned(), &["update"]),
        Step::Write { path, .. } => one(path.clone(), &["update"]),
        Step::TryMount { path } => one(path.clone(), &["read"]),
        Step::HandOver { .. } => one(STEP_DOWN.to_owned(), &["update", "sudo"]),
    }
}

fn refused(needs: BTreeMap<String, Vec<&'static str>>) -> Option<Refusal> {
    if needs.is_empty() {
        return None;
    }
    let missing = needs.iter().map(|(path, wanted)| format!("{} on {path}", wanted.join(" and "))).collect();
    let mut policy = String::new();
    for (path, wanted) in &needs {
        let wanted: Vec<String> = policy_words(wanted).iter().map(|word| format!("\"{word}\"")).collect();
        let _ = write!(policy, "path \"{path}\" {{\n  capabilities = [{}]\n}}\n", wanted.join(", "));
    }
    Some(Refusal::NotPermitted { missing, policy })
}

/// A policy that lets the next run through whether the engine calls it a creation or an update.
fn policy_words(wanted: &[&'static str]) -> Vec<&'static str> {
    let create = wanted.contains(&"update").then_some("create");
    create.into_iter().chain(wanted.iter().copied()).collect()
}

fn catalog(kind: PluginType, name: &str) -> String {
    format!("{CATALOG}{kind}/{name}")
}
