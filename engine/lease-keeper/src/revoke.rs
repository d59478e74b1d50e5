//! What is revoked at the end, and what could not be.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use vault_api::leases::{Revoke, RevokeAsync};
use vault_api::token::{RevokeSelf, TokenType};
use vault_api::{CallError, Client};

use crate::login::OwnToken;

/// How long revoking may take in all. Orchestrators give thirty seconds to end, of which the user of the credential has had
/// some.
pub(crate) const REVOKE_TIMEOUT: Duration = Duration::from_secs(12);

/// What the server says to a lease that it was to revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocationStatus {
    /// It failed, and the server goes on trying.
    LeftToServer,
    /// It failed, and nobody goes on: the lease ends by its time.
    Failed,
}

/// Something that was to be revoked and lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnrevokedSecret {
    /// `lease custom/creds/developer/…`, or a login.
    pub subject: String,
    /// Whether somebody goes on.
    pub revocation: RevocationStatus,
    /// Why it could not be revoked.
    pub cause: String,
}

impl fmt::Display for UnrevokedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject: what, revocation, cause: because } = self;
        let end = match revocation {
            RevocationStatus::LeftToServer => "the server goes on trying to revoke it",
            RevocationStatus::Failed => "it ends by its time, or revoke it by hand",
        };
        write!(f, "{what} lives on ({because}); {end}.")
    }
}

/// A lease that is to be revoked with the token it was made with.
pub(crate) struct ActiveLease {
    pub(crate) client: Client,
    pub(crate) lease_id: String,
}

/// Revokes leases, then tokens.
pub(crate) async fn revoke_all(leases: Vec<ActiveLease>, tokens: Vec<OwnToken>) -> Vec<UnrevokedSecret> {
    let deadline = Instant::now() + REVOKE_TIMEOUT;
    let mut lives_on = Vec::new();
    for lease in leases {
        if let Err(left) = lease.revoke(deadline).await {
            lives_on.push((left, lease));
        }
    }
    let mut all_tokens_revoked = !tokens.is_empty();
    let mut logins = Vec::new();
    for token in tokens {
        // Such a token is not kept by the server, so that there is nothing to revoke.
        if token.kind == TokenType::Batch {
            all_tokens_revoked = false;
            continue;
        }
        if let Err(because) = with_deadline(deadline, token.client.send(&RevokeSelf)).await {
            all_tokens_revoked = false;
            logins.push(UnrevokedSecret {
                subject: "the login".to_owned(),
                revocation: RevocationStatus::Failed,
                cause: because,
            });
        }
    }
    let mut left: Vec<UnrevokedSecret> = lives_on
        .into_iter()
        // A token may be allowed to revoke itself and no lease; its leases end with it then.
        .filter(|((_, denied), _)| !(all_tokens_revoked && *denied == PermissionDenied::Yes))
        .map(|((left, _), _)| left)
        .collect();
    left.extend(logins);
    left
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
        // A part of the time is kept for leaving it to the server, should the server wait in vain for the plugin.
        let waiting = deadline.min(Instant::now() + REVOKE_TIMEOUT / 2);
        let sent = timeout_at(waiting, self.client.send(&Revoke { lease_id: lease_id() })).await;
        let (because, denied) = match sent {
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
        let later = with_deadline(deadline, self.client.send(&RevokeAsync { lease_id: lease_id() })).await;
        let revocation =
            if later.is_ok() { RevocationStatus::LeftToServer } else { RevocationStatus::Failed };
        Err((
            UnrevokedSecret { subject: format!("lease {}", self.lease_id), revocation, cause: because },
            denied,
        ))
    }
}

const TIMED_OUT: &str = "no answer in time";

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
