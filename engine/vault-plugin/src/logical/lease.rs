//! Leases: how long a secret lives and what is kept to renew or revoke it.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::Map;

/// The time frame of a lease. A zero duration leaves the choice to the host (the mount's or the system's default).
///
/// ```
/// use std::time::Duration;
/// use vault_plugin::logical::LeaseOptions;
///
/// /// What a renewal gets: what its caller asked for, at most an hour.
/// fn wanted(lease: &LeaseOptions) -> Duration {
///     let asked = if lease.increment.is_zero() { lease.ttl } else { lease.increment };
///     asked.min(Duration::from_hours(1))
/// }
/// let lease = LeaseOptions { ttl: Duration::from_secs(60), ..LeaseOptions::default() };
/// assert_eq!(wanted(&lease).as_secs(), 60);
/// assert_eq!(wanted(&LeaseOptions { increment: Duration::from_hours(9), ..lease }).as_secs(), 3600);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseOptions {
    /// How long the lease runs from now.
    pub ttl: Duration,
    /// How long it can be extended to, counted from `issue_time`.
    pub max_ttl: Duration,
    /// Whether it can be renewed at all.
    pub renewable: bool,
    /// What the caller of a renewal asked for.
    pub increment: Duration,
    /// When the lease was issued; `None` before the host has issued it.
    pub issue_time: Option<SystemTime>,
}

/// A leased secret in a response, and again in the requests that renew or revoke it.
///
/// `internal_data` holds what identifies the secret at its origin. It is stored by the host and never shown to a
/// user, nor by `Debug`.
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
    /// How long it lives.
    pub lease: LeaseOptions,
    /// What renew and revoke get back, with `secret_type` among it.
    pub internal_data: Map,
    /// The host's id of the lease; empty in requests.
    pub lease_id: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("lease", &self.lease).finish_non_exhaustive()
    }
}
