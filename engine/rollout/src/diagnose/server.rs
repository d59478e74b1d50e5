//! Checks of the server itself.

use std::collections::BTreeSet;

use super::Check;
use super::finding::{Finding, FindingKind, Severity, VerifiedBy};
use crate::observed::{Observed, PluginDirectory};

const NOT_INITIALIZED: FindingKind = FindingKind {
    id: "VTP-701",
    title: "the server is not initialised",
    severity: Severity::BreaksNow,
    consequence: "The server serves no requests.",
    remediation: "Run `vault operator init`.",
    log_patterns: &["Vault is not initialized", "security barrier not initialized"],
    verified_by: VerifiedBy::E2eTest("doctor::server::vtp_701_the_server_is_not_initialised"),
};
const SEALED: FindingKind = FindingKind {
    id: "VTP-702",
    title: "the server is sealed",
    severity: Severity::BreaksNow,
    consequence: "The server serves no requests, and nothing else about it can be observed.",
    remediation: "Run `vault operator unseal` with the required number of keys.",
    log_patterns: &["Vault is sealed"],
    verified_by: VerifiedBy::E2eTest("doctor::server::vtp_702_the_server_is_sealed"),
};
const NO_ACTIVE_NODE: FindingKind = FindingKind {
    id: "VTP-703",
    title: "no node is active",
    severity: Severity::BreaksNow,
    consequence: "Requests fail until a node becomes active.",
    remediation: "Wait a moment. If it persists, check the server logs for errors of the storage or of the connections between nodes.",
    log_patterns: &["local node not active but active cluster node not found"],
    verified_by: VerifiedBy::NotReproduced("it lasts only a moment"),
};
const NO_PLUGIN_DIRECTORY: FindingKind = FindingKind {
    id: "VTP-704",
    title: "the server has no plugin directory configured",
    severity: Severity::BreaksAtRestart,
    consequence: "No external plugin can be registered or started.",
    remediation: "Set plugin_directory in the server's configuration to a real path, and restart the server.",
    log_patterns: &[
        "could not set plugin, plugin directory is not configured",
        "plugin directory is not configured",
    ],
    verified_by: VerifiedBy::E2eTest("doctor::server::vtp_704_the_server_has_no_plugin_directory"),
};
const MIXED_VERSIONS: FindingKind = FindingKind {
    id: "VTP-705",
    title: "nodes run different server versions",
    severity: Severity::Note,
    consequence: "After a failover the plugins run on a different server version.",
    remediation: "Finish the upgrade of the servers before you change plugins.",
    log_patterns: &[],
    verified_by: VerifiedBy::NotReproduced("it needs two versions of a server"),
};

const SERVER_UNREACHABLE: FindingKind = FindingKind {
    id: "VTP-706",
    title: "no server answers at the address",
    severity: Severity::BreaksNow,
    consequence: "No request is served, and nothing about the server can be observed.",
    remediation: "Start the server, or pass its address in VAULT_ADDR or with --address.",
    log_patterns: &["/v1/*: connect: connection refused"],
    verified_by: VerifiedBy::E2eTest("doctor::known_messages::vtp_706_nothing_answers_at_the_address"),
};

pub(super) const ALL: &[&FindingKind] =
    &[&NOT_INITIALIZED, &SEALED, &NO_ACTIVE_NODE, &NO_PLUGIN_DIRECTORY, &MIXED_VERSIONS, &SERVER_UNREACHABLE];
pub(super) const CHECKS: &[Check] = &[state, plugin_directory, mixed_versions];

fn state(observed: &Observed) -> Vec<Finding> {
    let server = &observed.server;
    let kind = match (server.initialized, server.sealed, server.has_active_node) {
        (false, _, _) => &NOT_INITIALIZED,
        (true, true, _) => &SEALED,
        (true, false, false) => &NO_ACTIVE_NODE,
        (true, false, true) => return Vec::new(),
    };
    vec![kind.finding(server.address.clone(), "as reported by sys/health")]
}

fn plugin_directory(observed: &Observed) -> Vec<Finding> {
    if observed.plugin_directory != PluginDirectory::NotConfigured {
        return Vec::new();
    }
    let finding = NO_PLUGIN_DIRECTORY
        .finding(observed.server.address.clone(), "sys/config/state/sanitized shows no plugin_directory");
    let needed = !observed.catalog.is_empty()
        || observed.consumers.values().any(|mount| !mount.running_sha256.is_empty());
    vec![if needed { finding } else { finding.with_severity(Severity::Note) }]
}

fn mixed_versions(observed: &Observed) -> Vec<Finding> {
    let nodes = observed.deployment.iter().flat_map(|deployment| &deployment.nodes);
    let servers: Vec<(String, &str)> = nodes
        .filter_map(|(name, node)| Some((name.to_string(), node.server.as_ref()?.version.as_str())))
        .collect();
    let different: BTreeSet<&str> = servers.iter().map(|(_, version)| *version).collect();
    if different.len() < 2 {
        return Vec::new();
    }
    let each: Vec<String> = servers.iter().map(|(name, version)| format!("{name} runs {version}")).collect();
    vec![MIXED_VERSIONS.finding("nodes", each.join(", "))]
}
