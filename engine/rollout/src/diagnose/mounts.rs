//! Checks of the configured and running versions of mounts, and of their health.

use super::Check;
use super::finding::{Finding, FindingKind, Severity, VerifiedBy, own_command};
use crate::consumer::Consumer;
use crate::observed::deployment::{NodeObserved, NodeRole, PluginFile};
use crate::observed::{ConsumerObserved, MountHealth, Observed};
use crate::shell::shell_quote;
use vault_api::catalog::PluginType;

const VERSION_NOT_REGISTERED: FindingKind = FindingKind {
    id: "VTP-501",
    title: "the configured version of a mount or connection is not registered",
    severity: Severity::BreaksAtRestart,
    consequence: "The plugin cannot be started again. After the next restart the mount returns 404, or the connection an error, and its leases are not revoked.",
    remediation: "Register that version again, with the arguments that it was registered with. Or move the mount to another version with `vault-token-plugin upgrade`.",
    log_patterns: &["plugin not found in the catalog"],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_501_the_version_of_a_mount_is_not_registered"),
};
const NOT_RELOADED: FindingKind = FindingKind {
    id: "VTP-502",
    title: "a mount or connection runs a different version than it will run after a restart",
    severity: Severity::Risk,
    consequence: "The next restart or failover changes the version at an unplanned time.",
    remediation: "Reload it.",
    log_patterns: &["Plugin version is configured as *, but running"],
    verified_by: VerifiedBy::E2eTest(
        "doctor::mounts::vtp_502_a_mount_does_not_run_the_version_that_it_is_configured_for",
    ),
};
const RUNNING_CHECKSUM_MISMATCH: FindingKind = FindingKind {
    id: "VTP-503",
    title: "a mount or connection runs a different binary than the one registered for its version",
    severity: Severity::Risk,
    consequence: "The version was registered again while it ran. The next restart changes the running binary under the same version.",
    remediation: "Reload it. Give each new build a new version.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest(
        "doctor::mounts::vtp_503_a_version_was_registered_again_with_another_checksum",
    ),
};
/// Ids of the findings that a reload fixes.
pub(super) const FIXED_BY_RELOAD: [&str; 2] = [NOT_RELOADED.id, RUNNING_CHECKSUM_MISMATCH.id];
pub(super) const NO_BACKEND: FindingKind = FindingKind {
    id: "VTP-504",
    title: "a mount has no running backend",
    severity: Severity::BreaksNow,
    consequence: "Every request returns 404, and no lease of the mount can be revoked. The plugin could not be started when the server was unsealed.",
    remediation: "First fix what prevents the plugin from starting: see the findings above this one. Then run `vault operator step-down` once, for all such mounts: the node that becomes active loads them again. The server is unavailable for some seconds, until doctor no longer reports VTP-703. A reload alone is not enough: every write would fail with `cannot write to storage during setup`.",
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
    remediation: "Read the error shown, and pass it to `vault-token-plugin doctor --explain`.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_505_a_mount_does_not_answer"),
};
const NO_VERSION: FindingKind = FindingKind {
    id: "VTP-506",
    title: "a mount of an external plugin has no version",
    severity: Severity::Note,
    consequence: "It can be changed only by replacing the binary, and cannot be rolled back.",
    remediation: "Register the plugin with a version, and move the mount to it with `vault-token-plugin upgrade`.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::old_sdk_plugins::vtp_506_a_mount_runs_no_version"),
};
const CANARY_LEFT_BEHIND: FindingKind = FindingKind {
    id: "VTP-507",
    title: "a canary mount was left behind",
    severity: Severity::Note,
    consequence: "An upgrade was killed, or is running now. No client uses this mount.",
    remediation: "Run the same upgrade again to continue it, or disable the mount.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_507_the_mount_of_a_trial_is_left_behind"),
};
const PLUGIN_NOT_REGISTERED: FindingKind = FindingKind {
    id: "VTP-508",
    title: "the plugin of a mount or connection is not registered at all",
    severity: Severity::BreaksAtRestart,
    consequence: "The plugin cannot be started again. After the next restart the mount returns 404, or the connection an error.",
    remediation: "Register the plugin again, with the arguments that it was registered with.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::mounts::vtp_508_no_version_of_a_mounted_plugin_is_registered"),
};
const STANDBY_DIFFERS: FindingKind = FindingKind {
    id: "VTP-509",
    title: "a standby runs a different version than the active node",
    severity: Severity::BreaksAtRestart,
    consequence: "The standby serves reads with its version, and all requests when it becomes active. An OpenBao standby does not follow a version change, and a reload there starts the old version again.",
    remediation: "Run `vault-token-plugin reload`, which restarts the standbys one at a time. Add --allow-sealed-restart if they are unsealed by hand, and --allow-quorum-loss if raft has two voters.",
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

/// Mounts of external plugins.
fn external_mounts(observed: &Observed) -> impl Iterator<Item = (&Consumer, &ConsumerObserved)> {
    observed
        .consumers
        .iter()
        .filter(|(_, mount)| !mount.running_sha256.is_empty() || is_registered(observed, mount))
}

fn is_registered(observed: &Observed, mount: &ConsumerObserved) -> bool {
    observed.catalog.iter().any(|entry| entry.kind == mount.kind && entry.name == mount.plugin)
}

fn may_read_catalog(observed: &Observed) -> bool {
    !observed.caller.denied.contains("sys/plugins/catalog")
}

fn display_version(version: &str) -> &str {
    if version.is_empty() { "no version" } else { version }
}

fn reload_command(observed: &Observed, path: &Consumer) -> String {
    own_command(observed, &format!("reload --mount {} --yes", shell_quote(path.as_str())))
}

/// Returns a command line that registers the running binary of a mount, if every node still has this file.
fn register_command(observed: &Observed, mount: &ConsumerObserved, version: &str) -> Option<String> {
    let deployment = observed.deployment.as_ref().filter(|_| mount.running_version == version)?;
    let is_it = |file: &&PluginFile| !file.sha256.is_empty() && file.sha256 == mount.running_sha256;
    let file = &deployment.nodes.values().find_map(|node| node.files.iter().find(is_it))?.name;
    let has_it = |node: &NodeObserved| node.files.iter().filter(is_it).any(|other| other.name == *file);
    if !deployment.nodes.values().all(has_it) {
        return None;
    }
    let others =
        observed.catalog.iter().filter(|entry| entry.kind == mount.kind && entry.name == mount.plugin);
    let args = others.filter_map(|entry| entry.args.as_ref()).next();
    let args: String = args.into_iter().flatten().map(|arg| format!(" -args={}", shell_quote(arg))).collect();
    let version =
        if version.is_empty() { String::new() } else { format!(" -version={}", shell_quote(version)) };
    Some(format!(
        "vault plugin register{version} -sha256={} -command={}{args} {} {}",
        mount.running_sha256,
        shell_quote(file),
        mount.kind,
        shell_quote(&mount.plugin)
    ))
}

/// Severity of a problem that prevents a mount from being started.
pub(super) fn severity(mount: &ConsumerObserved) -> Severity {
    if mount.may_answer() { Severity::BreaksAtRestart } else { Severity::BreaksNow }
}

fn unregistered_versions(observed: &Observed) -> Vec<Finding> {
    if !may_read_catalog(observed) {
        return Vec::new();
    }
    let finding = |(path, mount): (&Consumer, &ConsumerObserved)| {
        let configured = observed.effective_version(mount);
        if !is_registered(observed, mount) {
            let evidence = format!(
                "it runs {} {}, and {0} is not in the catalog",
                mount.plugin,
                display_version(configured)
            );
            let finding =
                PLUGIN_NOT_REGISTERED.finding(path.as_str(), evidence).with_severity(severity(mount));
            return Some(
                register_command(observed, mount, configured)
                    .into_iter()
                    .fold(finding, Finding::with_command),
            );
        }
        // The pin has its own finding.
        if observed.pinned_version(mount.kind, &mount.plugin).is_some() {
            return None;
        }
        let is_there = observed.catalog_entry(mount.kind, &mount.plugin, configured).is_some();
        let evidence = format!(
            "it is configured for {} {}, which is not in the catalog",
            mount.plugin,
            display_version(configured)
        );
        let finding = (!is_there).then(|| {
            VERSION_NOT_REGISTERED.finding(path.as_str(), evidence).with_severity(severity(mount))
        })?;
        Some(register_command(observed, mount, configured).into_iter().fold(finding, Finding::with_command))
    };
    external_mounts(observed).filter_map(finding).collect()
}

fn unreloaded_mounts(observed: &Observed) -> Vec<Finding> {
    let finding = |(path, mount): (&Consumer, &ConsumerObserved)| {
        let configured = observed.effective_version(mount);
        let is_there = observed.catalog_entry(mount.kind, &mount.plugin, configured).is_some();
        let differs = is_there && !mount.running_version.is_empty() && configured != mount.running_version;
        let evidence = format!(
            "it runs {}, and will run {} after a restart",
            mount.running_version,
            display_version(configured)
        );
        differs.then(|| {
            NOT_RELOADED.finding(path.as_str(), evidence).with_command(reload_command(observed, path))
        })
    };
    external_mounts(observed).filter_map(finding).collect()
}

fn checksum_mismatches(observed: &Observed) -> Vec<Finding> {
    let finding = |(path, mount): (&Consumer, &ConsumerObserved)| {
        let entry = observed.catalog_entry(mount.kind, &mount.plugin, &mount.running_version)?;
        let comparable = !entry.sha256.is_empty() && !mount.running_sha256.is_empty();
        let differs = comparable && entry.sha256 != mount.running_sha256;
        let evidence = format!("it runs sha256 {}, but {} is registered", mount.running_sha256, entry.sha256);
        differs.then(|| {
            RUNNING_CHECKSUM_MISMATCH
                .finding(path.as_str(), evidence)
                .with_command(reload_command(observed, path))
        })
    };
    external_mounts(observed).filter_map(finding).collect()
}

fn unresponsive_mounts(observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut without_backend = Vec::new();
    for (path, mount) in external_mounts(observed) {
        match &mount.health {
            None | Some(MountHealth::Ok) => {}
            Some(MountHealth::NoBackend) => without_backend.push((path, mount)),
            Some(MountHealth::Error { message }) => {
                findings.push(UNRESPONSIVE.finding(path.as_str(), format!("{path}?help=1: {message}")));
            }
        }
    }
    findings.extend(no_backend(observed, &without_backend));
    findings
}

/// One finding for all mounts, because the fix interrupts the server and must run only once.
fn no_backend(observed: &Observed, mounts: &[(&Consumer, &ConsumerObserved)]) -> Option<Finding> {
    let names: Vec<&str> = mounts.iter().map(|(path, _)| path.as_str()).collect();
    let each = mounts.iter().map(|(path, mount)| {
        let plugin = format!("secret {} {}", mount.plugin, observed.effective_version(mount));
        format!("{path}?help=1, of {}, returns \"backend is nil\"", plugin.trim_end())
    });
    let evidence: Vec<String> = each.collect();
    let finding = || NO_BACKEND.finding(names.join(", "), evidence.join("; "));
    (!mounts.is_empty()).then(|| finding().with_command("vault operator step-down".to_owned()))
}

fn unversioned_mounts(observed: &Observed) -> Vec<Finding> {
    let bare = external_mounts(observed)
        .filter(|(_, mount)| observed.effective_version(mount).is_empty() && is_registered(observed, mount));
    bare.map(|(path, mount)| {
        NO_VERSION.finding(path.as_str(), format!("it runs {} without a version", mount.plugin))
    })
    .collect()
}

/// The API path that lists a mount.
fn list_path(consumer: &Consumer) -> String {
    let list = if consumer.kind() == PluginType::Auth { "sys/auth" } else { "sys/mounts" };
    format!("{}{list}", consumer.namespace())
}

fn leftover_canaries(observed: &Observed) -> Vec<Finding> {
    let paths = observed.consumers.keys().filter(|path| path.is_canary());
    paths
        .map(|path| {
            CANARY_LEFT_BEHIND
                .finding(path.as_str(), format!("{} lists it", list_path(path)))
                .with_command(path.disable_command())
        })
        .collect()
}

fn differing_standbys(observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, node) in observed.deployment.iter().flat_map(|deployment| &deployment.nodes) {
        let Some(vault) = node.server.as_ref().filter(|vault| vault.role == NodeRole::Standby) else {
            continue;
        };
        for (path, mount) in external_mounts(observed) {
            if let Some(running) = vault.running.get(path.as_str())
                && !running.version.is_empty()
                && running.version != mount.running_version
            {
                let evidence = format!(
                    "{path} runs {} on this node and {} on the active node",
                    running.version, mount.running_version
                );
                let finding = STANDBY_DIFFERS.finding(name.to_string(), evidence);
                findings.push(finding.with_command(reload_command(observed, path)));
            }
        }
    }
    findings
}
