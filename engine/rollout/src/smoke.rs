//! The smoke test of a mount: issues a credential, looks up its lease, renews it, revokes it, and verifies that it is revoked. On an auth
//! mount it logs in, and does the same with the token.

mod login;

use std::collections::BTreeMap;

use serde::Serialize;
use vault_api::catalog::PluginType;
use vault_api::leases::{Lookup, Renew, Revoke};
use vault_api::{CallError, Client, logical};

use crate::consumer::Consumer;
use crate::event::Event;
use crate::goal::DesiredValue;
use crate::shell::shell_quote;

/// The result of a smoke test, without the values of the credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SmokeReport {
    /// Full path.
    pub path: String,
    /// Names of the returned fields.
    pub fields: Vec<String>,
    /// The lease, if there was one.
    pub lease: Option<SmokeLease>,
    /// The token, if it was a login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SmokeToken>,
    /// What the test has left on the server, one sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl SmokeReport {
    /// A test that has left nothing.
    fn of(path: &str, fields: Vec<String>, lease: Option<SmokeLease>) -> Self {
        Self { path: path.to_owned(), fields, lease, token: None, warnings: Vec::new() }
    }
}

/// A token that a login has created. It is revoked, unless it is a batch token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SmokeToken {
    /// Its TTL; zero if it does not expire.
    pub ttl_seconds: u64,
    /// Its policies.
    pub policies: Vec<String>,
}

/// A lease that was issued and is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SmokeLease {
    /// Its TTL after it was issued.
    pub ttl_seconds: u64,
    /// Its TTL after a renewal; `None` if it is not renewable.
    pub renewed_seconds: Option<u64>,
}

/// A smoke test that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SmokeError {
    /// Reading failed.
    #[error("could not read {path}")]
    Read {
        /// Full path.
        path: String,
        /// The cause.
        #[source]
        source: CallError,
    },
    /// The path has neither a lease nor data.
    #[error("{path} returned neither a lease nor data")]
    NoData {
        /// Full path.
        path: String,
    },
    /// The server does not know the lease that it has returned.
    #[error("the server does not know the lease that {path} returned")]
    UnknownLease {
        /// Full path.
        path: String,
    },
    /// The lease could not be looked up or renewed. It is revoked.
    #[error("could not {what} the lease that {path} returned")]
    Lease {
        /// The operation.
        what: &'static str,
        /// Full path.
        path: String,
        /// The cause.
        #[source]
        source: CallError,
    },
    /// The lease could not be revoked and may live on.
    #[error("could not revoke the lease {lease_id}")]
    RevokeFailed {
        /// Which one.
        lease_id: String,
        /// The cause.
        #[source]
        source: CallError,
    },
    /// The login failed.
    #[error("could not log in at {path}")]
    Login {
        /// Full path.
        path: String,
        /// The cause.
        #[source]
        source: CallError,
    },
    /// The login was accepted, and created no token.
    #[error("the login at {path} returned no token")]
    NoToken {
        /// Full path.
        path: String,
    },
    /// The token could not be looked up. It is revoked.
    #[error("could not look up the token of the login at {path}")]
    Token {
        /// Full path.
        path: String,
        /// The cause.
        #[source]
        source: CallError,
    },
    /// The token could not be revoked and may be valid.
    #[error(
        "could not revoke the token with the accessor {accessor}, which may still be valid; `vault token revoke -accessor {accessor}` revokes it"
    )]
    TokenNotRevoked {
        /// Its accessor.
        accessor: String,
        /// The cause.
        #[source]
        source: CallError,
    },
    /// The server reported that the token is revoked, and still accepts it.
    #[error("the token with the accessor {accessor} is still valid after it was revoked")]
    TokenStillValid {
        /// Its accessor.
        accessor: String,
    },
    /// The server reported that the lease is revoked, and still has it.
    #[error("the lease {lease_id} still exists after it was revoked")]
    NotRevoked {
        /// Which one.
        lease_id: String,
    },
}

impl SmokeError {
    /// The request that failed; `None` if the response was unexpected.
    pub(crate) fn call_error(&self) -> Option<&CallError> {
        match self {
            Self::Read { source, .. }
            | Self::Lease { source, .. }
            | Self::Login { source, .. }
            | Self::Token { source, .. }
            | Self::TokenNotRevoked { source, .. }
            | Self::RevokeFailed { source, .. } => Some(source),
            Self::NoData { .. }
            | Self::NoToken { .. }
            | Self::UnknownLease { .. }
            | Self::TokenStillValid { .. }
            | Self::NotRevoked { .. } => None,
        }
    }

    /// The lease that may not be revoked.
    pub(crate) fn unrevoked_lease(&self) -> Option<&str> {
        match self {
            Self::RevokeFailed { lease_id, .. } | Self::NotRevoked { lease_id } => Some(lease_id),
            _ => None,
        }
    }
}

/// A lease of a smoke test that may not be revoked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnrevokedLease {
    /// Child namespace of its mount.
    pub(crate) namespace: String,
    /// Its id.
    pub(crate) id: String,
}

impl UnrevokedLease {
    /// Revokes it, and verifies that.
    pub(crate) async fn revoke(&self, client: &Client) -> Result<(), SmokeError> {
        revoke_and_verify(&client.in_namespace(&self.namespace), &self.id).await
    }

    /// How users revoke it.
    pub(crate) fn hint(&self) -> String {
        let Self { namespace, id } = self;
        let command = if namespace.is_empty() {
            format!("vault-token-plugin creds revoke {id}")
        } else {
            format!("vault write {} lease_id={id}", shell_quote(&format!("{namespace}sys/leases/revoke")))
        };
        format!("A credential may still be valid. Revoke it with `{command}`.")
    }
}

/// Runs the smoke test of a full path of a mount; `data` are the credentials of a login. Revokes the lease or the token also if the test fails; do not drop the future before it ends.
pub async fn run_smoke_test(
    client: &Client,
    mount: &Consumer,
    path: &str,
    data: &BTreeMap<String, DesiredValue>,
    listener: &mut dyn FnMut(&Event),
) -> Result<SmokeReport, SmokeError> {
    if mount.kind() == PluginType::Auth {
        return login::run(client, mount, path, data, listener).await;
    }
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
            Ok(SmokeReport::of(path, fields, None))
        };
    }
    listener(&Event::SmokeCredentialIssued { path: path.to_owned() });
    // OpenBao does not let a token with policies revoke the lease of a child namespace at the path of its parent.
    let client = &client.in_namespace(mount.namespace());
    let lease = verify_lease(client, path, &lease_id, renewable).await;
    match revoke_and_verify(client, &lease_id).await {
        Ok(()) => {}
        Err(SmokeError::RevokeFailed { source, .. }) if is_unrevocable_data_lease(&source) => {
            return Ok(SmokeReport::of(path, fields, None));
        }
        Err(error) => return Err(error),
    }
    listener(&Event::SmokeCredentialRevoked { path: path.to_owned() });
    Ok(SmokeReport::of(path, fields, Some(lease?)))
}

/// Whether a lease that could not be revoked is not of a credential: the server also creates leases for the data of a key-value engine that is
/// not named `kv`, which the engine cannot revoke.
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

/// Revokes a lease, and looks it up to verify that it is revoked.
///
/// # Errors
/// If the lease may still be valid.
async fn revoke_and_verify(client: &Client, lease_id: &str) -> Result<(), SmokeError> {
    let failed = |source| SmokeError::RevokeFailed { lease_id: lease_id.to_owned(), source };
    client.send(&Revoke { lease_id: lease_id.to_owned() }).await.map_err(failed)?;
    match client.send(&Lookup { lease_id: lease_id.to_owned() }).await.map_err(failed)? {
        None => Ok(()),
        Some(_) => Err(SmokeError::NotRevoked { lease_id: lease_id.to_owned() }),
    }
}
