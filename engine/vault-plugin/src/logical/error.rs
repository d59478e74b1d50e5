//! The error of a request, in the kinds that hosts distinguish.

use super::{EventError, StorageError, SystemViewError};

/// The error of a request. The host converts it to an HTTP status (`RespondErrorCommon` of `sdk/logical`).
///
/// ```
/// use vault_plugin::logical::{Error, Storage};
/// # use vault_plugin::testing::{MemoryStorage, StorageCall};
///
/// async fn token(storage: &dyn Storage) -> Result<String, Error> {
///     let token: Option<String> = storage.read("token").await?; // fails as `Error::Storage`
///     token.ok_or_else(|| Error::Coded { status: 412, message: "no token is set".to_owned() })
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let storage = MemoryStorage::default();
/// assert!(matches!(token(&storage).await, Err(Error::Coded { status: 412, .. })));
/// storage.fail_on(StorageCall::Get, "token", "Vault is sealed");
/// assert!(matches!(token(&storage).await, Err(Error::Storage(_))));
/// # Ok(()) }
/// ```
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The input of the caller is invalid: an error response with status 400 and this message.
    #[error("{0}")]
    Invalid(String),
    /// The node cannot write. The host forwards the request to a node that can.
    #[error("cannot write to readonly storage")]
    ReadOnly,
    /// The path exists but does not support the operation: status 405.
    #[error("unsupported operation")]
    UnsupportedOperation,
    /// The path does not exist: status 404.
    #[error("unsupported path")]
    UnsupportedPath,
    /// The request is invalid: status 400 with the host's message.
    #[error("invalid request")]
    InvalidRequest,
    /// The request is invalid: status 400 with this message.
    #[error("{0}")]
    BadRequest(String),
    /// A retry cannot succeed. A host stops revoking the lease.
    #[error("unrecoverable error")]
    Unrecoverable,
    /// The caller is not permitted: status 403 with the host's message.
    #[error("permission denied")]
    PermissionDenied,
    /// An error with any status.
    #[error("{message}")]
    Coded {
        /// The HTTP status.
        status: u16,
        /// The message for the caller.
        message: String,
    },
    /// The existence check has rejected the input: status 400.
    #[error("{0}")]
    User(String),
    /// An internal error that the caller cannot fix: status 500 with this message.
    #[error("{0}")]
    Internal(String),
    /// A call to the host's storage failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// A call to the host's settings failed.
    #[error(transparent)]
    System(#[from] SystemViewError),
    /// An event or observation could not be sent.
    #[error(transparent)]
    Event(#[from] EventError),
}

impl Error {
    /// Returns an error for invalid input of the caller.
    ///
    /// ```
    /// # use vault_plugin::framework::{Context, Engine, NoFields, Path};
    /// # use vault_plugin::{logical::{Error, Operation}, testing::TestMount};
    /// async fn write(_: Context<()>, _: NoFields) -> Result<(), Error> {
    ///     Err(Error::invalid("ttl is longer than max_ttl"))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let path = Path::new("role").on(Operation::Update, "Store a role.", write);
    /// # let mount = TestMount::new(Engine::new(|| ()).path(path)).await?;
    /// let response = mount.write("role", serde_json::json!({})).await?.unwrap();
    /// assert_eq!(response.error_text(), Some("ttl is longer than max_ttl"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::Invalid(message.into())
    }

    /// Returns an error for an internal failure.
    ///
    /// ```
    /// # use vault_plugin::logical::Error;
    /// fn remaining(body: &str) -> Result<u64, Error> {
    ///     body.parse().map_err(|_| Error::internal("the upstream did not respond with a number"))
    /// }
    /// assert!(matches!(remaining("<html>"), Err(Error::Internal(_))));
    /// ```
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Error {
        Error::Internal(message.into())
    }

    /// Whether the error means that the node cannot write.
    ///
    /// ```
    /// # use vault_plugin::logical::{Error, READ_ONLY, StorageError};
    /// assert!(Error::ReadOnly.is_read_only());
    /// assert!(Error::from(StorageError::Host(READ_ONLY.to_owned())).is_read_only());
    /// assert!(!Error::PermissionDenied.is_read_only());
    /// ```
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        match self {
            Error::ReadOnly => true,
            Error::Storage(error) => error.is_read_only(),
            _ => false,
        }
    }
}
