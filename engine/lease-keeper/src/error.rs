//! Errors of a watcher, and which of them are permanent.

use vault_api::CallError;

use crate::login::LoginError;
use crate::revoke::UnrevokedSecret;

/// An error of a watcher.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The login failed.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The server refused the request, or could not be reached.
    #[error("could not {operation}")]
    Call {
        /// The operation in the imperative: "renew lease …".
        operation: String,
        /// The error of the request.
        #[source]
        source: CallError,
    },
    /// The path returned no data.
    #[error("no secret found at {path}")]
    NotFound {
        /// The path.
        path: String,
    },
    /// The server did not respond within the timeout of the operation.
    #[error("could not {operation}: the request timed out")]
    TimedOut {
        /// The operation in the imperative: "renew lease …".
        operation: String,
    },
    /// A previous credential could not be revoked.
    #[error("{0}")]
    NotRevoked(UnrevokedSecret),
}

/// Messages of Vault and OpenBao about a lease or token that no retry can renew. Status 400 alone is not permanent: the server also
/// returns it for a plugin that failed to renew and may succeed next time.
const PERMANENT_ERRORS: [&str; 5] =
    ["lease not found", "invalid lease", "not renewable", "lease expired", "token not found"];

/// Whether a retry would fail in the same way, because the server refused the operation itself.
pub(crate) fn is_permanent(error: &CallError) -> bool {
    error.api_error_is(|error| {
        error.is_permission_denied() || PERMANENT_ERRORS.iter().any(|text| error.has_message(text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::revoke::RevocationStatus;

    #[test]
    fn a_failed_revocation_names_the_secret_and_its_cause() {
        let secret = UnrevokedSecret {
            subject: "lease custom/creds/a/1".to_owned(),
            revocation: RevocationStatus::Queued,
            cause: "permission denied".to_owned(),
        };
        assert_eq!(
            CredentialError::NotRevoked(secret).to_string(),
            "lease custom/creds/a/1 is still valid (permission denied); the server retries the revocation"
        );
    }
}
