//! The types that a host and an engine share, with the names of Go's `sdk/logical`.
//!
//! - [`Request`], [`Operation`], [`Response`] and [`Error`]: a call and its result.
//! - [`Secret`], [`LeaseOptions`] and [`Auth`]: leased secrets and logins.
//! - [`Storage`] and [`with_transaction`]: the storage of a mount.
//! - [`SystemView`] and [`EventSender`]: the host's settings, events and observations.
//! - [`Backend`] and [`BackendConfig`]: a mounted engine and its inputs.
//!
//! The module contains neither paths (see [`crate::framework`]) nor protobuf.

mod auth;
mod backend;
mod error;
mod event;
mod identity;
mod in_flight;
mod lease;
mod request;
mod response;
mod rotation;
mod sensitive;
mod storage;
mod system_view;

pub use go_plugin::log::{Level, Logger};

pub use auth::{Auth, TokenType};
pub(crate) use backend::Factory;
pub use backend::{Backend, BackendConfig, BackendType, SpecialPaths};
pub use error::Error;
pub use event::{Event, EventError, EventSender};
pub use identity::{Alias, Entity, Group, IdentityToken, ResponseWrapInfo};
pub use in_flight::{InFlight, InFlightGuard};
pub use lease::{LeaseOptions, Secret};
pub use request::{Connection, Operation, Request, WrapInfo};
pub use response::Response;
pub use rotation::{RotationInformation, RotationJob, RotationTime};
pub use sensitive::Sensitive;
#[cfg(any(test, feature = "testing"))]
pub(crate) use storage::TRANSACTION_CONFLICT;
pub(crate) use storage::paginate;
pub use storage::{
    Access, BoxFuture, READ_ONLY, Storage, StorageEntry, StorageError, Transaction, list_all_pages,
    with_transaction,
};
pub(crate) use system_view::{
    CLUSTER, ENTITIES, GROUPS, IDENTITY_TOKENS, MLOCK, PASSWORDS, ROTATION, WRAPPING,
};
pub use system_view::{Cluster, PluginEnvironment, Product, ReplicationState, SystemView, SystemViewError};

/// A JSON object: the data of a request or a response.
///
/// ```
/// use vault_plugin::logical::Map;
///
/// let map: Map = serde_json::from_value(serde_json::json!({"url": "https://example.com"}))?;
/// assert_eq!(map["url"], "https://example.com");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub type Map = serde_json::Map<String, serde_json::Value>;
