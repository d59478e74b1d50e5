//! Errors in the declaration of an engine.

use crate::framework::pattern::PatternError;
use crate::logical::Operation;

/// An error in the declaration of an engine, from [`Engine::build`](super::Engine::build).
///
/// ```
/// # use vault_plugin::framework::{BuildError, Engine, Path};
/// let result = Engine::new(|| ()).path(Path::new("roles/(")).build();
/// assert!(matches!(result, Err(BuildError::Pattern { pattern, .. }) if pattern == "roles/("));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The pattern of a path is not a valid expression.
    #[error("invalid pattern of path {pattern:?}")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// The error in the pattern.
        #[source]
        source: PatternError,
    },
    /// A secrets engine has a handler that renews logins.
    #[error("a secrets engine has no logins to renew: declare an auth method with Engine::auth_method")]
    LoginRenewOnSecretsEngine,
    /// A path supports create without an existence check. The host would never send a create.
    #[error("path {pattern:?} supports {} but has no existence check", Operation::Create)]
    NoExistenceCheck {
        /// The pattern.
        pattern: String,
    },
}
