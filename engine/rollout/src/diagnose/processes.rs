//! Checks of the processes that run files of the plugin directory.

use super::Check;
use super::finding::{Finding, FindingKind, Severity, VerifiedBy, shell_command_on_node};
use crate::observed::Observed;

const ORPHAN: FindingKind = FindingKind {
    id: "VTP-601",
    title: "a plugin process outlived its server",
    severity: Severity::Risk,
    consequence: "It holds memory, connections and credentials, and no server uses it.",
    remediation: "Terminate the process.",
    log_patterns: &[],
    verified_by: VerifiedBy::E2eTest("doctor::server::vtp_601_a_plugin_whose_server_is_gone"),
};
const PROCESS_EXITED: FindingKind = FindingKind {
    id: "VTP-602",
    title: "a plugin process exited",
    severity: Severity::BreaksNow,
    consequence: "The request fails. The server starts the plugin again for the next request.",
    remediation: "Find the cause: an out-of-memory kill in the kernel log, the container's limits, or the plugin's last lines in the server log.",
    log_patterns: &["plugin is shut down"],
    verified_by: VerifiedBy::NotReproduced(
        "a server starts the plugin again before the failure can be observed",
    ),
};
const SOCKET_REMOVED: FindingKind = FindingKind {
    id: "VTP-603",
    title: "the socket of a plugin was removed",
    severity: Severity::BreaksNow,
    consequence: "The plugin runs but cannot be reached.",
    remediation: "Reload the mount, and set TMPDIR of the server to a directory without automatic cleanup.",
    log_patterns: &[
        "dial unix *: connect: no such file or directory",
        "dial unix *: connect: connection refused",
    ],
    verified_by: VerifiedBy::NotReproduced("the server keeps its connection open"),
};

pub(super) const ALL: &[&FindingKind] = &[&ORPHAN, &PROCESS_EXITED, &SOCKET_REMOVED];
pub(super) const CHECKS: &[Check] = &[orphans];

fn orphans(observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, node) in observed.deployment.iter().flat_map(|deployment| &deployment.nodes) {
        for pid in &node.file_issues.orphans {
            let process = node.processes.iter().find(|process| process.pid == *pid);
            let file = process.map_or("a plugin", |process| process.file.as_str());
            let evidence = format!("process {pid} runs {file}, and its parent is not a server");
            let found = ORPHAN.finding(name.to_string(), evidence);
            let kill = shell_command_on_node(observed, name, &format!("kill {pid}"));
            findings.push(kill.into_iter().fold(found, Finding::with_command));
        }
    }
    findings
}
