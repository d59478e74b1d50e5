//! Errors of keeping a credential, and which of them are permanent.

use vault_api::CallError;

use crate::login::LoginError;

/// Why there is no credential, or not another one.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// No token.
    #[error(transparent)]
    Login(#[from] LoginError),
    /// The server refused, or could not be reached.
    #[error("could not {what}")]
    Call {
        /// What was asked.
        what: String,
        /// Why not.
        #[source]
        source: CallError,
    },
    /// The path has nothing.
    #[error("there is nothing at {path}")]
    NotFound {
        /// Full path.
        path: String,
    },
    /// No answer for so long that another attempt is better.
    #[error("could not {what}: no answer in time")]
    TimedOut {
        /// What was asked.
        what: String,
    },
}

/// What servers say of a lease or a token of which no further attempt makes anything. A plugin that fails to renew is answered
/// with 400 as well, and may do better the next time.
const PERMANENT_ERRORS: [&str; 5] =
    ["lease not found", "invalid lease", "not renewable", "lease expired", "token not found"];

/// Whether a failed call would fail again in the same way: the server looked at it and said no.
pub(crate) fn is_permanent(error: &CallError) -> bool {
    error.api_error_is(|answer| {
        answer.is_permission_denied() || PERMANENT_ERRORS.iter().any(|text| answer.has_message(text))
    })
}
