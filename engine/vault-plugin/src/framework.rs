//! Paths, fields, secrets and write-ahead entries on top of [`crate::logical`]: an engine as a declaration.
//!
//! Behaviour follows `sdk/framework`; what differs is that a handler is given a struct of its fields instead of a map.
//!
//! The modules in reading order, each of which uses only those below it:
//!
//! - `declare`: [`Engine`] and [`Path`], which an author fills in, and the errors of a declaration.
//! - `dispatch`: a mounted engine; finds the route of a request, validates its input and calls the handler.
//! - `lease`: leased secrets; `auth`: logins and the settings of their tokens.
//! - `handler`: the functions of an engine, each behind one type; `context`: what a handler works with besides its
//!   fields.
//! - `response`: what a handler returns; `describe`: help texts and the OpenAPI document.
//! - `input`: fields, coercion and validation; `pattern`: the patterns of paths.

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
pub use context::{Context, KeyGuard, WalMetadata};
pub use declare::{BuildError, BuiltEngine, Engine, Path};
pub use describe::{OperationStatus, ResponseDoc};
pub use input::{DisplayAttributes, DurationError, Field, field, merge_patch, parse_duration};
pub use lease::{Lease, LeasedSecret, SecretType, ttl};
pub use response::{Data, IntoResponse, ListResponse, ListWithInfo, NoFields, RawResponse};
