//! Checks whether another server has the plugins that the consumers of this one need.
//!
//! A server that lacks the plugin of a mount logs `skipping plugin-based mount entry` when it is unsealed, and starts without the mount.

use vault_api::catalog::ListedPlugin;

use super::finding::{Finding, FindingKind, Severity, Unobserved, VerifiedBy};
use super::{permissions, sort_key};
use crate::observed::{ConsumerObserved, Observed};

const PLUGIN_MISSING: FindingKind = FindingKind {
    id: "VTP-551",
    title: "the target server lacks the plugin of a mount or connection",
    severity: Severity::BreaksAtRestart,
    consequence: "The target server starts without the mount: it returns 404, and its leases are not revoked.",
    remediation: "Install the plugin on the target server and register it there before the move: under the same type and name, with the version that the mount is configured for. A mount of a builtin plugin needs an entry without a version. Or disable the mount.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest(
        "doctor::target_catalog::vtp_551_the_target_server_lacks_the_plugin_of_a_mount",
    ),
};
const VERSION_MISSING: FindingKind = FindingKind {
    id: "VTP-552",
    title: "the target server lacks the configured version of a plugin",
    severity: Severity::BreaksAtRestart,
    consequence: "The target server starts without the mount: a mount runs only the version that it is configured for, and one without a version only an entry without a version.",
    remediation: "Register that version on the target server before the move. Or move the mount with `vault-token-plugin upgrade` to a version that both servers have.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest(
        "doctor::target_catalog::vtp_552_the_target_server_lacks_the_version_of_a_mount",
    ),
};
pub(super) const ALL: &[&FindingKind] = &[&PLUGIN_MISSING, &VERSION_MISSING];

/// Types of mounts that are part of every server, and in no catalog (`vault/mount.go`).
const PARTS_OF_SERVER: [&str; 8] =
    ["system", "identity", "cubbyhole", "token", "ns_system", "ns_identity", "ns_cubbyhole", "ns_token"];

/// Returns a finding for each consumer that would not work on a server with the catalog `target`, and what could not be read.
pub fn diagnose_move(observed: &Observed, target: &[ListedPlugin]) -> (Vec<Finding>, Vec<Unobserved>) {
    let of_plugins = observed
        .consumers
        .iter()
        .filter(|(_, consumer)| !PARTS_OF_SERVER.contains(&consumer.plugin.as_str()));
    let mut findings: Vec<Finding> =
        of_plugins.filter_map(|(path, consumer)| check(observed, path.as_str(), consumer, target)).collect();
    findings.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    (findings, permissions::unread(observed))
}

fn check(
    observed: &Observed,
    path: &str,
    consumer: &ConsumerObserved,
    target: &[ListedPlugin],
) -> Option<Finding> {
    let ConsumerObserved { kind, plugin, .. } = consumer;
    let there: Vec<&ListedPlugin> =
        target.iter().filter(|listed| listed.kind == *kind && is_name(&listed.name, plugin)).collect();
    if there.is_empty() {
        let evidence =
            format!("it runs the {kind} plugin {plugin}, which the target's catalog does not list");
        return Some(PLUGIN_MISSING.finding(path, evidence));
    }
    let version = configured_version(observed, consumer);
    let can_run = |listed: &&ListedPlugin| {
        // A builtin plugin has the version of its server.
        if listed.builtin {
            version.is_empty()
        } else {
            listed.version == version || consumer.follows_latest()
        }
    };
    if there.iter().any(can_run) {
        return None;
    }
    let versions: Vec<&str> = there.iter().map(|listed| display_version(&listed.version)).collect();
    let evidence = format!(
        "it is configured for {plugin} {}, and the target's catalog lists {}",
        display_version(version),
        versions.join(", ")
    );
    Some(VERSION_MISSING.finding(path, evidence))
}

/// The version that the target server would look for; empty for a builtin plugin.
fn configured_version<'a>(observed: &'a Observed, consumer: &'a ConsumerObserved) -> &'a str {
    let version = observed.effective_version(consumer);
    if is_builtin_version(version) { "" } else { version }
}

fn is_builtin_version(version: &str) -> bool {
    version.split_once('+').is_some_and(|(_, build)| build.split('.').any(|part| part == "builtin"))
}

/// Whether a catalog lists the plugin of a mount under this name. Very old kv mounts have the type `generic`.
fn is_name(listed: &str, plugin: &str) -> bool {
    listed == plugin || (listed == "kv" && plugin == "generic")
}

fn display_version(version: &str) -> &str {
    if version.is_empty() { "without a version" } else { version }
}
