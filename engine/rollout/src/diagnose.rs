//! What is wrong, how that is seen, what it breaks, and what cures it. A snapshot is all that is looked at.

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

/// A look at a snapshot for one kind of failure.
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

/// Everything that is wrong, in the order in which it is to be cured, and what could not be looked at.
pub fn diagnose(observed: &Observed) -> (Vec<Finding>, Vec<Unobserved>) {
    let checks = CHECKS.into_iter().flatten();
    let mut findings: Vec<Finding> = checks.flat_map(|check| check(observed)).collect();
    findings.sort_by(|a, b| sort_key(a).cmp(&sort_key(b)));
    (findings, permissions::unobserved(observed))
}

/// The worst first, and of two that are as bad what has to be cured first.
fn sort_key(finding: &Finding) -> (Severity, bool, &str, &str) {
    (finding.severity, finding.id == mounts::NO_BACKEND.id, finding.id, &finding.subject)
}

/// All that is known of failures, by id.
pub fn finding_kinds() -> Vec<&'static FindingKind> {
    let rooms = [
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
    let mut all: Vec<&FindingKind> = rooms.into_iter().flatten().copied().collect();
    all.sort_by_key(|kind| kind.id);
    all
}
