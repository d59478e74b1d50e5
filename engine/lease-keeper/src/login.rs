//! How a watcher gets its token.

use std::io;
use std::path::PathBuf;

use vault_api::token::{AuthResponse, LookupSelf, TokenType};
use vault_api::{CallError, Client, ClientError, SecretString, auth_kubernetes};

use crate::decide;
use crate::lease_term::{Elapsed, LeaseTerm};

/// The source of the token.
#[derive(Clone, Debug)]
pub enum AuthMethod {
    /// The token of the caller's client. It is renewed as long as possible, and never revoked.
    CallerToken,
    /// A login with the service account of this pod. Its token is renewed, replaced by another login, and revoked at shutdown.
    Kubernetes {
        /// Mount path of the auth method, without `auth/`.
        mount: String,
        /// Role of the auth method.
        role: String,
        /// File with the token of the service account. It is read at each login, because the kubelet rotates it.
        token_path: PathBuf,
    },
}

/// An error of a login.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The token of the service account could not be read.
    #[error("could not read the service account token {path}")]
    ServiceAccount {
        /// Path of the file.
        path: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The server refused the login, or could not be reached.
    #[error("could not log in at auth/{mount} as {role}")]
    Call {
        /// Mount path of the auth method.
        mount: String,
        /// Role of the auth method.
        role: String,
        /// The error of the request.
        #[source]
        source: CallError,
    },
    /// The server returned a token that cannot be sent as a header.
    #[error("the login returned a token that cannot be sent")]
    Token(#[source] ClientError),
}

/// A token of the watcher's own login, with the client that revokes it.
pub(crate) struct OwnToken {
    pub(crate) client: Client,
    pub(crate) kind: TokenType,
    pub(crate) expires_at: Option<Elapsed>,
}

impl AuthMethod {
    /// Logs in. Returns `None` for [`AuthMethod::CallerToken`].
    pub(crate) async fn log_in(&self, client: &Client) -> Result<Option<(Client, AuthResponse)>, LoginError> {
        let AuthMethod::Kubernetes { mount, role, token_path } = self else { return Ok(None) };
        let read = tokio::fs::read_to_string(token_path).await;
        let jwt = read.map_err(|source| LoginError::ServiceAccount { path: token_path.clone(), source })?;
        let jwt = SecretString::new(jwt);
        let login = auth_kubernetes::Login {
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

/// Returns the term of the caller's token; `None` if it does not expire, or may not look itself up.
pub(crate) async fn lookup_caller_token(
    client: &Client,
    now: Elapsed,
    jitter: f64,
) -> Option<decide::LoginTerm> {
    let token = client.send(&LookupSelf).await.ok()?;
    Some(decide::LoginTerm::Caller(LeaseTerm::new(now, token.ttl?, token.renewable, jitter)))
}
