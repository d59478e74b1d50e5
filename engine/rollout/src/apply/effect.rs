//! Describes the effects that steps have left, for a run that does not succeed.

use crate::consumer::Consumer;
use crate::step::Step;

/// Describes what the steps have changed for clients, except the reloads of `mounts`.
pub(crate) fn describe_effects(done: &[Step], mounts: &[Consumer]) -> Vec<String> {
    describe_each(done, mounts, describe_effect)
}

/// As [`describe_effects`], for a run that has applied every step before the smoke test of `path`.
pub(crate) fn describe_configured_mounts(done: &[Step], mounts: &[Consumer], path: &str) -> Vec<String> {
    let mut effects = describe_each(done, mounts, |step| match step {
        Step::EnableMount { path, .. } => {
            Some(format!("{path} is mounted; `{}` removes it", path.disable_command()))
        }
        step => describe_effect(step),
    });
    if mounts.is_empty() && !effects.is_empty() {
        effects.push(format!("`vault-token-plugin creds get {path}` repeats the test"));
    }
    effects
}

fn describe_each(
    done: &[Step],
    mounts: &[Consumer],
    describe: impl Fn(&Step) -> Option<String>,
) -> Vec<String> {
    done.iter().filter(|step| !is_reload_of(step, mounts)).filter_map(describe).collect()
}

/// Describes the reloads, except those of `mounts`.
pub(crate) fn describe_reloads(done: &[Step], mounts: &[Consumer]) -> Vec<String> {
    let reloads = done.iter().filter(|step| matches!(step, Step::ReloadMount { .. }));
    reloads.filter(|step| !is_reload_of(step, mounts)).filter_map(describe_effect).collect()
}

fn is_reload_of(step: &Step, mounts: &[Consumer]) -> bool {
    matches!(step, Step::ReloadMount { path } if mounts.contains(path))
}

/// Describes what a step has changed for clients. The undo of a switch is reported separately, and tests and step-downs leave nothing.
pub(crate) fn describe_effect(step: &Step) -> Option<String> {
    Some(match step {
        Step::EnableMount { path, .. } => format!(
            "{path} is mounted, and may not be configured: run the same command again, or remove it with `{}`",
            path.disable_command()
        ),
        Step::ReloadMount { path } => {
            format!("{path} was reloaded, and the version that it runs is not verified")
        }
        Step::Write { path, .. } => format!("the values written to {path} were not reverted"),
        Step::RestartNode { node, .. } => {
            format!("{node} was restarted, and it is not verified that it serves again")
        }
        Step::PatchInitImage { container, to, .. } => {
            format!("the init container {container} has the image {to}")
        }
        Step::DeregisterVersion { name, version, .. } => {
            format!("{name} {version} is no longer registered, and its file may still exist")
        }
        Step::RemoveBinary { file, nodes, .. } => {
            let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            format!("{file} was removed from {}", nodes.join(", "))
        }
        Step::CopyBinary { .. }
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

/// Describes what a step has added that no client uses yet.
pub(crate) fn describe_unused_effect(step: &Step) -> Option<String> {
    Some(match step {
        Step::CopyBinary { nodes, file, .. } => {
            let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
            format!("{file} is in the plugin directory of {}", nodes.join(", "))
        }
        Step::RegisterVersion { kind, name, version, .. } => {
            format!("{name} {} is registered as {kind} plugin", version.v_prefixed())
        }
        Step::MountCanary { path, .. } => format!("the canary mount {path} may still exist"),
        _ => return None,
    })
}

/// Describes what a step may have changed whose response was lost, or is an error of the server itself.
pub(crate) fn describe_uncertain(step: &Step) -> Option<String> {
    Some(match step {
        Step::ReloadMount { path } => format!(
            "{path} may have been reloaded, and it is not verified that it runs its configured version; the server's log shows why \
             its plugin does not start"
        ),
        // Tests change nothing; the lease of a smoke test is reported by its error.
        Step::SmokeTestMount { .. } | Step::StepDown { .. } => return None,
        step => format!("this step may have been applied: {step}"),
    })
}

/// Whether a step changes the version of one of these mounts.
pub(crate) fn affects_mounts(step: Option<&Step>, mounts: &[Consumer]) -> bool {
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

    fn path(text: &str) -> Consumer {
        text.parse().expect("a path")
    }

    #[test]
    fn a_smoke_test_that_fails_after_nothing_has_changed_for_clients_leaves_nothing() {
        let entry = Step::DeregisterVersion {
            kind: vault_api::catalog::PluginType::Secret,
            name: "custom".into(),
            version: "v1.0.0".into(),
        };
        let file = Step::RemoveCanary { path: path("custom-canary") };
        assert_eq!(describe_configured_mounts(&[file], &[], "custom/creds/dev"), Vec::<String>::new());
        let left = describe_configured_mounts(&[entry], &[], "custom/creds/dev");
        assert!(left[1].contains("creds get custom/creds/dev"), "{left:?}");
    }

    #[test]
    fn effects_for_clients_are_described_and_others_are_not() {
        let reload = |text| Step::ReloadMount { path: path(text) };
        let write = Step::Write { path: "custom/config".into(), data: BTreeMap::new() };
        let test = Step::SmokeTestMount {
            mount: path("custom"),
            path: "custom/creds/dev".into(),
            data: BTreeMap::new(),
        };
        let done = [test, reload("custom"), write, reload("team")];
        assert_eq!(
            describe_effects(&done, &[path("custom")]),
            [
                "the values written to custom/config were not reverted",
                "team/ was reloaded, and the version that it runs is not verified"
            ]
        );
        assert_eq!(describe_reloads(&done, &[path("custom"), path("team")]), Vec::<String>::new());
    }
}
