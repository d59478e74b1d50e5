//! Revokes leases and tokens, and reports what could not be revoked.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use vault_api::leases::{Revoke, RevokeAsync};
use vault_api::token::{RevokeSelf, TokenType};
use vault_api::{CallError, Client};

use crate::login::OwnToken;

/// The total time for revocation. Kubernetes grants thirty seconds for a shutdown, and the process that uses the credential has
/// already taken some of them.
pub(crate) const REVOKE_TIMEOUT: Duration = Duration::from_secs(12);

/// What happens to a secret whose revocation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationStatus {
    /// The server has queued the revocation and retries it.
    Queued,
    /// Nothing retries the revocation; the secret is valid until it expires.
    Failed,
}

/// A secret that could not be revoked and is still valid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnrevokedSecret {
    /// Which secret: `lease custom/creds/developer/…`, or a login.
    pub subject: String,
    /// Whether the server retries the revocation.
    pub revocation: RevocationStatus,
    /// Why it could not be revoked.
    pub cause: String,
}

impl fmt::Display for UnrevokedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, revocation, cause } = self;
        let outlook = match revocation {
            RevocationStatus::Queued => "the server retries the revocation",
            RevocationStatus::Failed => "revoke it manually, or wait until it expires",
        };
        write!(f, "{subject} is still valid ({cause}); {outlook}")
    }
}

/// A lease, and the client with the token that created it.
pub(crate) struct ActiveLease {
    pub(crate) client: Client,
    pub(crate) lease_id: String,
}

/// Revokes the leases, then the tokens. Returns what could not be revoked.
pub(crate) async fn revoke_all(leases: Vec<ActiveLease>, tokens: Vec<OwnToken>) -> Vec<UnrevokedSecret> {
    let deadline = Instant::now() + REVOKE_TIMEOUT;
    let mut failed_leases = Vec::new();
    for lease in leases {
        if let Err(unrevoked) = lease.revoke(deadline).await {
            failed_leases.push((unrevoked, lease));
        }
    }
    let mut all_tokens_revoked = !tokens.is_empty();
    let mut logins = Vec::new();
    for token in tokens {
        // The server does not store batch tokens, so there is nothing to revoke.
        if token.kind == TokenType::Batch {
            all_tokens_revoked = false;
            continue;
        }
        if let Err(cause) = with_deadline(deadline, token.client.send(&RevokeSelf)).await {
            all_tokens_revoked = false;
            logins.push(UnrevokedSecret {
                subject: "the login".to_owned(),
                revocation: RevocationStatus::Failed,
                cause,
            });
        }
    }
    let mut unrevoked: Vec<UnrevokedSecret> = failed_leases
        .into_iter()
        // A token may be allowed to revoke itself but no lease. Its leases then end with it.
        .filter(|((_, denied), _)| !(all_tokens_revoked && *denied == PermissionDenied::Yes))
        .map(|((unrevoked, _), _)| unrevoked)
        .collect();
    unrevoked.extend(logins);
    unrevoked
}

/// Whether the token may not revoke leases by their id.
#[derive(Clone, Copy, PartialEq)]
enum PermissionDenied {
    Yes,
    No,
}

impl ActiveLease {
    async fn revoke(&self, deadline: Instant) -> Result<(), (UnrevokedSecret, PermissionDenied)> {
        let lease_id = || self.lease_id.clone();
        // The rest of the time is for the asynchronous revocation, in case the plugin does not respond to the synchronous one.
        let sync_deadline = deadline.min(Instant::now() + REVOKE_TIMEOUT / 2);
        let sent = timeout_at(sync_deadline, self.client.send(&Revoke { lease_id: lease_id() })).await;
        let (cause, denied) = match sent {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => {
                let denied = if error.api_error_is(vault_api::ApiError::is_permission_denied) {
                    PermissionDenied::Yes
                } else {
                    PermissionDenied::No
                };
                (error.to_string(), denied)
            }
            Err(_) => (TIMED_OUT.to_owned(), PermissionDenied::No),
        };
        let queued = with_deadline(deadline, self.client.send(&RevokeAsync { lease_id: lease_id() })).await;
        let revocation = if queued.is_ok() { RevocationStatus::Queued } else { RevocationStatus::Failed };
        Err((UnrevokedSecret { subject: format!("lease {}", self.lease_id), revocation, cause }, denied))
    }
}

const TIMED_OUT: &str = "the request timed out";

async fn with_deadline<T>(
    deadline: Instant,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<(), String> {
    match timeout_at(deadline, call).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(TIMED_OUT.to_owned()),
    }
}
