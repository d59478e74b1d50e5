//! Derives findings from an [`Observed`]: the problem, its evidence, its consequence and its remediation.

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
#[cfg(test)]
mod tests;

pub use self::binary::diagnose_binary;
pub use self::explain::{ExplainedLine, explain, explain_log};
pub use self::finding::{Finding, FindingKind, Severity, Unobserved, VerifiedBy};

use crate::observed::Observed;

/// A check of the observed state for one kind of problem.
type Check = fn(&Observed) -> Vec<Finding>;

const CHECKS: [&[Check]; 9] = [
    server::CHECKS,
    cluster::CHECKS,
    files::CHECKS,
    catalog::CHECKS,
    pins::CHECKS,
    mounts::CHECKS,
    processes::CHECKS,
    leases::CHECKS,
    permissions::CHECKS,
];

/// Returns all findings, in the order in which to fix them, and what could not be observed.
pub fn diagnose(observed: &Observed) -> (Vec<Finding>, Vec<Unobserved>) {
    let checks = CHECKS.into_iter().flatten();
    let mut findings: Vec<Finding> = checks.flat_map(|check| check(observed)).collect();
    findings.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    (findings, permissions::unobserved(observed))
}

/// Most severe first; among equal severities, prerequisites first.
fn sort_key(finding: &Finding) -> (Severity, bool, &str, &str) {
    (finding.severity, finding.id == mounts::NO_BACKEND.id, finding.id, &finding.subject)
}

/// Returns all kinds of findings, sorted by id.
pub fn finding_kinds() -> Vec<&'static FindingKind> {
    let groups = [
        binary::ALL,
        plugin::ALL,
        files::ALL,
        catalog::ALL,
        pins::ALL,
        mounts::ALL,
        processes::ALL,
        leases::ALL,
        server::ALL,
        cluster::ALL,
        permissions::ALL,
    ];
    let mut all: Vec<&FindingKind> = groups.into_iter().flatten().copied().collect();
    all.sort_by_key(|kind| kind.id);
    all
}
