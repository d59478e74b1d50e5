//! An engine as a declaration: paths, fields, secrets and write-ahead log entries on top of [`crate::logical`].
//!
//! It behaves like Go's `sdk/framework`, except that a handler takes a struct of its fields instead of a map.
//!
//! The modules in reading order. Each uses only those below it:
//!
//! - `declare`: [`Engine`] and [`Path`], the builders of a declaration, and its errors.
//! - `dispatch`: a mounted engine, which finds the route of a request, validates its input and calls the handler.
//! - `lease`: leased secrets. `auth`: logins and the settings of their tokens.
//! - `handler`: the type-erased functions of an engine. `context`: the storage, state and host of a request.
//! - `response`: the return types of handlers. `describe`: help and the OpenAPI document.
//! - `input`: fields, coercion and validation. `pattern`: the patterns of paths.

mod declare;

mod auth;
mod lease;

mod context;
mod response;

pub mod pattern;

mod describe;
mod dispatch;
mod handler;
mod input;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

pub use auth::{
    AliasName, IdentityTemplate, IdentityTemplateError, Login, ResolvedRole, TokenFields, TokenLifetime,
    TokenSettings,
};
pub use context::{Context, KeyGuard, WAL_PREFIX, WalMetadata};
pub use declare::{BuildError, BuiltEngine, Engine, Path};
pub use describe::{OperationStatus, ResponseDoc};
pub use input::{DisplayAttributes, DurationError, Field, field, merge_patch, parse_duration};
pub use lease::{Lease, LeasedSecret, SecretType, ttl};
pub use response::{Data, IntoResponse, ListResponse, ListWithInfo, NoFields, RawResponse};
