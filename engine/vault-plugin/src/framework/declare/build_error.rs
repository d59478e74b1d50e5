//! Why an engine cannot be built.

use crate::framework::pattern::PatternError;
use crate::logical::Operation;

/// What is wrong with a declaration. It is a fault of the engine's author.
///
/// ```
/// # use vault_plugin::framework::{BuildError, Engine, Path};
/// let refused = Engine::new(|| ()).path(Path::new("roles/(")).build();
/// assert!(matches!(refused, Err(BuildError::Pattern { pattern, .. }) if pattern == "roles/("));
/// ```
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The pattern of a path is not a valid expression.
    #[error("path {pattern:?} cannot be matched")]
    Pattern {
        /// The pattern.
        pattern: String,
        /// What is wrong with it.
        #[source]
        source: PatternError,
    },
    /// A secrets engine would renew logins, of which it never has any.
    #[error("a secrets engine has no logins to renew: declare an auth method with Engine::auth_method")]
    LoginRenewOnSecretsEngine,
    /// A path supports create without an existence check, so that the host never asks for it.
    #[error("path {pattern:?} supports {} but has no existence check", Operation::Create)]
    NoExistenceCheck {
        /// The pattern.
        pattern: String,
    },
}
