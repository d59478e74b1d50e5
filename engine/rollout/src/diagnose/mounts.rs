//! What mounts are told to run, run, and answer.

use super::Check;
use super::finding::{Finding, Known, Severity, Shown, quoted, tool};
use crate::goal::MountPath;
use crate::observed::site::{NodeObserved, PluginFile, Role};
use crate::observed::{Answering, MountObserved, Observed};
use vault_api::catalog::PluginType;

const NOT_IN_CATALOG: Known = Known {
    id: "VTP-501",
    title: "a mount is told to run a version that is not registered",
    severity: Severity::BreaksAtRestart,
    consequence: "It cannot be started again: after the next restart it answers 404, and its leases are not revoked.",
    cure: "Register that version again, with the arguments that it was registered with; or move the mount to another with \
           `vault-token-plugin upgrade`.",
    says: &["plugin not found in the catalog"],
    shown: Shown::OnServer("doctor::mounts::vtp_501_the_version_of_a_mount_is_not_registered"),
};
const NOT_RELOADED: Known = Known {
    id: "VTP-502",
    title: "a mount runs another version than it will run after a restart",
    severity: Severity::Risk,
    consequence: "The next restart or failover changes the version, at a moment that nobody has chosen.",
    cure: "Reload the mount.",
    says: &["Plugin version is configured as *, but running"],
    shown: Shown::OnServer(
        "doctor::mounts::vtp_502_a_mount_does_not_run_the_version_that_it_is_configured_for",
    ),
};
const RUNS_OTHER: Known = Known {
    id: "VTP-503",
    title: "a mount runs another binary than is registered for its version",
    severity: Severity::Risk,
    consequence: "The version was registered anew while it ran. The next restart changes what runs, under the same version.",
    cure: "Reload the mount, and give another build another version from now on.",
    says: &[],
    shown: Shown::OnServer("doctor::mounts::vtp_503_a_version_was_registered_again_with_another_checksum"),
};
pub(super) const NO_BACKEND: Known = Known {
    id: "VTP-504",
    title: "nothing runs behind a mount",
    severity: Severity::BreaksNow,
    consequence: "Every request is answered with 404, and no lease of the mount can be revoked. The plugin could not be started when the \
                  server was unsealed.",
    cure: "First what keeps the plugin from being started, which the findings before this one name. Then let the node become active \
           anew, once for all such mounts; that takes the server away for some seconds, until doctor names VTP-703 no more. After a reload \
           alone every write would fail with `cannot write to storage during setup`.",
    says: &[
        "route entry found, but backend is nil",
        "skipping initialization for nil backend",
        "skipping plugin-based mount entry",
    ],
    shown: Shown::OnServer("doctor::mounts::vtp_504_nothing_runs_behind_a_mount"),
};
const DOES_NOT_ANSWER: Known = Known {
    id: "VTP-505",
    title: "a mount does not answer",
    severity: Severity::BreaksNow,
    consequence: "Requests fail.",
    cure: "Read what it said, and `vault-token-plugin doctor --explain` with it.",
    says: &[],
    shown: Shown::OnServer("doctor::mounts::vtp_505_a_mount_does_not_answer"),
};
const NO_VERSION: Known = Known {
    id: "VTP-506",
    title: "a mount of an external plugin has no version",
    severity: Severity::Note,
    consequence: "It can only be changed by replacing what it runs, and never be moved back.",
    cure: "Register the plugin with a version, and move the mount to it with `vault-token-plugin upgrade`.",
    says: &[],
    shown: Shown::OnServer("doctor::old::vtp_506_a_mount_runs_no_version"),
};
const TRIAL_LEFT: Known = Known {
    id: "VTP-507",
    title: "a trial mount was left behind",
    severity: Severity::Note,
    consequence: "An upgrade was killed or runs at this moment. The mount serves nobody.",
    cure: "Run the upgrade again, which goes on; or disable the mount.",
    says: &[],
    shown: Shown::OnServer("doctor::mounts::vtp_507_the_mount_of_a_trial_is_left_behind"),
};
const NOT_REGISTERED: Known = Known {
    id: "VTP-508",
    title: "the plugin of a mount is not registered at all",
    severity: Severity::BreaksAtRestart,
    consequence: "It cannot be started again: after the next restart the mount answers 404.",
    cure: "Register the plugin again, with the arguments that it was registered with.",
    says: &[],
    shown: Shown::OnServer("doctor::mounts::vtp_508_no_version_of_a_mounted_plugin_is_registered"),
};
const STANDBY_DIFFERS: Known = Known {
    id: "VTP-509",
    title: "a standby runs another version than the active node",
    severity: Severity::BreaksAtRestart,
    consequence: "It serves reads with it, and everything when it becomes active. OpenBao's standbys do not follow a change of versions, \
                  and a reload there starts the old one again.",
    cure: "`vault-token-plugin reload` restarts the standbys, one at a time. Add --allow-sealed-restart where people unseal them, and --allow-quorum-loss where raft has two voters.",
    says: &[],
    shown: Shown::OnPods("doctor::openbao::vtp_509_a_standby_runs_another_version"),
};

pub(super) const ALL: &[&Known] = &[
    &NOT_IN_CATALOG,
    &NOT_RELOADED,
    &RUNS_OTHER,
    &NO_BACKEND,
    &DOES_NOT_ANSWER,
    &NO_VERSION,
    &TRIAL_LEFT,
    &NOT_REGISTERED,
    &STANDBY_DIFFERS,
];
pub(super) const CHECKS: &[Check] =
    &[registered, reloaded, same_binary, answers, versioned, trials, standbys];

/// Mounts that run from the plugin directory, or should.
fn external(observed: &Observed) -> impl Iterator<Item = (&String, &MountObserved)> {
    observed
        .mounts
        .iter()
        .filter(|(_, mount)| !mount.running_sha256.is_empty() || has_entries(observed, mount))
}

fn has_entries(observed: &Observed, mount: &MountObserved) -> bool {
    observed.catalog.iter().any(|entry| entry.kind == PluginType::Secret && entry.name == mount.plugin)
}

fn sees_catalog(observed: &Observed) -> bool {
    !observed.caller.denied.contains("sys/plugins/catalog")
}

fn spoken(version: &str) -> &str {
    if version.is_empty() { "no version" } else { version }
}

fn reload(observed: &Observed, path: &str) -> String {
    tool(observed, &format!("reload --mount {} --yes", quoted(path)))
}

/// A command that registers what a mount runs, where every node still has that very file.
fn register_again(observed: &Observed, mount: &MountObserved, version: &str) -> Option<String> {
    let site = observed.site.as_ref().filter(|_| mount.running_version == version)?;
    let is_it = |file: &&PluginFile| !file.sha256.is_empty() && file.sha256 == mount.running_sha256;
    let file = &site.nodes.values().find_map(|node| node.files.iter().find(is_it))?.name;
    let has_it = |node: &NodeObserved| node.files.iter().filter(is_it).any(|there| there.name == *file);
    if !site.nodes.values().all(has_it) {
        return None;
    }
    let others = observed.catalog.iter().filter(|entry| entry.name == mount.plugin);
    let args = others.filter_map(|entry| entry.args.as_ref()).next();
    let args: String = args.into_iter().flatten().map(|arg| format!(" -args={}", quoted(arg))).collect();
    let version = if version.is_empty() { String::new() } else { format!(" -version={}", quoted(version)) };
    Some(format!(
        "vault plugin register{version} -sha256={} -command={}{args} secret {}",
        mount.running_sha256,
        quoted(file),
        quoted(&mount.plugin)
    ))
}

/// Of what keeps a mount from being started.
pub(super) fn weight(mount: &MountObserved) -> Severity {
    if mount.may_answer() { Severity::BreaksAtRestart } else { Severity::BreaksNow }
}

fn registered(observed: &Observed) -> Vec<Finding> {
    if !sees_catalog(observed) {
        return Vec::new();
    }
    let finding = |(path, mount): (&String, &MountObserved)| {
        let told = observed.would_run(mount);
        if !has_entries(observed, mount) {
            let evidence = format!("it runs {} {}, and the catalog has no {0}", mount.plugin, spoken(told));
            let finding = NOT_REGISTERED.at(path.clone(), evidence).of(weight(mount));
            return Some(register_again(observed, mount, told).into_iter().fold(finding, Finding::run));
        }
        // Then the pin is what is wrong.
        if observed.pinned(PluginType::Secret, &mount.plugin).is_some() {
            return None;
        }
        let is_there = observed.entry(PluginType::Secret, &mount.plugin, told).is_some();
        let evidence =
            format!("it is told to run {} {}, which the catalog does not have", mount.plugin, spoken(told));
        let finding = (!is_there).then(|| NOT_IN_CATALOG.at(path.clone(), evidence).of(weight(mount)))?;
        Some(register_again(observed, mount, told).into_iter().fold(finding, Finding::run))
    };
    external(observed).filter_map(finding).collect()
}

fn reloaded(observed: &Observed) -> Vec<Finding> {
    let finding = |(path, mount): (&String, &MountObserved)| {
        let told = observed.would_run(mount);
        let is_there = observed.entry(PluginType::Secret, &mount.plugin, told).is_some();
        let differs = is_there && !mount.running_version.is_empty() && told != mount.running_version;
        let evidence = format!("it runs {} and will run {}", mount.running_version, spoken(told));
        differs.then(|| NOT_RELOADED.at(path.clone(), evidence).run(reload(observed, path)))
    };
    external(observed).filter_map(finding).collect()
}

fn same_binary(observed: &Observed) -> Vec<Finding> {
    let finding = |(path, mount): (&String, &MountObserved)| {
        let entry = observed.entry(PluginType::Secret, &mount.plugin, &mount.running_version)?;
        let known = !entry.sha256.is_empty() && !mount.running_sha256.is_empty();
        let differs = known && entry.sha256 != mount.running_sha256;
        let evidence = format!("it runs sha256 {}, and {} is registered", mount.running_sha256, entry.sha256);
        differs.then(|| RUNS_OTHER.at(path.clone(), evidence).run(reload(observed, path)))
    };
    external(observed).filter_map(finding).collect()
}

fn answers(observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut nothing_behind = Vec::new();
    for (path, mount) in external(observed) {
        match &mount.answering {
            None | Some(Answering::Yes) => {}
            Some(Answering::NoBackend) => nothing_behind.push((path, mount)),
            Some(Answering::No { said }) => {
                findings.push(DOES_NOT_ANSWER.at(path.clone(), format!("{path}?help=1: {said}")));
            }
        }
    }
    findings.extend(no_backend(observed, &nothing_behind));
    findings
}

/// One for all: what cures them takes the server away for a moment, and is to be done once.
fn no_backend(observed: &Observed, mounts: &[(&String, &MountObserved)]) -> Option<Finding> {
    let names: Vec<&str> = mounts.iter().map(|(path, _)| path.as_str()).collect();
    let each = mounts.iter().map(|(path, mount)| {
        let plugin = format!("secret {} {}", mount.plugin, observed.would_run(mount));
        format!("{path}?help=1, of {}, is answered with \"backend is nil\"", plugin.trim_end())
    });
    let evidence: Vec<String> = each.collect();
    let finding = || NO_BACKEND.at(names.join(", "), evidence.join("; "));
    (!mounts.is_empty()).then(|| finding().run("vault operator step-down".to_owned()))
}

fn versioned(observed: &Observed) -> Vec<Finding> {
    let bare = external(observed)
        .filter(|(_, mount)| observed.would_run(mount).is_empty() && has_entries(observed, mount));
    bare.map(|(path, mount)| {
        NO_VERSION.at(path.clone(), format!("it runs {} without a version", mount.plugin))
    })
    .collect()
}

fn trials(observed: &Observed) -> Vec<Finding> {
    let paths =
        observed.mounts.keys().filter(|path| path.parse::<MountPath>().is_ok_and(|path| path.is_canary()));
    let disable = |path: &String| format!("vault secrets disable {}", quoted(path));
    paths.map(|path| TRIAL_LEFT.at(path.clone(), "sys/mounts lists it").run(disable(path))).collect()
}

fn standbys(observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, node) in observed.site.iter().flat_map(|site| &site.nodes) {
        let Some(vault) = node.vault.as_ref().filter(|vault| vault.role == Role::Standby) else { continue };
        for (path, mount) in external(observed) {
            if let Some(running) = vault.running.get(path)
                && !running.version.is_empty()
                && running.version != mount.running_version
            {
                let evidence = format!(
                    "{path} is {} there and {} on the active node",
                    running.version, mount.running_version
                );
                let finding = STANDBY_DIFFERS.at(name.to_string(), evidence);
                findings.push(finding.run(reload(observed, path)));
            }
        }
    }
    findings
}
