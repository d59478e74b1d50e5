//! Leases: the lifetime of a secret, and the data to renew or revoke it.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::Map;

/// The lifetime of a lease. Zero selects the default of the mount or the system.
///
/// ```
/// use std::time::Duration;
/// use vault_plugin::logical::LeaseOptions;
///
/// /// Grants the requested increment, up to one hour.
/// fn granted(lease: &LeaseOptions) -> Duration {
///     let requested = if lease.increment.is_zero() { lease.ttl } else { lease.increment };
///     requested.min(Duration::from_hours(1))
/// }
/// let lease = LeaseOptions { ttl: Duration::from_secs(60), ..LeaseOptions::default() };
/// assert_eq!(granted(&lease).as_secs(), 60);
/// assert_eq!(granted(&LeaseOptions { increment: Duration::from_hours(9), ..lease }).as_secs(), 3600);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseOptions {
    /// The TTL of the lease, from now.
    pub ttl: Duration,
    /// The maximum TTL, from `issue_time`.
    pub max_ttl: Duration,
    /// Whether the lease can be renewed.
    pub renewable: bool,
    /// The increment that a renewal requests.
    pub increment: Duration,
    /// When the lease was issued, or `None` before the host has issued it.
    pub issue_time: Option<SystemTime>,
}

/// A leased secret in a response, and in the requests that renew or revoke it.
///
/// `internal_data` identifies the secret at its origin. The host stores it and never shows it to users. `Debug`
/// does not show it either.
///
/// ```
/// use serde_json::json;
/// use vault_plugin::framework::{IntoResponse, LeasedSecret, Lease};
/// # use vault_plugin::logical::Error;
///
/// let issued = LeasedSecret::new("ticket", json!({"code": "A7"}), json!({"seat": 7}), Lease::default());
/// let secret = issued.into_response()?.unwrap().secret.unwrap();
/// assert_eq!((&secret.internal_data["seat"], &secret.internal_data["secret_type"]), (&json!(7), &json!("ticket")));
/// assert!(!format!("{secret:?}").contains("seat"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct Secret {
    /// The lifetime of the secret.
    pub lease: LeaseOptions,
    /// The input of renew and revoke, including `secret_type`.
    pub internal_data: Map,
    /// The id of the lease. Empty in requests.
    pub lease_id: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("lease", &self.lease).finish_non_exhaustive()
    }
}
