//! What a keeper tells its owner.

use std::time::Duration;

use serde::Serialize;

use crate::credential::Credential;
use crate::error::CredentialError;

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A login of ours gave a token.
    LoggedIn {
        /// How long it lives; zero for ever.
        ttl: Duration,
    },
    /// The token lives longer.
    LoginRenewed {
        /// From now on.
        ttl: Duration,
    },
    /// There is a credential, the first or another one. The one before lives on for a while.
    Issued {
        /// It.
        credential: Credential,
        /// Its lease; empty if it has none, so that it is neither renewed nor revoked.
        lease_id: String,
        /// How long it lives; zero if it has no end.
        ttl: Duration,
        /// What was wrong with the one before.
        reason: IssueReason,
        /// The server's warnings, verbatim.
        warnings: Vec<String>,
    },
    /// The lease lives longer.
    Renewed {
        /// It.
        lease_id: String,
        /// From now on.
        ttl: Duration,
    },
    /// Something failed and will be tried again.
    RetryableError {
        /// What was tried: "renew the lease".
        operation: &'static str,
        /// Why it failed.
        error: CredentialError,
    },
    /// There is no credential, and nothing more will happen.
    Failed {
        /// Why.
        error: CredentialError,
    },
}

/// Why there is another credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IssueReason {
    /// It is the first.
    First,
    /// The lease before comes to an end that no renewal moves: its longest time, or it is not renewable.
    EndOfLease,
    /// The lease before could not be renewed for so long that its end was near, or is over.
    NotRenewed,
    /// The server has ended the lease before, or refuses to renew it.
    Refused,
    /// The token that the lease before was made with comes to its end.
    EndOfLogin,
}
