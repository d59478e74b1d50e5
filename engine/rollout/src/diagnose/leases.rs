//! Leases, and what becomes of them.

use super::Check;
use super::finding::{Finding, FindingKind, Severity, VerifiedBy};
use crate::observed::Observed;

const IRREVOCABLE: FindingKind = FindingKind {
    id: "VTP-651",
    title: "leases could not be revoked, and the server has given up",
    severity: Severity::Risk,
    consequence: "Their credentials may live on, for as long as their service lets them.",
    remediation: "`vault read sys/leases type=irrevocable` names them and what their plugin said. Cure that, and revoke each again with \
           `vault lease revoke -sync LEASE_ID`. If the service has forgotten them, `vault lease revoke -force -prefix` makes the server \
           forget them too.",
    log_patterns: &["lease has consumed all retry attempts", "failed to revoke entry"],
    verified_by: VerifiedBy::E2eTest("doctor::legacy_storage::vtp_651_a_lease_that_could_not_be_revoked"),
};
const LEASE_ON_STANDBY: FindingKind = FindingKind {
    id: "VTP-652",
    title: "a standby was asked for a credential and cannot store its lease",
    severity: Severity::BreaksNow,
    consequence: "The request fails, and the credential may have been issued already.",
    remediation: "Ask the active node, or take a plugin that refuses on a standby with `cannot write to readonly storage` before it issues \
           anything: then the server forwards the request.",
    log_patterns: &["failed to persist lease entry: cannot write to readonly storage"],
    verified_by: VerifiedBy::KubernetesTest("doctor::openbao::vtp_652_a_plugin_leases_what_a_standby_reads"),
};

pub(super) const ALL: &[&FindingKind] = &[&IRREVOCABLE, &LEASE_ON_STANDBY];
pub(super) const CHECKS: &[Check] = &[irrevocable];

fn irrevocable(observed: &Observed) -> Vec<Finding> {
    let count = observed.irrevocable_leases.filter(|count| *count > 0);
    let finding = |count| IRREVOCABLE.finding("leases", format!("sys/leases/count says {count}"));
    count.map(finding).into_iter().collect()
}
