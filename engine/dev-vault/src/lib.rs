//! An embedded, Vault-compatible host for plugin development, and the stateful fake that tests stand on.
//!
//! It answers the part of Vault's HTTP API that plugin work needs with Vault 1.21.4's status codes, bodies, warnings and
//! error texts, and runs any plugin as Vault runs it. What it does not have, it refuses by name. It is for development: what it stores lies in the clear, and it
//! listens on loopback unless it is told otherwise.

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

/// The version of Vault that it answers as.
pub const VERSION: &str = "1.21.4";

/// What Vault's build date is shown as.
const BUILD_DATE: &str = "2026-02-04T00:00:00Z";
