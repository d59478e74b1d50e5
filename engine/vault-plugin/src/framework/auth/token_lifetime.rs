//! The lifetime of a token.

use std::time::Duration;

use crate::logical::Auth;

/// The lifetime of a token. Zero selects the host's default.
///
/// ```
/// # use std::time::Duration;
/// # use vault_plugin::framework::TokenLifetime;
/// let hourly_for_a_day =
///     TokenLifetime { ttl: Duration::from_hours(1), max_ttl: Duration::from_hours(24), ..TokenLifetime::default() };
/// let periodic =
///     TokenLifetime { period: Duration::from_hours(1), ..TokenLifetime::default() };
/// # assert_ne!(hourly_for_a_day, periodic);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenLifetime {
    /// The TTL, from now.
    pub ttl: Duration,
    /// The maximum TTL, from the login, including renewals.
    pub max_ttl: Duration,
    /// The period of a periodic token, which does not expire as long as it is renewed within the period. The other values are then ignored.
    pub period: Duration,
}

impl TokenLifetime {
    pub(crate) fn apply_to(self, auth: &mut Auth) {
        auth.lease.ttl = self.ttl;
        auth.lease.max_ttl = self.max_ttl;
        auth.period = self.period;
    }
}
