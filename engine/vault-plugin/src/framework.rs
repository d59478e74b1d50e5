//! Paths, fields, secrets and write-ahead entries on top of [`crate::logical`]: an engine as a declaration.
//!
//! Behaviour follows `sdk/framework`; what differs is that a handler is given a struct of its fields instead of a map.

mod engine;
mod path;

mod context;
mod login;
mod response;
mod secret;
mod token_settings;

pub mod field;
pub mod pattern;
pub mod ttl;

mod coerce;
mod help;
mod identity_template;
mod input;
mod keyed_locks;
mod mounted_backend;
mod openapi;
mod patch;
mod raw_response;
mod wal;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

pub use coerce::{DurationError, parse_duration};
pub use context::Context;
pub use engine::{BuildError, BuiltEngine, Engine};
pub use field::{DisplayAttributes, Field};
pub use identity_template::{IdentityTemplate, IdentityTemplateError};
pub use keyed_locks::KeyGuard;
pub use login::{AliasName, Login, ResolvedRole, TokenLifetime};
pub use openapi::{OperationStatus, ResponseDoc};
pub use patch::merge_patch;
pub use path::Path;
pub use raw_response::RawResponse;
pub use response::{Data, IntoResponse, LeasedSecret, ListResponse, ListWithInfo, NoFields};
pub use secret::{Lease, SecretType};
pub use token_settings::{TokenFields, TokenSettings};
pub use wal::WalMetadata;
