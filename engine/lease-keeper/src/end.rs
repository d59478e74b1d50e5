//! What is revoked at the end, and what could not be.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use vault_api::leases::{Revoke, RevokeLater};
use vault_api::token::{RevokeSelf, TokenKind};
use vault_api::{CallError, Client};

use crate::login::OwnToken;

/// How long revoking may take in all. Orchestrators give thirty seconds to end, of which the user of the credential has had
/// some.
pub(crate) const TIME_TO_REVOKE: Duration = Duration::from_secs(12);

/// What the server says to a lease that it was to revoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// It failed, and the server goes on trying.
    LeftToServer,
    /// It failed, and nobody goes on: the lease ends by its time.
    Failed,
}

/// Something that was to be revoked and lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LivesOn {
    /// `lease custom/creds/developer/…`, or a login.
    pub what: String,
    /// Whether somebody goes on.
    pub revocation: Revocation,
    /// Why it could not be revoked.
    pub because: String,
}

impl fmt::Display for LivesOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, revocation, because } = self;
        let end = match revocation {
            Revocation::LeftToServer => "the server goes on trying to revoke it",
            Revocation::Failed => "it ends by its time, or revoke it by hand",
        };
        write!(f, "{what} lives on ({because}); {end}.")
    }
}

/// A lease that is to be revoked with the token it was made with.
pub(crate) struct Leased {
    pub(crate) client: Client,
    pub(crate) lease_id: String,
}

/// Revokes leases, then tokens.
pub(crate) async fn revoke_all(leases: Vec<Leased>, tokens: Vec<OwnToken>) -> Vec<LivesOn> {
    let deadline = Instant::now() + TIME_TO_REVOKE;
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
        if token.kind == TokenKind::Batch {
            all_tokens_revoked = false;
            continue;
        }
        if let Err(because) = within(deadline, token.client.send(&RevokeSelf)).await {
            all_tokens_revoked = false;
            logins.push(LivesOn { what: "the login".to_owned(), revocation: Revocation::Failed, because });
        }
    }
    let mut left: Vec<LivesOn> = lives_on
        .into_iter()
        // A token may be allowed to revoke itself and no lease; its leases end with it then.
        .filter(|((_, denied), _)| !(all_tokens_revoked && *denied == Denied::Yes))
        .map(|((left, _), _)| left)
        .collect();
    left.extend(logins);
    left
}

/// Whether the token may not revoke leases by their id.
#[derive(Clone, Copy, PartialEq)]
enum Denied {
    Yes,
    No,
}

impl Leased {
    async fn revoke(&self, deadline: Instant) -> Result<(), (LivesOn, Denied)> {
        let lease_id = || self.lease_id.clone();
        // A part of the time is kept for leaving it to the server, should the server wait in vain for the plugin.
        let waiting = deadline.min(Instant::now() + TIME_TO_REVOKE / 2);
        let sent = timeout_at(waiting, self.client.send(&Revoke { lease_id: lease_id() })).await;
        let (because, denied) = match sent {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) => {
                let denied = if error.is(vault_api::ApiError::is_permission_denied) {
                    Denied::Yes
                } else {
                    Denied::No
                };
                (error.to_string(), denied)
            }
            Err(_) => (NO_ANSWER.to_owned(), Denied::No),
        };
        let later = within(deadline, self.client.send(&RevokeLater { lease_id: lease_id() })).await;
        let revocation = if later.is_ok() { Revocation::LeftToServer } else { Revocation::Failed };
        Err((LivesOn { what: format!("lease {}", self.lease_id), revocation, because }, denied))
    }
}

const NO_ANSWER: &str = "no answer in time";

async fn within<T>(
    deadline: Instant,
    call: impl Future<Output = Result<T, CallError>>,
) -> Result<(), String> {
    match timeout_at(deadline, call).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(NO_ANSWER.to_owned()),
    }
}
