//! Errors of calls to an engine in another process.

use super::from_wire::WireError;
use crate::logical::{Error, Response};

/// An error of a call to an engine.
///
/// ```
/// use vault_plugin::host::{CallError, RemoteMount};
/// use vault_plugin::logical::{Error, Map, Operation, Request, Response};
///
/// async fn settings(mount: &RemoteMount) -> Result<Option<Response>, CallError> {
///     match mount.handle_request(Request::new(Operation::Read, "config", Map::new())).await {
///         Err(CallError::Backend(failed)) if matches!(failed.error, Error::UnsupportedPath) => Ok(None),
///         other => other,
///     }
/// }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The engine returned an error.
    #[error(transparent)]
    Backend(Box<BackendError>),
    /// The process has exited or its connection is lost permanently: launch it again, mount, initialize, and repeat the call,
    /// like Vault.
    #[error("plugin is shut down")]
    ConnectionLost,
    /// The plugin returned a gRPC status instead of a response. The message has the form of Go, which Vault shows.
    #[error("rpc error: code = {code} desc = {message}")]
    Rpc {
        /// The name of the gRPC code.
        code: String,
        /// The message of the status.
        message: String,
    },
    /// The response is invalid for Vault.
    #[error("invalid response of the plugin: {0}")]
    InvalidResponse(String),
}

impl From<WireError> for CallError {
    fn from(error: WireError) -> CallError {
        CallError::InvalidResponse(error.to_string())
    }
}

/// An error of an engine. Engines of the Go SDK often return an error response with it: then the error determines the HTTP
/// status, and the response contains the message.
///
/// ```
/// use vault_plugin::host::{CallError, BackendError};
/// use vault_plugin::logical::{Error, Response};
///
/// let failed = BackendError { error: Error::PermissionDenied, response: Some(Response::error("not on Sundays")) };
/// let text = failed.response.as_ref().and_then(Response::error_text);
/// assert_eq!(text, Some("not on Sundays"));
/// assert_eq!(CallError::Backend(Box::new(failed)).to_string(), "permission denied");
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct BackendError {
    /// The error.
    pub error: Error,
    /// The response that was returned with the error.
    pub response: Option<Response>,
}
