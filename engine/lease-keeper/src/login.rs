//! How a keeper comes to a token.

use std::io;
use std::path::PathBuf;

use vault_api::token::{Granted, LookupSelf, TokenKind};
use vault_api::{CallError, Client, ClientError, Secret, kubernetes};

use crate::decide;
use crate::term::{Moment, Term};

/// Whose token is used.
#[derive(Clone, Debug)]
pub enum Auth {
    /// The one that the client has: renewed while it can be, never revoked.
    Callers,
    /// One from a login with the service account of this pod: renewed, replaced by another login, revoked at the end.
    Kubernetes {
        /// Where the auth method is mounted.
        mount: String,
        /// Its role.
        role: String,
        /// Where the token of the service account lies. It is read at each login, since the kubelet replaces it.
        token_path: PathBuf,
    },
}

/// A login that failed.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The token of the service account is not there.
    #[error("could not read the service account's token {path}")]
    ServiceAccount {
        /// Where it was looked for.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The server refused, or could not be reached.
    #[error("could not log in at auth/{mount} as {role}")]
    Call {
        /// The auth method.
        mount: String,
        /// The role.
        role: String,
        /// Why not.
        #[source]
        source: CallError,
    },
    /// The server gave a token that cannot be sent.
    #[error("the token of the login cannot be used")]
    Token(#[source] ClientError),
}

/// A token of our own, to be revoked with.
pub(crate) struct OwnToken {
    pub(crate) client: Client,
    pub(crate) kind: TokenKind,
    pub(crate) ends: Option<Moment>,
}

impl Auth {
    /// Gets a token of our own; `None` where the client has the caller's.
    pub(crate) async fn log_in(&self, client: &Client) -> Result<Option<(Client, Granted)>, LoginError> {
        let Auth::Kubernetes { mount, role, token_path } = self else { return Ok(None) };
        let read = tokio::fs::read_to_string(token_path).await;
        let jwt = read.map_err(|source| LoginError::ServiceAccount { path: token_path.clone(), source })?;
        let jwt = Secret::new(jwt);
        let login = kubernetes::Login {
            mount: mount.clone(),
            role: role.clone(),
            jwt: Secret::new(jwt.expose().trim()),
        };
        let granted = client.send(&login).await.map_err(|source| LoginError::Call {
            mount: mount.clone(),
            role: role.clone(),
            source,
        })?;
        let client = client.with_token(&granted.token).map_err(LoginError::Token)?;
        Ok(Some((client, granted)))
    }
}

/// The caller's token, as far as it has an end. A token that may not look at itself is used as it is.
pub(crate) async fn callers(client: &Client, now: Moment, spread: f64) -> Option<decide::Login> {
    let token = client.send(&LookupSelf).await.ok()?;
    Some(decide::Login::Callers(Term::new(now, token.ttl?, token.renewable, spread)))
}
