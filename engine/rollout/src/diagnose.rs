//! Derives findings from an [`Observed`]: the problem, its evidence, its consequence and its remediation.
//!
//! The ids are grouped by subject: 10x binaries, 15x and 16x messages of servers and kernels, 2xx files, 3xx catalog, 4xx pins, 50x mounts,
//! 55x moves to another server,
//! 6xx processes and leases, 7xx the server, 8xx the cluster, 9xx permissions.

mod binary;
mod catalog;
mod cluster;
mod explain;
mod files;
mod finding;
mod leases;
mod mounts;
mod permissions;
mod pins;
mod plugin;
mod processes;
mod server;
mod target;
#[cfg(test)]
mod tests;

pub use self::binary::diagnose_binary;
pub use self::explain::{ExplainedLine, explain, explain_log};
pub use self::finding::{Finding, FindingKind, Severity, Unobserved, VerifiedBy};
pub use self::target::diagnose_move;

use crate::observed::Observed;

/// A check of the observed state for one kind of problem.
type Check = fn(&Observed) -> Vec<Finding>;

/// The kinds of findings of each subject, and its checks. Binaries are checked by
/// [`diagnose_binary`], moves by [`diagnose_move`], and messages by [`explain()`].
const SUBJECTS: [(&[&FindingKind], &[Check]); 12] = [
    (server::ALL, server::CHECKS),
    (cluster::ALL, cluster::CHECKS),
    (files::ALL, files::CHECKS),
    (catalog::ALL, catalog::CHECKS),
    (pins::ALL, pins::CHECKS),
    (mounts::ALL, mounts::CHECKS),
    (processes::ALL, processes::CHECKS),
    (leases::ALL, leases::CHECKS),
    (permissions::ALL, permissions::CHECKS),
    (binary::ALL, &[]),
    (plugin::ALL, &[]),
    (target::ALL, &[]),
];

/// Returns all findings, in the order in which to fix them, and what could not be observed.
pub fn diagnose(observed: &Observed) -> (Vec<Finding>, Vec<Unobserved>) {
    let checks = SUBJECTS.into_iter().flat_map(|(_, checks)| checks);
    let mut findings: Vec<Finding> = checks.flat_map(|check| check(observed)).collect();
    findings.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    (findings, permissions::unobserved(observed))
}

/// Most severe first. Among equal severities a mount without a backend is last, because another finding may explain it.
fn sort_key(finding: &Finding) -> (Severity, bool, &str, &str) {
    (finding.severity, finding.id == mounts::NO_BACKEND.id, finding.id, &finding.subject)
}

/// Returns all kinds of findings, sorted by id.
pub fn finding_kinds() -> Vec<&'static FindingKind> {
    let mut all: Vec<&FindingKind> = SUBJECTS.into_iter().flat_map(|(kinds, _)| kinds).copied().collect();
    all.sort_by_key(|kind| kind.id);
    all
}

/// Whether a reload of its mount fixes a finding: the version that the mount will run is registered, and was configured by a user.
pub fn is_fixed_by_reload(finding: &Finding) -> bool {
    mounts::FIXED_BY_RELOAD.contains(&finding.id)
}
