//! The lifetime of a token, within the limits of the role, the mount and the token service.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
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

    /// Limits both TTLs to the remaining lifetime of the token.
    pub(crate) fn capped_at(self, remaining: Duration) -> LeaseTerms {
        LeaseTerms { ttl: self.ttl.min(remaining), max_ttl: self.max_ttl.min(remaining) }
    }
}

impl From<LeaseTerms> for Lease {
    fn from(terms: LeaseTerms) -> Lease {
        Lease { ttl: terms.ttl, max_ttl: terms.max_ttl }
    }
}

/// An invalid `expires_at` of the token service.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ExpiryError {
    #[error("the token service answered with an expires_at that is not an RFC 3339 time")]
    Unreadable,
    #[error("the token service says that the token ended at {0}; compare its clock with this node's")]
    Past(Timestamp),
}

impl From<ExpiryError> for Error {
    fn from(error: ExpiryError) -> Error {
        Error::internal(error.to_string())
    }
}

/// Returns the time until `expires_at` in whole seconds, or `None` if it is null.
///
/// Rounds up, so that an hour that was granted a few milliseconds ago is still leased as one hour.
pub(crate) fn time_until_expiry(expires_at: &Value, now: Timestamp) -> Result<Option<Duration>, ExpiryError> {
    if expires_at.is_null() {
        return Ok(None);
    }
    let instant = expires_at.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let instant = instant.ok_or(ExpiryError::Unreadable)?;
    let remaining =
        Duration::try_from(instant.duration_since(now)).ok().filter(|remaining| !remaining.is_zero());
    let remaining = remaining.ok_or(ExpiryError::Past(instant))?;
    Ok(Some(Duration::from_secs(remaining.as_secs() + u64::from(remaining.subsec_nanos() > 0))))
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
    fn the_time_until_an_expiry_is_rounded_up() {
        let now: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let until = |expires_at: Value| time_until_expiry(&expires_at, now);
        assert_eq!(until("2026-01-01T01:00:00Z".into()), Ok(Some(seconds(3600))));
        assert_eq!(until("2026-01-01T01:00:00.5Z".into()), Ok(Some(seconds(3600))));
        assert_eq!(until("2026-01-01T00:00:00.5Z".into()), Err(ExpiryError::Past(now)));
        assert!(matches!(until("2025-01-01T00:00:00Z".into()), Err(ExpiryError::Past(_))));
        assert_eq!(until(Value::Null), Ok(None));
        assert_eq!(until("tomorrow".into()), Err(ExpiryError::Unreadable));
        assert_eq!(until(1_767_225_600.into()), Err(ExpiryError::Unreadable));
    }
}
