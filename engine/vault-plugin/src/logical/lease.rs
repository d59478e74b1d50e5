//! Leases: how long a secret lives and what is kept to renew or revoke it.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::Map;

/// The time frame of a lease. A zero duration leaves the choice to the host (the mount's or the system's default).
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
