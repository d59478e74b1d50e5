//! What the steps need a token to be allowed.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::goal::{Goal, Plugin};
use crate::observed::Observed;
use crate::refusal::Refusal;
use crate::step::Step;

const RELOAD: &str = "sys/plugins/reload/backend";
const CATALOG: &str = "sys/plugins/catalog/";

/// The server protects the entries of the catalog as it protects its root paths.
const CHANGE_CATALOG: [&str; 3] = ["read", "update", "sudo"];

/// The paths whose capabilities matter for a goal.
pub(crate) fn paths(goal: &Goal) -> Vec<String> {
    let mut paths = vec![RELOAD.to_owned()];
    if let Goal::Register(register) = goal {
        paths.push(catalog(&register.plugin));
        for mount in &register.mounts {
            let path = mount.path.as_str().trim_end_matches('/');
            paths.push(format!("sys/mounts/{path}"));
            paths.push(format!("sys/mounts/{path}/tune"));
            paths.extend(mount.writes.iter().map(|write| mount.path.join(&write.path)));
        }
    }
    paths
}

/// Refused because reading was not allowed, so nothing can be known. The policy then holds all that the goal could
/// need, so that one change of it is enough.
pub(super) fn denied(observed: &Observed, goal: &Goal) -> Option<Refusal> {
    if observed.caller.denied.is_empty() {
        return None;
    }
    let mut needs: BTreeMap<String, Vec<&'static str>> =
        observed.caller.denied.iter().map(|path| (path.clone(), vec!["read"])).collect();
    for path in paths(goal) {
        let lacks = |capability| match observed.caller.capabilities.as_ref().and_then(|held| held.get(&path))
        {
            Some(held) => !held.allow(capability),
            None => true,
        };
        let wanted: &[&str] = if path.starts_with(CATALOG) { &CHANGE_CATALOG } else { &["update"] };
        if wanted.iter().any(|capability| lacks(capability)) {
            needs.insert(path, wanted.to_vec());
        }
    }
    refused(needs)
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
        Step::PlaceBinary { .. } => Vec::new(),
        Step::RegisterVersion { kind, name, .. } => one(format!("{CATALOG}{kind}/{name}"), &CHANGE_CATALOG),
        Step::EnableMount { path, .. } => {
            one(format!("sys/mounts/{}", path.as_str().trim_end_matches('/')), &["update"])
        }
        Step::TuneMount { path, .. } => one(format!("sys/mounts/{path}tune"), &["update"]),
        Step::ReloadMounts { .. } => one(RELOAD.to_owned(), &["update"]),
        Step::Write { path, .. } => one(path.clone(), &["update"]),
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

fn catalog(plugin: &Plugin) -> String {
    format!("{CATALOG}{}/{}", plugin.kind, plugin.name)
}
