//! Checks of leases.

use super::Check;
use super::finding::{Finding, FindingKind, Severity, VerifiedBy};
use crate::observed::Observed;

const IRREVOCABLE: FindingKind = FindingKind {
    id: "VTP-651",
    title: "the server has given up revoking some leases",
    severity: Severity::Risk,
    consequence: "Their credentials may stay valid for as long as the issuing service allows.",
    remediation: "List them and the plugin's errors with `vault read sys/leases type=irrevocable`. Fix the cause, then revoke each lease again with `vault lease revoke -sync LEASE_ID`. If the service no longer knows the credentials, remove the leases with `vault lease revoke -force -prefix`.",
    log_patterns: &["lease has consumed all retry attempts", "failed to revoke entry"],
    verified_by: VerifiedBy::E2eTest("doctor::legacy_storage::vtp_651_a_lease_that_could_not_be_revoked"),
};
const LEASE_ON_STANDBY: FindingKind = FindingKind {
    id: "VTP-652",
    title: "a standby received a request for credentials and cannot store the lease",
    severity: Severity::BreaksNow,
    consequence: "The request fails, and the credential may have been issued already.",
    remediation: "Send the request to the active node. Or use a plugin that returns `cannot write to readonly storage` on a standby before it issues anything: the server then forwards the request.",
    log_patterns: &["failed to persist lease entry: cannot write to readonly storage"],
    verified_by: VerifiedBy::KubernetesTest("doctor::openbao::vtp_652_a_plugin_leases_what_a_standby_reads"),
};

pub(super) const ALL: &[&FindingKind] = &[&IRREVOCABLE, &LEASE_ON_STANDBY];
pub(super) const CHECKS: &[Check] = &[irrevocable];

fn irrevocable(observed: &Observed) -> Vec<Finding> {
    let count = observed.irrevocable_leases.filter(|count| *count > 0);
    let finding = |count| IRREVOCABLE.finding("leases", format!("sys/leases/count returns {count}"));
    count.map(finding).into_iter().collect()
}
