//! The permissions that the steps require of the token.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use vault_api::catalog::PluginType;

use super::reload_targets;
use crate::consumer::{Consumer, RELOAD_PATH};
use crate::goal::{Canary, Goal, UpgradeGoal};
use crate::observed::{CATALOG_PREFIX, ConsumerObserved, Observed};
use crate::refusal::Refusal;
use crate::step::Step;

const PINS_PREFIX: &str = "sys/plugins/pins/";
const STEP_DOWN_PATH: &str = "sys/step-down";

/// Catalog entries require sudo, like root-protected paths.
const CATALOG_CAPABILITIES: [&str; 3] = ["read", "update", "sudo"];

/// The paths whose capabilities a goal needs, with these mounts.
pub(crate) fn capability_paths(goal: &Goal, mounts: &BTreeMap<Consumer, ConsumerObserved>) -> Vec<String> {
    let mut paths = vec![RELOAD_PATH.to_owned()];
    paths.extend(read_smoke_paths(goal));
    match goal {
        Goal::Register(register) => {
            paths.push(catalog_api_path(register.plugin.kind, &register.plugin.name));
            for mount in &register.mounts {
                paths.push(mount.path.mount_api_path());
                paths.push(mount.path.tune_api_path());
                paths.push(mount.path.reload_api_path());
                paths.extend(mount.writes.iter().map(|write| mount.path.join(&write.path)));
            }
        }
        Goal::Upgrade(upgrade) => add_upgrade_paths(upgrade, mounts, &mut paths),
        Goal::Reload(reload) => {
            paths.extend(reload_targets(&reload.target, mounts).iter().map(Consumer::reload_api_path));
        }
        Goal::Deregister(deregister) => paths = vec![catalog_api_path(deregister.kind, &deregister.name)],
        Goal::GarbageCollect(collect) => {
            let ours = mounts
                .values()
                .filter(|mount| collect.name.as_ref().is_none_or(|name| *name == mount.plugin));
            let names: std::collections::BTreeSet<_> =
                ours.map(|mount| (mount.kind, mount.plugin.as_str())).collect();
            paths = names.into_iter().map(|(kind, name)| catalog_api_path(kind, name)).collect();
        }
    }
    paths
}

/// The paths of the smoke tests that need a permission: anyone may log in.
fn read_smoke_paths(goal: &Goal) -> Vec<String> {
    let tests = goal.smoke_tests().into_iter().filter(|test| test.mount.kind() != PluginType::Auth);
    tests.map(|test| test.full_path()).collect()
}

fn add_upgrade_paths(
    upgrade: &UpgradeGoal,
    mounts: &BTreeMap<Consumer, ConsumerObserved>,
    paths: &mut Vec<String>,
) {
    paths.push(catalog_api_path(upgrade.kind(), upgrade.name()));
    paths.push(pin_api_path(upgrade.kind(), upgrade.name()));
    paths.push(STEP_DOWN_PATH.to_owned());
    let ours =
        mounts.iter().filter(|(_, mount)| mount.kind == upgrade.kind() && mount.plugin == upgrade.name());
    paths.extend(ours.flat_map(|(path, _)| [path.tune_api_path(), path.reload_api_path()]));
    if let Canary::Mount { .. } = upgrade.canary {
        paths.push(upgrade.canary_path().mount_api_path());
        paths.push(catalog_api_path(upgrade.kind(), &upgrade.canary_plugin_name()));
    }
}

/// Adds the `sudo` that auth mounts require.
fn mount_capabilities(path: &Consumer, capabilities: &[&'static str]) -> Vec<&'static str> {
    let sudo = (path.kind() == PluginType::Auth).then_some("sudo");
    capabilities.iter().copied().chain(sudo).collect()
}

fn pin_api_path(kind: PluginType, name: &str) -> String {
    format!("sys/plugins/pins/{kind}/{name}")
}

/// Refuses if a required path could not be read without permission. The policy in the refusal contains everything that the goal could need, so
/// that one change is enough.
pub(super) fn refuse_denied_reads(observed: &Observed, goal: &Goal) -> Option<Refusal> {
    let hidden = observed.caller.hidden_namespaces();
    let is_hidden = |path: &String| hidden.values().flatten().any(|list| list == path);
    let requires_all = requires_all_namespaces(observed, goal);
    let denied = observed.caller.denied.iter().filter(|path| requires_all || !is_hidden(path));
    let mut needs: BTreeMap<String, Vec<&'static str>> =
        denied.map(|path| (path.clone(), vec![read_capability(path)])).collect();
    if needs.is_empty() {
        return None;
    }
    let smoke_paths = read_smoke_paths(goal);
    for path in capability_paths(goal, &observed.consumers) {
        let lacks = |capability| match observed
            .caller
            .capabilities
            .as_ref()
            .and_then(|capabilities| capabilities.get(&path))
        {
            Some(capabilities) => !capabilities.allows(capability),
            None => true,
        };
        let required: &[&str] = match path.as_str() {
            path if path.starts_with(CATALOG_PREFIX) => &CATALOG_CAPABILITIES,
            // Only required by some plans.
            STEP_DOWN_PATH => continue,
            path if path.starts_with(PINS_PREFIX) => continue,
            path if path.starts_with("sys/auth/") || path.contains("/sys/auth/") => &["update", "sudo"],
            _ if smoke_paths.contains(&path) => &["read"],
            _ => &["update"],
        };
        if required.iter().any(|capability| lacks(capability)) {
            needs.insert(path, required.to_vec());
        }
    }
    not_permitted(needs)
}

/// Whether a goal may change what the mounts of every namespace run. Other goals leave those that they do not see as they are.
fn requires_all_namespaces(observed: &Observed, goal: &Goal) -> bool {
    match goal {
        Goal::Deregister(_) | Goal::GarbageCollect(_) => true,
        Goal::Upgrade(upgrade) => observed.pinned_version(upgrade.kind(), upgrade.name()).is_some(),
        Goal::Register(_) | Goal::Reload(_) => false,
    }
}

/// The capability to read a path.
fn read_capability(path: &str) -> &'static str {
    if path.ends_with("sys/namespaces") { "list" } else { "read" }
}

/// Refuses if the token has no permission for a step. `None` if the server does not show the capabilities.
pub(super) fn refuse_missing_capabilities(observed: &Observed, steps: &[Step]) -> Option<Refusal> {
    let capabilities = observed.caller.capabilities.as_ref()?;
    let mut needs = BTreeMap::new();
    for (path, required) in steps.iter().flat_map(required_capabilities) {
        let Some(capabilities) = capabilities.get(&path) else { continue };
        // A write requires `create` or `update`, depending on the engine; either is enough to try.
        let may_write = capabilities.allows("update") || capabilities.allows("create");
        let lacks = required.iter().any(|capability| match *capability {
            "update" => !may_write,
            other => !capabilities.allows(other),
        });
        if lacks {
            needs.insert(path, required);
        }
    }
    not_permitted(needs)
}

fn required_capabilities(step: &Step) -> Vec<(String, Vec<&'static str>)> {
    let one = |path: String, required: &[&'static str]| vec![(path, required.to_vec())];
    match step {
        Step::CopyBinary { .. }
        | Step::RemoveBinary { .. }
        | Step::RestartNode { .. }
        | Step::PatchInitImage { .. }
        // If a request below the canary mount is denied, the verification fails before any other mount is changed.
        | Step::VerifyCanary { .. } => Vec::new(),
        Step::RegisterVersion { kind, name, .. } => one(catalog_api_path(*kind, name), &CATALOG_CAPABILITIES),
        Step::DeregisterVersion { kind, name, .. } => one(catalog_api_path(*kind, name), &["delete", "sudo"]),
        Step::EnableMount { path, .. } => vec![(path.mount_api_path(), mount_capabilities(path, &["update"]))],
        Step::MountCanary { path, .. } => {
            vec![(path.mount_api_path(), mount_capabilities(path, &["update", "delete"]))]
        }
        Step::RemoveCanary { path } => vec![(path.mount_api_path(), mount_capabilities(path, &["delete"]))],
        Step::TuneMount { path, .. } => one(path.tune_api_path(), &["update"]),
        Step::SetPin { kind, name, .. } => one(pin_api_path(*kind, name), &["update"]),
        Step::ReloadMount { path } => one(path.reload_api_path(), &["update"]),
        Step::Write { path, .. } => one(path.clone(), &["update"]),
        Step::SmokeTestMount { mount, .. } if mount.kind() == PluginType::Auth => Vec::new(),
        Step::SmokeTestMount { path, .. } => one(path.clone(), &["read"]),
        Step::StepDown { .. } => one(STEP_DOWN_PATH.to_owned(), &["update", "sudo"]),
    }
}

fn not_permitted(needs: BTreeMap<String, Vec<&'static str>>) -> Option<Refusal> {
    if needs.is_empty() {
        return None;
    }
    let missing =
        needs.iter().map(|(path, required)| format!("{} on {path}", required.join(" and "))).collect();
    let mut policy = String::new();
    for (path, required) in &needs {
        let required: Vec<String> =
            policy_capabilities(required).iter().map(|word| format!("\"{word}\"")).collect();
        let _ = write!(policy, "path \"{path}\" {{\n  capabilities = [{}]\n}}\n", required.join(", "));
    }
    Some(Refusal::NotPermitted { missing, policy })
}

/// Adds `create` to `update`, because the engine decides which one a write requires.
fn policy_capabilities(required: &[&'static str]) -> Vec<&'static str> {
    let create = required.contains(&"update").then_some("create");
    create.into_iter().chain(required.iter().copied()).collect()
}

fn catalog_api_path(kind: PluginType, name: &str) -> String {
    format!("{CATALOG_PREFIX}{kind}/{name}")
}
