//! What steps leave behind, in words. Whatever people use is named when a run does not end well.

use crate::mount_path::MountPath;
use crate::step::Step;

/// What the steps have changed that people use, a sentence each; without what is told of `mounts` otherwise.
pub(crate) fn describe_effects(done: &[Step], mounts: &[MountPath]) -> Vec<String> {
    done.iter().filter(|step| !is_reload_of(step, mounts)).filter_map(describe_effect).collect()
}

/// The reloads among the steps, but those of `mounts`.
pub(crate) fn describe_reloads(done: &[Step], mounts: &[MountPath]) -> Vec<String> {
    let reloads = done.iter().filter(|step| matches!(step, Step::ReloadMount { .. }));
    reloads.filter(|step| !is_reload_of(step, mounts)).filter_map(describe_effect).collect()
}

fn is_reload_of(step: &Step, mounts: &[MountPath]) -> bool {
    matches!(step, Step::ReloadMount { path } if mounts.contains(path))
}

/// What a step has changed that people use. A move is told by whoever undoes it, a trial and a failover leave nothing.
pub(crate) fn describe_effect(step: &Step) -> Option<String> {
    Some(match step {
        Step::EnableMount { path, .. } => format!(
            "{path} is mounted, and may not be configured; run the same command again, or remove it with \
             `vault secrets disable {path}`"
        ),
        Step::ReloadMount { path } => {
            format!("{path} was reloaded, and what it runs is not proven")
        }
        Step::Write { path, .. } => format!("what was written to {path} stays"),
        Step::RestartNode { node, .. } => format!("{node} was restarted and is not proven to serve again"),
        Step::PatchInitImage { container, to, .. } => {
            format!("the init container {container} has the image {to}")
        }
        Step::DeregisterVersion { name, version, .. } => {
            format!("{name} {version} is no longer in the catalog, and its file may still be there")
        }
        Step::RemoveBinary { file, nodes, .. } => {
            let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            format!("{file} was removed from {}", nodes.join(", "))
        }
        Step::PlaceBinary { .. }
        | Step::RegisterVersion { .. }
        | Step::TuneMount { .. }
        | Step::SetPin { .. }
        | Step::MountCanary { .. }
        | Step::VerifyCanary { .. }
        | Step::RemoveCanary { .. }
        | Step::SmokeTestMount { .. }
        | Step::StepDown { .. } => return None,
    })
}

/// What a step has brought that nobody uses yet.
pub(crate) fn describe_unused_effect(step: &Step) -> Option<String> {
    Some(match step {
        Step::PlaceBinary { nodes, file, .. } => {
            let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            format!("{file} is in the plugin directory of {}", nodes.join(", "))
        }
        Step::RegisterVersion { kind, name, version, .. } => {
            format!("{name} {} is registered as {kind} plugin", version.v_prefixed())
        }
        Step::MountCanary { path, .. } => format!("the trial mount {path} may still be there"),
        _ => return None,
    })
}

/// What a step may have changed that was not answered, or was answered with an error of the server's own.
pub(crate) fn describe_uncertain(step: &Step) -> Option<String> {
    Some(match step {
        Step::ReloadMount { path } => format!(
            "{path} was told to reload and is not proven to run what it is configured to run; the server's log says why its \
             plugin does not start"
        ),
        // A trial changes nothing; a lease that it leaves is told by its own error.
        Step::SmokeTestMount { .. } | Step::StepDown { .. } => return None,
        step => format!("it is not known whether this was done: {step}"),
    })
}

/// Whether a step is of one of these mounts.
pub(crate) fn affects_mounts(step: Option<&Step>, mounts: &[MountPath]) -> bool {
    let path = match step {
        Some(Step::ReloadMount { path } | Step::TuneMount { path, .. }) => path,
        _ => return matches!(step, Some(Step::SetPin { .. })),
    };
    mounts.contains(path)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn path(text: &str) -> MountPath {
        text.parse().expect("a path")
    }

    #[test]
    fn what_people_use_is_named_and_what_nobody_runs_is_not() {
        let reload = |text| Step::ReloadMount { path: path(text) };
        let write = Step::Write { path: "custom/config".into(), data: BTreeMap::new() };
        let trial = Step::SmokeTestMount { path: "custom/creds/dev".into() };
        let done = [trial, reload("custom"), write, reload("team")];
        assert_eq!(
            describe_effects(&done, &[path("custom")]),
            ["what was written to custom/config stays", "team/ was reloaded, and what it runs is not proven"]
        );
        assert_eq!(describe_reloads(&done, &[path("custom"), path("team")]), Vec::<String>::new());
    }
}
