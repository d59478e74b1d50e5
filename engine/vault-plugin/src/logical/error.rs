//! Why a request failed, in the kinds that hosts tell apart.

use super::{EventError, StorageError, SystemViewError};

/// Why a request failed. The HTTP status is the host's translation (`RespondErrorCommon` of `sdk/logical`).
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
    /// The host could not be told what happened.
    #[error("{0}")]
    Event(#[from] EventError),
}

impl Error {
    /// The caller's input is wrong.
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
    /// let answer = mount.write("role", serde_json::json!({})).await?.unwrap();
    /// assert_eq!(answer.error_text(), Some("ttl is longer than max_ttl"));
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Error {
        Error::Invalid(message.into())
    }

    /// Something failed inside.
    ///
    /// ```
    /// # use vault_plugin::logical::Error;
    /// fn remaining(answer: &str) -> Result<u64, Error> {
    ///     answer.parse().map_err(|_| Error::internal("the upstream did not answer with a number"))
    /// }
    /// assert!(matches!(remaining("<html>"), Err(Error::Internal(_))));
    /// ```
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Error {
        Error::Internal(message.into())
    }

    /// Whether the node cannot write, whoever found out.
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
