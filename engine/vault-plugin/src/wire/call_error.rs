//! How a call to an engine in another process can fail.

use super::from_wire::WireError;
use crate::logical::{Error, Response};

/// A call did not give what was asked for.
///
/// ```
/// use vault_plugin::host::{CallError, RemoteMount};
/// use vault_plugin::logical::{Error, Map, Operation, Request, Response};
///
/// async fn settings(mount: &RemoteMount) -> Result<Option<Response>, CallError> {
///     match mount.handle_request(Request::new(Operation::Read, "config", Map::new())).await {
///         Err(CallError::Backend(refusal)) if matches!(refusal.error, Error::UnsupportedPath) => Ok(None),
///         other => other,
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The engine answered with an error.
    #[error(transparent)]
    Backend(Box<BackendError>),
    /// The process has ended or its connection is lost, for good: launch it anew, mount, initialise, and ask once more,
    /// as Vault does.
    #[error("plugin is shut down")]
    ConnectionLost,
    /// The plugin answered with a status of gRPC in place of the engine; in the words of Go, which Vault shows.
    #[error("rpc error: code = {code} desc = {message}")]
    Rpc {
        /// The name of the status.
        code: String,
        /// Its text.
        message: String,
    },
    /// Vault would not understand the answer.
    #[error("the plugin's answer cannot be understood: {0}")]
    InvalidResponse(String),
}

impl From<WireError> for CallError {
    fn from(error: WireError) -> CallError {
        CallError::InvalidResponse(error.to_string())
    }
}

/// An engine's error. Engines of the Go SDK often return an error response with it: then the error gives the HTTP
/// status, and the response the text.
///
/// ```
/// use vault_plugin::host::{CallError, BackendError};
/// use vault_plugin::logical::{Error, Response};
///
/// let refusal = BackendError { error: Error::PermissionDenied, response: Some(Response::error("not on Sundays")) };
/// let text = refusal.response.as_ref().and_then(Response::error_text);
/// assert_eq!(text, Some("not on Sundays"));
/// assert_eq!(CallError::Backend(Box::new(refusal)).to_string(), "permission denied");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct BackendError {
    /// The kind, and the text where the kind has one.
    pub error: Error,
    /// What came with it.
    pub response: Option<Response>,
}
