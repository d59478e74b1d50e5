//! How long a token lives: what the role, the mount and the token service each allow.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use vault_plugin::framework::Lease;
use vault_plugin::logical::Error;

/// The time frame of one lease. Neither duration is zero, which hosts would take for "your default".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LeaseTerms {
    /// How long the lease runs until it is renewed.
    pub(crate) ttl: Duration,
    /// How long it can be extended to, from its beginning.
    pub(crate) max_ttl: Duration,
}

impl LeaseTerms {
    /// The terms of a role (a zero `max_ttl` is none of its own) within the longest lease of its mount.
    pub(crate) fn new(ttl: Duration, max_ttl: Duration, mount_max: Duration) -> LeaseTerms {
        let max_ttl = if max_ttl.is_zero() { mount_max } else { max_ttl.min(mount_max) };
        LeaseTerms { ttl: ttl.min(max_ttl), max_ttl }
    }

    /// The same terms for a token that lives no longer than `remaining`, whatever the host renews.
    pub(crate) fn capped_at(self, remaining: Duration) -> LeaseTerms {
        LeaseTerms { ttl: self.ttl.min(remaining), max_ttl: self.max_ttl.min(remaining) }
    }
}

impl From<LeaseTerms> for Lease {
    fn from(terms: LeaseTerms) -> Lease {
        Lease { ttl: terms.ttl, max_ttl: terms.max_ttl }
    }
}

/// Why a token cannot be leased by the `expires_at` of its service.
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

/// How long it is until the `expires_at` of an answer, in seconds rounded up; `None` if it says nothing.
///
/// Rounded up, since an hour that was granted a few milliseconds ago is still to be leased as an hour.
pub(crate) fn time_until_expiry(expires_at: &Value, now: Timestamp) -> Result<Option<Duration>, ExpiryError> {
    if expires_at.is_null() {
        return Ok(None);
    }
    let instant = expires_at.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let instant = instant.ok_or(ExpiryError::Unreadable)?;
    let left = Duration::try_from(instant.duration_since(now)).ok().filter(|left| !left.is_zero());
    let left = left.ok_or(ExpiryError::Past(instant))?;
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
    fn the_mount_caps_what_a_role_asks_for() {
        check((60, 120), 1000, (60, 120));
        check((60, 0), 1000, (60, 1000));
        check((60, 120), 90, (60, 90));
        check((60, 120), 30, (30, 30));
    }

    #[test]
    fn an_instant_is_as_far_away_as_the_seconds_it_began() {
        let now: Timestamp = "2026-01-01T00:00:00.5Z".parse().unwrap();
        let until = |given: Value| time_until_expiry(&given, now);
        assert_eq!(until("2026-01-01T01:00:00Z".into()), Ok(Some(seconds(3600))));
        assert_eq!(until("2026-01-01T01:00:00.5Z".into()), Ok(Some(seconds(3600))));
        assert_eq!(until("2026-01-01T00:00:00.5Z".into()), Err(ExpiryError::Past(now)));
        assert!(matches!(until("2025-01-01T00:00:00Z".into()), Err(ExpiryError::Past(_))));
        assert_eq!(until(Value::Null), Ok(None));
        assert_eq!(until("tomorrow".into()), Err(ExpiryError::Unreadable));
        assert_eq!(until(1_767_225_600.into()), Err(ExpiryError::Unreadable));
    }
}
