//! Why a request failed, in the kinds that hosts tell apart.

use super::{StorageError, SystemViewError};

/// The text by which hosts recognise a write refused by a standby or secondary, and forward the request to the active
/// node (`ErrReadOnly` of `sdk/logical`). It must reach the host as it is.
pub const READ_ONLY: &str = "cannot write to readonly storage";

/// Why a request failed. The HTTP status is the host's translation (`RespondErrorCommon` of `sdk/logical`).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller's input is wrong: an error response, status 400, with this text.
    #[error("{0}")]
    Invalid(String),
    /// The node cannot write: the host forwards the request to one that can.
    #[error("cannot write to readonly storage")]
    ReadOnly,
    /// The path exists and does not support the operation: status 405.
    #[error("unsupported operation")]
    UnsupportedOperation,
    /// There is no such path: status 404.
    #[error("unsupported path")]
    UnsupportedPath,
    /// The request makes no sense to the engine: status 400, the host's own text.
    #[error("invalid request")]
    InvalidRequest,
    /// The request makes no sense to the engine: status 400 with this text.
    #[error("{0}")]
    BadRequest(String),
    /// Trying again will not help: a host gives up revoking the lease at once.
    #[error("unrecoverable error")]
    Unrecoverable,
    /// The caller may not do this: status 403, the host's own text.
    #[error("permission denied")]
    PermissionDenied,
    /// A status of the engine's choice.
    #[error("{message}")]
    Coded {
        /// The HTTP status.
        status: u16,
        /// What the caller reads.
        message: String,
    },
    /// The existence check found the input wrong: status 400.
    #[error("{0}")]
    User(String),
    /// Something failed that the caller can do nothing about: status 500, with this text.
    #[error("{0}")]
    Internal(String),
    /// The host's storage failed.
    #[error("{0}")]
    Storage(#[from] StorageError),
    /// The host's settings could not be asked.
    #[error("{0}")]
    System(#[from] SystemViewError),
}

impl Error {
    /// The caller's input is wrong.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::Invalid(message.into())
    }

    /// Something failed inside.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Error {
        Error::Internal(message.into())
    }

    /// Whether the node cannot write, whoever found out.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        match self {
            Error::ReadOnly => true,
            Error::Storage(error) => error.is_read_only(),
            _ => false,
        }
    }
}
