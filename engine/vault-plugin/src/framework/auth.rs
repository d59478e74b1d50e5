//! Logins of an auth method, and the settings of their tokens.

mod identity_template;
mod login;
mod token_lifetime;
mod token_settings;

pub use identity_template::{IdentityTemplate, IdentityTemplateError};
pub use login::{AliasName, Login, ResolvedRole};
pub use token_lifetime::TokenLifetime;
pub(crate) use token_settings::token_fields;
pub use token_settings::{TokenFields, TokenSettings};
