//! Events of a [`LifetimeWatcher`](crate::LifetimeWatcher).

use std::time::Duration;

use serde::Serialize;

use crate::credential::Credential;
use crate::error::CredentialError;

/// An event in the life of a credential.
#[derive(Debug)]
pub enum Event {
    /// The watcher has logged in.
    LoggedIn {
        /// TTL of the token; zero if it does not expire.
        ttl: Duration,
    },
    /// The token was renewed.
    LoginRenewed {
        /// New TTL.
        ttl: Duration,
    },
    /// A credential was issued. The previous one stays valid until
    /// [`LifetimeWatcher::revoke_previous`](crate::LifetimeWatcher::revoke_previous) or its expiry.
    Issued {
        /// The credential.
        credential: Credential,
        /// ID of its lease; empty if it has none. Without a lease it is neither renewed nor revoked.
        lease_id: String,
        /// TTL of the lease; zero if it does not expire.
        ttl: Duration,
        /// Why it was requested.
        reason: IssueReason,
        /// The warnings of the server, verbatim.
        warnings: Vec<String>,
    },
    /// The lease was renewed.
    Renewed {
        /// ID of the lease.
        lease_id: String,
        /// New TTL.
        ttl: Duration,
    },
    /// An operation failed and will be retried.
    RetryableError {
        /// The operation in the imperative: "renew the lease".
        operation: &'static str,
        /// The error.
        error: CredentialError,
    },
    /// The first credential could not be issued. No further event follows.
    Failed {
        /// The error.
        error: CredentialError,
    },
}

/// Why a credential was requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IssueReason {
    /// It is the first one.
    First,
    /// The previous lease is about to expire and cannot be extended: it is not renewable, or reaches its maximum TTL.
    EndOfLease,
    /// The renewals of the previous lease failed until it was about to expire, or had expired.
    NotRenewed,
    /// The server has revoked the previous lease, or refuses to renew it.
    Refused,
    /// The token that created the previous lease has been replaced.
    EndOfLogin,
}
