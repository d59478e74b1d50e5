//! An embedded, Vault-compatible host for plugin development and tests.
//!
//! It implements the part of Vault's HTTP API that plugin work needs, with the status codes, bodies, warnings and error
//! texts of Vault 1.21.4, and runs any plugin as Vault does. Unsupported paths are refused by name. It is for development:
//! it stores everything in the clear, and listens on loopback unless configured otherwise.
//!
//! The modules, from the bottom up; each uses only those before it:
//! - `store`: the storage, in memory or in a file
//! - `reply`, `client_request`, `envelope`, `hash`, `identity`, `log`, `random`: what all others use
//! - the stores: `policy`, `catalog` (with the plugin processes), `mounts`, `leases`, `tokens` (with the cubbyholes)
//! - `expiration`, `rollback`, `wrapping`, `authorization`, `audit`: what needs several stores
//! - `core`: the composition root, which builds and connects all of these
//! - `sys`, `auth_token`, `cubbyhole`: the handlers of the built-in mounts
//! - `request_handling`, `http`, `server`: the way of a request, and the public handle of a server

mod audit;
mod auth_token;
mod authorization;
mod catalog;
mod client_request;
mod core;
mod cubbyhole;
mod envelope;
mod expiration;
mod hash;
mod http;
mod identity;
mod leases;
mod log;
mod mounts;
mod policy;
mod random;
mod reply;
mod request_handling;
mod rollback;
mod server;
mod store;
mod sys;
mod token_service;
mod tokens;
mod wrapping;

pub use log::{LogEvent, LogLine, LogSink};
pub use server::{BindScope, DevVault, ServerOptions, StartError};
pub use store::StoreError;
pub use token_service::TokenService;

/// The version of Vault that it reports.
pub const VERSION: &str = "1.21.4";

/// The build date that it reports.
const BUILD_DATE: &str = "2026-02-04T00:00:00Z";
