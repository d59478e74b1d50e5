//! The lifetime of a token, within the limits of the role, the mount and the token service.

use std::time::Duration;

use jiff::Timestamp;
use vault_plugin::framework::Lease;
use vault_plugin::logical::Error;

/// The TTLs of one lease. Neither is zero, because a host would replace zero with its default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseTerms {
    /// The TTL of the lease.
    pub(crate) ttl: Duration,
    /// The maximum TTL, from the issue of the lease.
    pub(crate) max_ttl: Duration,
}

impl LeaseTerms {
    /// Returns the terms of a role within the maximum lease TTL of its mount. A zero `max_ttl` is unset.
    pub(crate) fn new(ttl: Duration, max_ttl: Duration, mount_max: Duration) -> LeaseTerms {
        let max_ttl = if max_ttl.is_zero() { mount_max } else { max_ttl.min(mount_max) };
        LeaseTerms { ttl: ttl.min(max_ttl), max_ttl }
    }

    /// Returns the terms of a request for a shorter TTL. It caps both TTLs, so renewals do not extend it.
    pub(crate) fn narrowed_to(self, ttl: Duration) -> Result<LeaseTerms, Error> {
        if ttl > self.ttl {
            return Err(Error::invalid(format!(
                "ttl must not be longer than that of the role, {}s",
                self.ttl.as_secs()
            )));
        }
        Ok(self.capped_at(ttl))
    }

    /// Caps both TTLs to the remaining lifetime of the token.
    pub(crate) fn capped_at(self, remaining: Duration) -> LeaseTerms {
        LeaseTerms { ttl: self.ttl.min(remaining), max_ttl: self.max_ttl.min(remaining) }
    }
}

impl From<LeaseTerms> for Lease {
    fn from(terms: LeaseTerms) -> Lease {
        Lease { ttl: terms.ttl, max_ttl: terms.max_ttl }
    }
}

/// The token has expired already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token service says that the token ended at {0}; compare its clock with this node's")]
pub(crate) struct AlreadyExpired(Timestamp);

impl From<AlreadyExpired> for Error {
    fn from(error: AlreadyExpired) -> Error {
        Error::internal(error.to_string())
    }
}

/// Returns the time until a token expires, or `None` if no expiry is known.
///
/// The time is rounded up to seconds, so that an hour that was granted some milliseconds ago is leased as an hour.
pub(crate) fn time_until_expiry(
    expires: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Duration>, AlreadyExpired> {
    let Some(instant) = expires else { return Ok(None) };
    let left = Duration::try_from(instant.duration_since(now)).ok().filter(|left| !left.is_zero());
    let left = left.ok_or(AlreadyExpired(instant))?;
    Ok(Some(Duration::from_secs(left.as_secs() + u64::from(left.subsec_nanos() > 0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(role: (u64, u64), mount_max: u64, expected: (u64, u64)) {
        let terms = LeaseTerms::new(seconds(role.0), seconds(role.1), seconds(mount_max));
        assert_eq!(terms, LeaseTerms { ttl: seconds(expected.0), max_ttl: seconds(expected.1) });
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn the_mount_limits_the_ttls_of_a_role() {
        check((60, 120), 1000, (60, 120));
        check((60, 0), 1000, (60, 1000));
        check((60, 120), 90, (60, 90));
        check((60, 120), 30, (30, 30));
    }

    #[test]
    fn a_request_narrows_the_terms_and_never_widens_them() {
        let terms = LeaseTerms::new(seconds(60), seconds(120), seconds(1000));
        let narrowed = terms.narrowed_to(seconds(30)).unwrap();
        assert_eq!(narrowed, LeaseTerms { ttl: seconds(30), max_ttl: seconds(30) });
        assert_eq!(terms.narrowed_to(seconds(60)).unwrap().ttl, seconds(60));
        assert!(terms.narrowed_to(seconds(61)).unwrap_err().to_string().contains("60s"));
    }

    #[test]
    fn the_time_until_an_expiry_is_rounded_up() {
        let now: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let until = |given: &str| time_until_expiry(Some(given.parse().unwrap()), now);
        assert_eq!(until("2026-01-01T01:00:00Z"), Ok(Some(seconds(3600))));
        assert_eq!(until("2026-01-01T01:00:00.5Z"), Ok(Some(seconds(3600))));
        assert_eq!(until("2026-01-01T00:00:00.5Z"), Err(AlreadyExpired(now)));
        assert!(until("2025-01-01T00:00:00Z").is_err());
        assert_eq!(time_until_expiry(None, now), Ok(None));
    }
}
