//! How a keeper comes to a token.

use std::io;
use std::path::PathBuf;

use vault_api::token::{AuthResponse, LookupSelf, TokenType};
use vault_api::{CallError, Client, ClientError, SecretString, kubernetes};

use crate::decide;
use crate::lease_term::{Elapsed, LeaseTerm};

/// Whose token is used.
#[derive(Clone, Debug)]
pub enum AuthMethod {
    /// The one that the client has: renewed while it can be, never revoked.
    CallerToken,
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
    pub(crate) kind: TokenType,
    pub(crate) expires_at: Option<Elapsed>,
}

impl AuthMethod {
    /// Gets a token of our own; `None` where the client has the caller's.
    pub(crate) async fn log_in(&self, client: &Client) -> Result<Option<(Client, AuthResponse)>, LoginError> {
        let AuthMethod::Kubernetes { mount, role, token_path } = self else { return Ok(None) };
        let read = tokio::fs::read_to_string(token_path).await;
        let jwt = read.map_err(|source| LoginError::ServiceAccount { path: token_path.clone(), source })?;
        let jwt = SecretString::new(jwt);
        let login = kubernetes::Login {
            mount: mount.clone(),
            role: role.clone(),
            jwt: SecretString::new(jwt.expose().trim()),
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
pub(crate) async fn lookup_caller_token(
    client: &Client,
    now: Elapsed,
    spread: f64,
) -> Option<decide::LoginTerm> {
    let token = client.send(&LookupSelf).await.ok()?;
    Some(decide::LoginTerm::Caller(LeaseTerm::new(now, token.ttl?, token.renewable, spread)))
}
