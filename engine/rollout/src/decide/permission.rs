//! What the steps need a token to be allowed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vault_api::catalog::PluginType;

use crate::goal::{Canary, Goal, UpgradeGoal};
use crate::mount_path::MountPath;
use crate::observed::{CATALOG_PREFIX, MountObserved, Observed};
use crate::refusal::Refusal;
use crate::step::Step;

const RELOAD_PATH: &str = "sys/plugins/reload/backend";
const PINS_PREFIX: &str = "sys/plugins/pins/";
const STEP_DOWN_PATH: &str = "sys/step-down";

/// The server protects the entries of the catalog as it protects its root paths.
const CATALOG_CAPABILITIES: [&str; 3] = ["read", "update", "sudo"];

/// The paths whose capabilities matter for a goal, where `mounts` are there.
pub(crate) fn capability_paths(goal: &Goal, mounts: &BTreeMap<String, MountObserved>) -> Vec<String> {
    let mut paths = vec![RELOAD_PATH.to_owned()];
    match goal {
        Goal::Register(register) => {
            paths.push(catalog_api_path(register.plugin.kind, &register.plugin.name));
            for mount in &register.mounts {
                paths.push(mount_api_path(&mount.path));
                paths.push(tune_api_path(&mount.path));
                paths.extend(mount.writes.iter().map(|write| mount.path.join(&write.path)));
            }
        }
        Goal::Upgrade(upgrade) => add_upgrade_paths(upgrade, mounts, &mut paths),
        Goal::Reload(_) => {}
        Goal::Deregister(deregister) => paths = vec![catalog_api_path(deregister.kind, &deregister.name)],
        Goal::GarbageCollect(collect) => {
            let names: std::collections::BTreeSet<&String> = match &collect.name {
                Some(name) => [name].into(),
                None => mounts.values().map(|mount| &mount.plugin).collect(),
            };
            paths = names.into_iter().map(|name| catalog_api_path(PluginType::Secret, name)).collect();
        }
    }
    paths
}

fn add_upgrade_paths(
    upgrade: &UpgradeGoal,
    mounts: &BTreeMap<String, MountObserved>,
    paths: &mut Vec<String>,
) {
    paths.push(catalog_api_path(upgrade.kind(), upgrade.name()));
    paths.push(pin_api_path(upgrade.kind(), upgrade.name()));
    paths.push(STEP_DOWN_PATH.to_owned());
    let ours = mounts.iter().filter(|(_, mount)| mount.plugin == upgrade.name());
    paths.extend(ours.filter_map(|(path, _)| path.parse().ok()).map(|path| tune_api_path(&path)));
    if let Canary::Mount { .. } = upgrade.canary {
        paths.push(mount_api_path(&upgrade.canary_path()));
        paths.push(catalog_api_path(upgrade.kind(), &upgrade.canary_plugin_name()));
    }
}

fn mount_api_path(path: &MountPath) -> String {
    format!("sys/mounts/{}", path.as_str().trim_end_matches('/'))
}

fn tune_api_path(path: &MountPath) -> String {
    format!("{}/tune", mount_api_path(path))
}

fn pin_api_path(kind: PluginType, name: &str) -> String {
    format!("sys/plugins/pins/{kind}/{name}")
}

/// Refused because reading was not allowed, so nothing can be known. The policy then holds all that the goal could
/// need, so that one change of it is enough.
pub(super) fn refuse_denied_reads(observed: &Observed, goal: &Goal) -> Option<Refusal> {
    if observed.caller.denied.is_empty() {
        return None;
    }
    let mut needs: BTreeMap<String, Vec<&'static str>> =
        observed.caller.denied.iter().map(|path| (path.clone(), vec![read_capability(path)])).collect();
    for path in capability_paths(goal, &observed.mounts) {
        let lacks = |capability| match observed.caller.capabilities.as_ref().and_then(|held| held.get(&path))
        {
            Some(held) => !held.allows(capability),
            None => true,
        };
        let wanted: &[&str] = match path.as_str() {
            path if path.starts_with(CATALOG_PREFIX) => &CATALOG_CAPABILITIES,
            // Only where a plan asks for it.
            STEP_DOWN_PATH => continue,
            path if path.starts_with(PINS_PREFIX) => continue,
            _ => &["update"],
        };
        if wanted.iter().any(|capability| lacks(capability)) {
            needs.insert(path, wanted.to_vec());
        }
    }
    not_permitted(needs)
}

/// What it takes to read a path.
fn read_capability(path: &str) -> &'static str {
    if path.ends_with("sys/namespaces") { "list" } else { "read" }
}

/// Refused because a step would not be allowed; `None` also where the server does not tell.
pub(super) fn refuse_missing_capabilities(observed: &Observed, steps: &[Step]) -> Option<Refusal> {
    let held = observed.caller.capabilities.as_ref()?;
    let mut needs = BTreeMap::new();
    for (path, wanted) in steps.iter().flat_map(required_capabilities) {
        let Some(held) = held.get(&path) else { continue };
        // A write is `create` or `update` depending on what the engine finds there; either will do to try.
        let may_write = held.allows("update") || held.allows("create");
        let lacks = wanted.iter().any(|capability| match *capability {
            "update" => !may_write,
            other => !held.allows(other),
        });
        if lacks {
            needs.insert(path, wanted);
        }
    }
    not_permitted(needs)
}

fn required_capabilities(step: &Step) -> Vec<(String, Vec<&'static str>)> {
    let one = |path: String, wanted: &[&'static str]| vec![(path, wanted.to_vec())];
    match step {
        Step::PlaceBinary { .. }
        | Step::RemoveBinary { .. }
        | Step::RestartNode { .. }
        | Step::PatchInitImage { .. }
        // What is below a canary's mount is tried with the right to do so or fails, and nothing has changed by then.
        | Step::VerifyCanary { .. } => Vec::new(),
        Step::RegisterVersion { kind, name, .. } => one(catalog_api_path(*kind, name), &CATALOG_CAPABILITIES),
        Step::DeregisterVersion { kind, name, .. } => one(catalog_api_path(*kind, name), &["delete", "sudo"]),
        Step::EnableMount { path, .. } => one(mount_api_path(path), &["update"]),
        Step::MountCanary { path, .. } => one(mount_api_path(path), &["update", "delete"]),
        Step::RemoveCanary { path } => one(mount_api_path(path), &["delete"]),
        Step::TuneMount { path, .. } => one(tune_api_path(path), &["update"]),
        Step::SetPin { kind, name, .. } => one(pin_api_path(*kind, name), &["update"]),
        Step::ReloadMount { .. } => one(RELOAD_PATH.to_owned(), &["update"]),
        Step::Write { path, .. } => one(path.clone(), &["update"]),
        Step::SmokeTestMount { path } => one(path.clone(), &["read"]),
        Step::StepDown { .. } => one(STEP_DOWN_PATH.to_owned(), &["update", "sudo"]),
    }
}

fn not_permitted(needs: BTreeMap<String, Vec<&'static str>>) -> Option<Refusal> {
    if needs.is_empty() {
        return None;
    }
    let missing = needs.iter().map(|(path, wanted)| format!("{} on {path}", wanted.join(" and "))).collect();
    let mut policy = String::new();
    for (path, wanted) in &needs {
        let wanted: Vec<String> =
            policy_capabilities(wanted).iter().map(|word| format!("\"{word}\"")).collect();
        let _ = write!(policy, "path \"{path}\" {{\n  capabilities = [{}]\n}}\n", wanted.join(", "));
    }
    Some(Refusal::NotPermitted { missing, policy })
}

/// A policy that lets the next run through whether the engine calls it a creation or an update.
fn policy_capabilities(wanted: &[&'static str]) -> Vec<&'static str> {
    let create = wanted.contains(&"update").then_some("create");
    create.into_iter().chain(wanted.iter().copied()).collect()
}

fn catalog_api_path(kind: PluginType, name: &str) -> String {
    format!("{CATALOG_PREFIX}{kind}/{name}")
}
