//! An embedded, Vault-compatible server for developing and testing plugins.
//!
//! It implements the part of Vault's HTTP API that plugins and their clients need, with the status codes, bodies, warnings and
//! error texts of Vault 1.21.4, and runs plugins as Vault does. Unsupported paths return an error that names the path.
//!
//! The server is for development only: it stores everything unencrypted. It listens on loopback unless configured otherwise.
//!
//! # Example
//!
//! ```
//! use dev_vault::{DevVault, ServerOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let options = ServerOptions { root_token: Some("root".to_owned()), ..ServerOptions::default() };
//! let vault = DevVault::start(options).await?;
//! println!("VAULT_ADDR={} VAULT_TOKEN={}", vault.address(), vault.root_token());
//! vault.stop().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! - [`DevVault`] is a running server, [`ServerOptions`] its options.
//! - [`LogSink`] receives its [`LogEvent`]s and those of the plugins.
//! - [`TokenService`] is a sample upstream service for the token engine.
//!
//! The modules from the bottom up; each uses only those above it in this list:
//!
//! - `store`: the storage, in memory or in a file
//! - `reply`, `client_request`, `envelope`, `hash`, `identity`, `log`, `random`: shared types and helpers
//! - `identity_store`: entities and groups
//! - `policy`, `password_policies`, `catalog` (with the plugin processes), `mounts`, `leases`, `tokens` (with the cubbyholes): the stores
//! - `expiration`, `rollback`, `wrapping`, `authorization`, `audit`: features that use several stores
//! - `core`: the composition root, which builds and connects all of these
//! - `login`: the tokens of auth methods
//! - `sys`, `auth_token`, `cubbyhole`, `identity_api`: the handlers of the built-in mounts
//! - `request_handling`, `http`, `server`: request processing, and the public handle of a server
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
mod identity_api;
mod identity_store;
mod leases;
mod log;
mod login;
mod mounts;
mod password_policies;
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

/// The version of Vault that the server reports.
pub const VERSION: &str = "1.21.4";

/// The build date that the server reports.
const BUILD_DATE: &str = "2026-02-04T00:00:00Z";
