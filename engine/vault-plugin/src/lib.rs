//! An SDK for HashiCorp Vault and OpenBao plugins, with the features of Go's `vault/sdk` and a typed API.
//!
//! An engine is a declaration: paths with fields and operations, secrets with renew and revoke handlers, and rollback of
//! write-ahead log entries. [`framework`] routes requests to handlers, [`serve`] runs the plugin process, [`testing`] runs
//! the same engine on in-memory storage, and [`host`] runs any plugin like Vault.
//!
#![doc = include_str!("../README.md")]
//! ## Map
//!
//! In reading order:
//!
//! 1. [`logical`]: the vocabulary that a host and an engine share, with the names of Go's `sdk/logical`: requests, responses,
//!    leases, storage, and the host's settings.
//! 2. [`framework`]: an engine as a declaration ([`framework::Engine`], [`framework::Path`], [`framework::Field`]), and what a
//!    handler uses ([`framework::Context`], [`framework::LeasedSecret`], [`framework::Login`]).
//! 3. [`serve`]: the `main` function of a plugin.
//! 4. [`testing`] (feature `testing`): an in-memory host for unit tests.
//! 5. [`host`] (feature `host`): starts, inspects and compares built plugins in any language.
//!
//! The conversion between `logical` and protobuf is private.
#![warn(missing_debug_implementations)]

pub mod framework;
mod hardening;
#[cfg(feature = "host")]
pub mod host;
pub mod logical;
mod serve;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod wire;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

#[cfg(feature = "host")]
pub use host::{ProbeError, ProbeReport, probe};
pub use serve::{PROTOCOL_VERSION, ServeError, is_started_by_host, serve};

/// The version of this SDK.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
