//! How long a token lives.

use std::time::Duration;

use crate::logical::Auth;

/// How long a token lives. Zero leaves the choice to the host.
///
/// ```
/// # use std::time::Duration;
/// # use vault_plugin::framework::TokenLifetime;
/// let an_hour_for_a_day =
///     TokenLifetime { ttl: Duration::from_hours(1), max_ttl: Duration::from_hours(24), ..TokenLifetime::default() };
/// let as_long_as_it_is_renewed_hourly =
///     TokenLifetime { period: Duration::from_hours(1), ..TokenLifetime::default() };
/// # assert_ne!(an_hour_for_a_day, as_long_as_it_is_renewed_hourly);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenLifetime {
    /// From now.
    pub ttl: Duration,
    /// From the time of the login, renewals included.
    pub max_ttl: Duration,
    /// Has the token live for ever as long as it is renewed within this time; the others do not count then.
    pub period: Duration,
}

impl TokenLifetime {
    pub(crate) fn apply_to(self, auth: &mut Auth) {
        auth.lease.ttl = self.ttl;
        auth.lease.max_ttl = self.max_ttl;
        auth.period = self.period;
    }
}
