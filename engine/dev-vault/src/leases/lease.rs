//! The record of a lease.

use std::time::{Duration, SystemTime};

use super::login_auth::LoginAuth;
use serde::{Deserialize, Serialize};
use vault_plugin::logical::{LeaseOptions, Map, Operation, Request, Secret};

/// Number of failed revocations after which a lease is irrevocable.
const MAX_REVOKE_ATTEMPTS: u32 = 6;

/// A stored lease. There is no `Debug`, because it contains the data that the engine returned.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Lease {
    pub(crate) id: String,
    /// The path that issued it.
    pub(crate) path: String,
    /// The hash of the token of the request that issued it.
    pub(crate) token: Option<String>,
    pub(crate) kind: LeaseKind,
    pub(crate) issued: SystemTime,
    /// Time of expiry; `None` if it never expires.
    pub(crate) expires: Option<SystemTime>,
    pub(crate) renewed: Option<SystemTime>,
    /// Number of failed revocations.
    pub(crate) attempts: u32,
    /// The error of the last failed revocation; after the last attempt the lease is irrevocable.
    pub(crate) error: Option<String>,
}

/// What is revoked with the lease.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) enum LeaseKind {
    Token {
        hash: String,
        ttl: Duration,
        /// The login that created the token; `None` for a token of the token store.
        #[serde(default)]
        login: Option<Box<LoginAuth>>,
    },
    Secret {
        data: Option<Map>,
        internal_data: Map,
        ttl: Duration,
        max_ttl: Duration,
        renewable: bool,
    },
}

impl Lease {
    pub(crate) fn is_irrevocable(&self) -> bool {
        self.attempts >= MAX_REVOKE_ATTEMPTS
    }

    pub(crate) fn is_renewable(&self) -> bool {
        matches!(self.kind, LeaseKind::Secret { renewable: true, .. })
    }

    /// The time at which it must be revoked; `None` if it never expires or is irrevocable.
    pub(super) fn due(&self) -> Option<SystemTime> {
        self.expires.filter(|_| !self.is_irrevocable())
    }

    /// The request that renews or revokes it; `None` for the lease of a token.
    pub(crate) fn request(&self, operation: Operation, path: &str, increment: Duration) -> Option<Request> {
        let LeaseKind::Secret { data, internal_data, ttl, max_ttl, renewable } = &self.kind else {
            return None;
        };
        let mut request = Request::new(operation.clone(), path, data.clone().unwrap_or_default());
        request.secret = Some(Secret {
            lease: LeaseOptions {
                ttl: *ttl,
                max_ttl: *max_ttl,
                renewable: *renewable,
                increment,
                issue_time: Some(self.issued),
            },
            internal_data: internal_data.clone(),
            // Vault stores the ID with the secret only in a renewal.
            lease_id: match operation {
                Operation::Revoke if self.renewed.is_some() => self.id.clone(),
                _ => String::new(),
            },
        });
        Some(request)
    }
}
