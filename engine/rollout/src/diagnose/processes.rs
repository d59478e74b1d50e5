//! Processes that run from the plugin directory.

use super::Check;
use super::finding::{Finding, Known, Severity, Shown, on};
use crate::observed::Observed;

const ORPHAN: Known = Known {
    id: "VTP-601",
    title: "a plugin runs whose server is gone",
    severity: Severity::Risk,
    consequence: "It keeps memory, connections and credentials, and serves nobody.",
    cure: "End it.",
    says: &[],
    shown: Shown::OnServer("doctor::server::vtp_601_a_plugin_whose_server_is_gone"),
};
const SHUT_DOWN: Known = Known {
    id: "VTP-602",
    title: "a plugin process has ended",
    severity: Severity::BreaksNow,
    consequence: "The request fails; the server starts the plugin again for the next one.",
    cure: "Look for what ended it: the kernel's log for lack of memory, the container's limits, the plugin's last lines in the server's log.",
    says: &["plugin is shut down"],
    shown: Shown::OnSnapshot("a server starts the plugin again before anything can be seen"),
};
const SOCKET_GONE: Known = Known {
    id: "VTP-603",
    title: "the socket of a plugin was removed",
    severity: Severity::BreaksNow,
    consequence: "The plugin runs and cannot be reached.",
    cure: "Reload the mount, and give the server a TMPDIR that nothing cleans up.",
    says: &["dial unix *: connect: no such file or directory", "dial unix *: connect: connection refused"],
    shown: Shown::OnSnapshot("the server holds its connection open"),
};

pub(super) const ALL: &[&Known] = &[&ORPHAN, &SHUT_DOWN, &SOCKET_GONE];
pub(super) const CHECKS: &[Check] = &[orphans];

fn orphans(observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, node) in observed.site.iter().flat_map(|site| &site.nodes) {
        for pid in &node.oddities.orphans {
            let process = node.processes.iter().find(|process| process.pid == *pid);
            let file = process.map_or("a plugin", |process| process.file.as_str());
            let evidence = format!("process {pid} runs {file}, and its parent is no server");
            let found = ORPHAN.at(name.to_string(), evidence);
            let kill = on(observed, name, &format!("kill {pid}"));
            findings.push(kill.into_iter().fold(found, Finding::run));
        }
    }
    findings
}
