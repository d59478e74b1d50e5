//! What mounts are told to run, run, and answer.

use super::Check;
use super::finding::{Finding, FindingKind, Severity, VerifiedBy, own_command};
use crate::mount_path::MountPath;
use crate::observed::deployment::{NodeObserved, NodeRole, PluginFile};
use crate::observed::{MountHealth, MountObserved, Observed};
use crate::shell::shell_quote;
use vault_api::catalog::PluginType;

const VERSION_NOT_REGISTERED: FindingKind = FindingKind {
    id: "VTP-501",
    title: "a mount is told to run a version that is not registered",
    severity: Severity::BreaksAtRestart,
    consequence: "It cannot be started again: after the next restart it answers 404, and its leases are not revoked.",
    remediation: "Register that version again, with the arguments that it was registered with; or move the mount to another with \
           `vault-token-plugin upgrade`.",
    log_patterns: &["plugin not found in the catalog"],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_501_the_version_of_a_mount_is_not_registered"),
};
const NOT_RELOADED: FindingKind = FindingKind {
    id: "VTP-502",
    title: "a mount runs another version than it will run after a restart",
    severity: Severity::Risk,
    consequence: "The next restart or failover changes the version, at a moment that nobody has chosen.",
    remediation: "Reload the mount.",
    log_patterns: &["Plugin version is configured as *, but running"],
    verified_by: VerifiedBy::E2eTest(
        "doctor::mounts::vtp_502_a_mount_does_not_run_the_version_that_it_is_configured_for",
    ),
};
const RUNNING_CHECKSUM_MISMATCH: FindingKind = FindingKind {
    id: "VTP-503",
    title: "a mount runs another binary than is registered for its version",
    severity: Severity::Risk,
    consequence: "The version was registered anew while it ran. The next restart changes what runs, under the same version.",
    remediation: "Reload the mount, and give another build another version from now on.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest(
        "doctor::mounts::vtp_503_a_version_was_registered_again_with_another_checksum",
    ),
};
pub(super) const NO_BACKEND: FindingKind = FindingKind {
    id: "VTP-504",
    title: "nothing runs behind a mount",
    severity: Severity::BreaksNow,
    consequence: "Every request is answered with 404, and no lease of the mount can be revoked. The plugin could not be started when the \
                  server was unsealed.",
    remediation: "First what keeps the plugin from being started, which the findings before this one name. Then let the node become active \
           anew, once for all such mounts; that takes the server away for some seconds, until doctor names VTP-703 no more. After a reload \
           alone every write would fail with `cannot write to storage during setup`.",
    log_patterns: &[
        "route entry found, but backend is nil",
        "skipping initialization for nil backend",
        "skipping plugin-based mount entry",
    ],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_504_nothing_runs_behind_a_mount"),
};
const UNRESPONSIVE: FindingKind = FindingKind {
    id: "VTP-505",
    title: "a mount does not answer",
    severity: Severity::BreaksNow,
    consequence: "Requests fail.",
    remediation: "Read what it said, and `vault-token-plugin doctor --explain` with it.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_505_a_mount_does_not_answer"),
};
const NO_VERSION: FindingKind = FindingKind {
    id: "VTP-506",
    title: "a mount of an external plugin has no version",
    severity: Severity::Note,
    consequence: "It can only be changed by replacing what it runs, and never be moved back.",
    remediation: "Register the plugin with a version, and move the mount to it with `vault-token-plugin upgrade`.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::old_sdk_plugins::vtp_506_a_mount_runs_no_version"),
};
const CANARY_LEFT_BEHIND: FindingKind = FindingKind {
    id: "VTP-507",
    title: "a trial mount was left behind",
    severity: Severity::Note,
    consequence: "An upgrade was killed or runs at this moment. The mount serves nobody.",
    remediation: "Run the upgrade again, which goes on; or disable the mount.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_507_the_mount_of_a_trial_is_left_behind"),
};
const PLUGIN_NOT_REGISTERED: FindingKind = FindingKind {
    id: "VTP-508",
    title: "the plugin of a mount is not registered at all",
    severity: Severity::BreaksAtRestart,
    consequence: "It cannot be started again: after the next restart the mount answers 404.",
    remediation: "Register the plugin again, with the arguments that it was registered with.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_508_no_version_of_a_mounted_plugin_is_registered"),
};
const STANDBY_DIFFERS: FindingKind = FindingKind {
    id: "VTP-509",
    title: "a standby runs another version than the active node",
    severity: Severity::BreaksAtRestart,
    consequence: "It serves reads with it, and everything when it becomes active. OpenBao's standbys do not follow a change of versions, \
                  and a reload there starts the old one again.",
    remediation: "`vault-token-plugin reload` restarts the standbys, one at a time. Add --allow-sealed-restart where people unseal them, and --allow-quorum-loss where raft has two voters.",
    log_patterns: &[],
    verified_by: VerifiedBy::KubernetesTest("doctor::openbao::vtp_509_a_standby_runs_another_version"),
};

pub(super) const ALL: &[&FindingKind] = &[
    &VERSION_NOT_REGISTERED,
    &NOT_RELOADED,
    &RUNNING_CHECKSUM_MISMATCH,
    &NO_BACKEND,
    &UNRESPONSIVE,
    &NO_VERSION,
    &CANARY_LEFT_BEHIND,
    &PLUGIN_NOT_REGISTERED,
    &STANDBY_DIFFERS,
];
pub(super) const CHECKS: &[Check] = &[
    unregistered_versions,
    unreloaded_mounts,
    checksum_mismatches,
    unresponsive_mounts,
    unversioned_mounts,
    leftover_canaries,
    differing_standbys,
];

/// Mounts that run from the plugin directory, or should.
fn external_mounts(observed: &Observed) -> impl Iterator<Item = (&String, &MountObserved)> {
    observed
        .mounts
        .iter()
        .filter(|(_, mount)| !mount.running_sha256.is_empty() || is_registered(observed, mount))
}

fn is_registered(observed: &Observed, mount: &MountObserved) -> bool {
    observed.catalog.iter().any(|entry| entry.kind == PluginType::Secret && entry.name == mount.plugin)
}

fn may_read_catalog(observed: &Observed) -> bool {
    !observed.caller.denied.contains("sys/plugins/catalog")
}

fn display_version(version: &str) -> &str {
    if version.is_empty() { "no version" } else { version }
}

fn reload_command(observed: &Observed, path: &str) -> String {
    own_command(observed, &format!("reload --mount {} --yes", shell_quote(path)))
}

/// A command that registers what a mount runs, where every node still has that very file.
fn register_command(observed: &Observed, mount: &MountObserved, version: &str) -> Option<String> {
    let site = observed.deployment.as_ref().filter(|_| mount.running_version == version)?;
    let is_it = |file: &&PluginFile| !file.sha256.is_empty() && file.sha256 == mount.running_sha256;
    let file = &site.nodes.values().find_map(|node| node.files.iter().find(is_it))?.name;
    let has_it = |node: &NodeObserved| node.files.iter().filter(is_it).any(|there| there.name == *file);
    if !site.nodes.values().all(has_it) {
        return None;
    }
    let others = observed.catalog.iter().filter(|entry| entry.name == mount.plugin);
    let args = others.filter_map(|entry| entry.args.as_ref()).next();
    let args: String = args.into_iter().flatten().map(|arg| format!(" -args={}", shell_quote(arg))).collect();
    let version =
        if version.is_empty() { String::new() } else { format!(" -version={}", shell_quote(version)) };
    Some(format!(
        "vault plugin register{version} -sha256={} -command={}{args} secret {}",
        mount.running_sha256,
        shell_quote(file),
        shell_quote(&mount.plugin)
    ))
}

/// Of what keeps a mount from being started.
pub(super) fn severity(mount: &MountObserved) -> Severity {
    if mount.may_answer() { Severity::BreaksAtRestart } else { Severity::BreaksNow }
}

fn unregistered_versions(observed: &Observed) -> Vec<Finding> {
    if !may_read_catalog(observed) {
        return Vec::new();
    }
    let finding = |(path, mount): (&String, &MountObserved)| {
        let told = observed.effective_version(mount);
        if !is_registered(observed, mount) {
            let evidence =
                format!("it runs {} {}, and the catalog has no {0}", mount.plugin, display_version(told));
            let finding =
                PLUGIN_NOT_REGISTERED.finding(path.clone(), evidence).with_severity(severity(mount));
            return Some(
                register_command(observed, mount, told).into_iter().fold(finding, Finding::with_command),
            );
        }
        // Then the pin is what is wrong.
        if observed.pinned_version(PluginType::Secret, &mount.plugin).is_some() {
            return None;
        }
        let is_there = observed.catalog_entry(PluginType::Secret, &mount.plugin, told).is_some();
        let evidence = format!(
            "it is told to run {} {}, which the catalog does not have",
            mount.plugin,
            display_version(told)
        );
        let finding = (!is_there)
            .then(|| VERSION_NOT_REGISTERED.finding(path.clone(), evidence).with_severity(severity(mount)))?;
        Some(register_command(observed, mount, told).into_iter().fold(finding, Finding::with_command))
    };
    external_mounts(observed).filter_map(finding).collect()
}

fn unreloaded_mounts(observed: &Observed) -> Vec<Finding> {
    let finding = |(path, mount): (&String, &MountObserved)| {
        let told = observed.effective_version(mount);
        let is_there = observed.catalog_entry(PluginType::Secret, &mount.plugin, told).is_some();
        let differs = is_there && !mount.running_version.is_empty() && told != mount.running_version;
        let evidence = format!("it runs {} and will run {}", mount.running_version, display_version(told));
        differs.then(|| {
            NOT_RELOADED.finding(path.clone(), evidence).with_command(reload_command(observed, path))
        })
    };
    external_mounts(observed).filter_map(finding).collect()
}

fn checksum_mismatches(observed: &Observed) -> Vec<Finding> {
    let finding = |(path, mount): (&String, &MountObserved)| {
        let entry = observed.catalog_entry(PluginType::Secret, &mount.plugin, &mount.running_version)?;
        let known = !entry.sha256.is_empty() && !mount.running_sha256.is_empty();
        let differs = known && entry.sha256 != mount.running_sha256;
        let evidence = format!("it runs sha256 {}, and {} is registered", mount.running_sha256, entry.sha256);
        differs.then(|| {
            RUNNING_CHECKSUM_MISMATCH
                .finding(path.clone(), evidence)
                .with_command(reload_command(observed, path))
        })
    };
    external_mounts(observed).filter_map(finding).collect()
}

fn unresponsive_mounts(observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut nothing_behind = Vec::new();
    for (path, mount) in external_mounts(observed) {
        match &mount.health {
            None | Some(MountHealth::Ok) => {}
            Some(MountHealth::NoBackend) => nothing_behind.push((path, mount)),
            Some(MountHealth::Error { message: said }) => {
                findings.push(UNRESPONSIVE.finding(path.clone(), format!("{path}?help=1: {said}")));
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
        let plugin = format!("secret {} {}", mount.plugin, observed.effective_version(mount));
        format!("{path}?help=1, of {}, is answered with \"backend is nil\"", plugin.trim_end())
    });
    let evidence: Vec<String> = each.collect();
    let finding = || NO_BACKEND.finding(names.join(", "), evidence.join("; "));
    (!mounts.is_empty()).then(|| finding().with_command("vault operator step-down".to_owned()))
}

fn unversioned_mounts(observed: &Observed) -> Vec<Finding> {
    let bare = external_mounts(observed)
        .filter(|(_, mount)| observed.effective_version(mount).is_empty() && is_registered(observed, mount));
    bare.map(|(path, mount)| {
        NO_VERSION.finding(path.clone(), format!("it runs {} without a version", mount.plugin))
    })
    .collect()
}

fn leftover_canaries(observed: &Observed) -> Vec<Finding> {
    let paths =
        observed.mounts.keys().filter(|path| path.parse::<MountPath>().is_ok_and(|path| path.is_canary()));
    let disable = |path: &String| format!("vault secrets disable {}", shell_quote(path));
    paths
        .map(|path| {
            CANARY_LEFT_BEHIND.finding(path.clone(), "sys/mounts lists it").with_command(disable(path))
        })
        .collect()
}

fn differing_standbys(observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, node) in observed.deployment.iter().flat_map(|site| &site.nodes) {
        let Some(vault) = node.server.as_ref().filter(|vault| vault.role == NodeRole::Standby) else {
            continue;
        };
        for (path, mount) in external_mounts(observed) {
            if let Some(running) = vault.running.get(path)
                && !running.version.is_empty()
                && running.version != mount.running_version
            {
                let evidence = format!(
                    "{path} is {} there and {} on the active node",
                    running.version, mount.running_version
                );
                let finding = STANDBY_DIFFERS.finding(name.to_string(), evidence);
                findings.push(finding.with_command(reload_command(observed, path)));
            }
        }
    }
    findings
}
