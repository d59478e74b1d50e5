//! The sentence with which a command that applies a plan reports its result. It does not list the steps, because they were shown while
//! they ran.

use std::collections::BTreeSet;
use std::time::Duration;

use rollout::Step;

/// Longer lists are counted instead.
const MAX_LISTED: usize = 4;

/// `a`, `a and b`, `a, b and c`, or `12 mounts`.
pub(crate) fn list_or_count<S: AsRef<str>>(names: &[S], plural: &str) -> String {
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.split_last() {
        _ if names.len() > MAX_LISTED => format!("{} {plural}", names.len()),
        Some((last, [])) => (*last).to_owned(),
        Some((last, before)) => format!("{} and {last}", before.join(", ")),
        None => format!("no {plural}"),
    }
}

/// `0.3 s`, or `2 min 5 s`.
pub(crate) fn format_duration(duration: Duration) -> String {
    match duration.as_secs() {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

/// The versions that mounts were moved from; unversioned ones are left out.
pub(crate) fn previous_versions(done: &[Step]) -> Vec<&str> {
    let previous: BTreeSet<&str> = done
        .iter()
        .filter_map(|step| match step {
            Step::TuneMount { from, .. } | Step::SetPin { from, .. } => Some(from.as_str()),
            _ => None,
        })
        .filter(|from| !from.is_empty())
        .collect();
    previous.into_iter().collect()
}

/// What a reload has done.
pub(crate) fn describe_reload(done: &[Step]) -> String {
    let mounts: Vec<&str> = done.iter().filter_map(reloaded_mount).collect();
    let nodes: Vec<&str> = done.iter().filter_map(restarted_node).collect();
    describe(&[
        ("reloaded", list_or_count(&mounts, "mounts"), mounts.len()),
        ("restarted", list_or_count(&nodes, "nodes"), nodes.len()),
    ])
}

/// What `gc` or `deregister` has done.
pub(crate) fn describe_removal(done: &[Step]) -> String {
    let versions: Vec<String> = done.iter().filter_map(deregistered_version).collect();
    let files: Vec<&str> = done.iter().filter_map(removed_file).collect();
    let from_catalog = format!("{} from the catalog", list_or_count(&versions, "versions"));
    let from_nodes = format!("{} from the plugin directory", list_or_count(&files, "files"));
    describe(&[("removed", from_catalog, versions.len()), ("removed", from_nodes, files.len())])
}

/// A sentence of the parts that are not empty.
fn describe(parts: &[(&str, String, usize)]) -> String {
    let parts = parts.iter().filter(|(_, _, count)| *count > 0);
    let mut sentence = String::new();
    let mut previous_verb = "";
    for (verb, objects, _) in parts {
        let separator = if sentence.is_empty() { "" } else { " and " };
        let verb_text = if *verb == previous_verb { String::new() } else { format!("{verb} ") };
        sentence += &format!("{separator}{verb_text}{objects}");
        previous_verb = verb;
    }
    capitalize(&sentence).unwrap_or_else(|| "Applied the plan".to_owned())
}

fn capitalize(sentence: &str) -> Option<String> {
    let mut letters = sentence.chars();
    Some(letters.next()?.to_uppercase().chain(letters).collect())
}

fn reloaded_mount(step: &Step) -> Option<&str> {
    match step {
        Step::ReloadMount { path } => Some(path.as_str()),
        _ => None,
    }
}

fn restarted_node(step: &Step) -> Option<&str> {
    match step {
        Step::RestartNode { node, .. } => Some(node.as_str()),
        _ => None,
    }
}

fn deregistered_version(step: &Step) -> Option<String> {
    match step {
        Step::DeregisterVersion { name, version, .. } if version.is_empty() => {
            Some(format!("{name} without a version"))
        }
        Step::DeregisterVersion { name, version, .. } => Some(format!("{name} {version}")),
        _ => None,
    }
}

fn removed_file(step: &Step) -> Option<&str> {
    match step {
        Step::RemoveBinary { file, .. } => Some(file),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use rollout::{NodeName, UnreadyPodPolicy};
    use vault_api::catalog::PluginType;

    use super::*;

    fn reload(path: &str) -> Step {
        Step::ReloadMount { path: path.parse().unwrap() }
    }

    fn restart(node: &str) -> Step {
        Step::RestartNode { node: NodeName::new(node), uid: None, unready: UnreadyPodPolicy::Evict }
    }

    #[test]
    fn a_reload_is_described_by_its_mounts_and_the_nodes_that_were_restarted() {
        assert_eq!(describe_reload(&[reload("a")]), "Reloaded a/");
        let done = [reload("a"), reload("b"), reload("c"), restart("bao-1"), restart("bao-2")];
        assert_eq!(describe_reload(&done), "Reloaded a/, b/ and c/ and restarted bao-1 and bao-2");
        assert_eq!(describe_reload(&[restart("bao-1")]), "Restarted bao-1");
    }

    #[test]
    fn a_long_list_is_counted() {
        let many: Vec<Step> = (0..5).map(|number| reload(&format!("mount-{number}"))).collect();
        assert_eq!(describe_reload(&many), "Reloaded 5 mounts");
    }

    #[test]
    fn a_removal_is_described_by_versions_and_files() {
        let removed = Step::RemoveBinary {
            nodes: vec![NodeName::local()],
            directory: "/plugins".into(),
            file: "ldap-x-1.0.0".into(),
        };
        let deregistered = |version: &str| Step::DeregisterVersion {
            kind: PluginType::Secret,
            name: "ldap-x".into(),
            version: version.into(),
        };
        let both = [deregistered("v1.0.0"), removed.clone()];
        assert_eq!(
            describe_removal(&both),
            "Removed ldap-x v1.0.0 from the catalog and ldap-x-1.0.0 from the plugin directory"
        );
        assert_eq!(describe_removal(&[removed]), "Removed ldap-x-1.0.0 from the plugin directory");
        assert_eq!(
            describe_removal(&[deregistered("")]),
            "Removed ldap-x without a version from the catalog"
        );
    }

    #[test]
    fn a_duration_is_short_and_a_long_one_has_minutes() {
        assert_eq!(format_duration(Duration::from_millis(340)), "0.3 s");
        assert_eq!(format_duration(Duration::from_secs(125)), "2 min 5 s");
    }
}
