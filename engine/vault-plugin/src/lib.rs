//! An SDK for HashiCorp Vault and OpenBao plugins: what Go authors have in `vault/sdk`, with a typed face.
//!
//! An engine is a declaration: paths with fields and operations, secrets with renew and revoke, what to do with a
//! write-ahead entry. [`framework`] routes requests to handlers, [`serve`] speaks the plugin protocol, [`testing`] runs
//! the same engine on storage in memory, and [`host`] runs any plugin as Vault does.
#![doc = include_str!("../README.md")]
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
pub use serve::{ServeError, serve};
