//! Tries a mount: issues a credential, looks at its lease, renews it, revokes it, and proves that it is gone.

use serde::Serialize;
use vault_api::leases::{Lookup, Renew, Revoke};
use vault_api::{CallError, Client, logical};

use crate::event::Event;

/// What the trial showed. No value of the credential is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SmokeReport {
    /// Full path.
    pub path: String,
    /// Names of the fields that came back.
    pub fields: Vec<String>,
    /// The lease, where there was one.
    pub lease: Option<SmokeLease>,
}

/// A lease that was issued and is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SmokeLease {
    /// As the server knew it after it was issued.
    pub ttl_seconds: u64,
    /// After a renewal; `None` when it is not renewable.
    pub renewed_seconds: Option<u64>,
}

/// A trial that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SmokeError {
    /// Reading failed.
    #[error("could not read {path}")]
    Read {
        /// Full path.
        path: String,
        /// Why not.
        #[source]
        source: CallError,
    },
    /// The path has neither a lease nor data.
    #[error("{path} returned neither a lease nor data")]
    NoData {
        /// Full path.
        path: String,
    },
    /// The server does not know the lease it gave.
    #[error("the server does not know the lease that {path} returned")]
    UnknownLease {
        /// Full path.
        path: String,
    },
    /// The lease could not be looked up or renewed. It is revoked.
    #[error("could not {what} the lease that {path} returned")]
    Lease {
        /// What was tried.
        what: &'static str,
        /// Full path.
        path: String,
        /// Why not.
        #[source]
        source: CallError,
    },
    /// The lease could not be revoked and may live on.
    #[error("could not revoke the lease {lease_id}")]
    RevokeFailed {
        /// Which one.
        lease_id: String,
        /// Why not.
        #[source]
        source: CallError,
    },
    /// The server said that the lease is revoked, and still has it.
    #[error("the lease {lease_id} is still there after it was revoked")]
    NotRevoked {
        /// Which one.
        lease_id: String,
    },
}

impl SmokeError {
    /// The call that failed; `None` where the server answered, and not as it should.
    pub(crate) fn call_error(&self) -> Option<&CallError> {
        match self {
            Self::Read { source, .. } | Self::Lease { source, .. } | Self::RevokeFailed { source, .. } => {
                Some(source)
            }
            Self::NoData { .. } | Self::UnknownLease { .. } | Self::NotRevoked { .. } => None,
        }
    }

    /// The lease that may live on.
    pub fn unrevoked_lease(&self) -> Option<&str> {
        match self {
            Self::RevokeFailed { lease_id, .. } | Self::NotRevoked { lease_id } => Some(lease_id),
            Self::Read { .. } | Self::NoData { .. } | Self::UnknownLease { .. } | Self::Lease { .. } => None,
        }
    }
}

/// What a person has to do about a [lease that may live on](SmokeError::unrevoked_lease), in a sentence or two.
pub fn revoke_hint(lease: &str) -> String {
    format!("A credential may live on. Revoke it with `vault-token-plugin creds revoke {lease}`.")
}

/// Reads `path` (a full path) and undoes what that does. The lease is revoked on every way out; do not drop the future before
/// it ends.
pub async fn run_smoke_test(
    client: &Client,
    path: &str,
    listener: &mut dyn FnMut(&Event),
) -> Result<SmokeReport, SmokeError> {
    let reply = client
        .send(&logical::Read { path: path.to_owned() })
        .await
        .map_err(|source| SmokeError::Read { path: path.to_owned(), source })?
        .ok_or_else(|| SmokeError::NoData { path: path.to_owned() })?;
    let fields: Vec<String> = reply.data.0.keys().cloned().collect();
    let (lease_id, renewable) = (reply.lease_id, reply.renewable);
    drop(reply.data);
    if lease_id.is_empty() {
        return if fields.is_empty() {
            Err(SmokeError::NoData { path: path.to_owned() })
        } else {
            Ok(SmokeReport { path: path.to_owned(), fields, lease: None })
        };
    }
    listener(&Event::SmokeCredentialIssued { path: path.to_owned() });
    let tried = verify_lease(client, path, &lease_id, renewable).await;
    match revoke_and_verify(client, &lease_id).await {
        Ok(()) => {}
        Err(SmokeError::RevokeFailed { source, .. }) if is_unrevocable_data_lease(&source) => {
            return Ok(SmokeReport { path: path.to_owned(), fields, lease: None });
        }
        Err(error) => return Err(error),
    }
    listener(&Event::SmokeCredentialRevoked { path: path.to_owned() });
    Ok(SmokeReport { path: path.to_owned(), fields, lease: Some(tried?) })
}

/// Whether a lease that could not be revoked was none of a credential: the server gives a lease to whatever a key-value
/// engine returns that is not named `kv`, and the engine then knows of nothing to revoke.
pub(crate) fn is_unrevocable_data_lease(revoking: &CallError) -> bool {
    revoking.api_error_is(|answer| answer.has_message("secret is unsupported by this backend"))
}

async fn verify_lease(
    client: &Client,
    path: &str,
    lease_id: &str,
    renewable: bool,
) -> Result<SmokeLease, SmokeError> {
    let failed = |what| move |source| SmokeError::Lease { what, path: path.to_owned(), source };
    let lease_id = lease_id.to_owned();
    let lease = client
        .send(&Lookup { lease_id: lease_id.clone() })
        .await
        .map_err(failed("look up"))?
        .ok_or_else(|| SmokeError::UnknownLease { path: path.to_owned() })?;
    let renewed_seconds = if renewable {
        let renewed = client.send(&Renew { lease_id, increment: None }).await.map_err(failed("renew"))?;
        Some(renewed.lease_duration.as_secs())
    } else {
        None
    };
    Ok(SmokeLease { ttl_seconds: lease.ttl.as_secs(), renewed_seconds })
}

/// Revokes a lease and looks it up, as the server may have said too early that it is revoked.
pub async fn revoke_and_verify(client: &Client, lease_id: &str) -> Result<(), SmokeError> {
    let left = |source| SmokeError::RevokeFailed { lease_id: lease_id.to_owned(), source };
    client.send(&Revoke { lease_id: lease_id.to_owned() }).await.map_err(left)?;
    match client.send(&Lookup { lease_id: lease_id.to_owned() }).await.map_err(left)? {
        None => Ok(()),
        Some(_) => Err(SmokeError::NotRevoked { lease_id: lease_id.to_owned() }),
    }
}
