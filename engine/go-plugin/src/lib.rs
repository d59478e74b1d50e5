//! The hashicorp/go-plugin protocol, for plugins and for hosts.
//!
//! A plugin is a separate process that serves gRPC on a local socket. This crate implements how a host starts and authenticates the
//! process, how both sides offer services to each other, and how the host collects output and stops the process. It is compatible
//! with go-plugin 1.6 to 1.8 over gRPC; the older net/rpc transport is not supported.
//!
//! The crate does not depend on any application: the caller supplies the cookie, the protocol versions and the
//! [`tonic::service::Routes`].
//!
//! # A plugin
//!
//! ```no_run
//! use go_plugin::{Environment, Handshake, Server};
//!
//! const HANDSHAKE: Handshake =
//!     Handshake { cookie_key: "MY_PLUGIN", cookie_value: "6f0b", protocol_versions: &[1] };
//!
//! # async fn run(routes: tonic::service::Routes) -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::start(&HANDSHAKE, Environment::from_process()).await?;
//! server.serve(routes).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Its host
//!
//! ```no_run
//! use go_plugin::Handshake;
//! use go_plugin::host::{LaunchOptions, launch};
//!
//! # const HANDSHAKE: Handshake =
//! #     Handshake { cookie_key: "MY_PLUGIN", cookie_value: "6f0b", protocol_versions: &[1] };
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let plugin = launch(LaunchOptions::new("./my-plugin", HANDSHAKE)).await?;
//! let channel = plugin.channel();
//! // Create a tonic client with the channel, and call the services of the plugin.
//! plugin.shutdown().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! In reading order:
//!
//! 1. [`Handshake`] identifies the application. [`HandshakeLine`] is the line with which a plugin announces its address.
//! 2. [`Environment`] holds the variables that a host sets for a plugin.
//! 3. [`Server`] serves the plugin. [`GracefulShutdown`] lets pending requests finish before the process exits.
//! 4. [`Broker`] connects to services that the host offers to the plugin.
//! 5. [`log`] writes log lines that the host parses.
//! 6. [`host`] starts and stops plugins.

#![warn(missing_debug_implementations)]

mod server;

mod broker;
mod environment;
mod graceful_shutdown;
mod handshake;
pub mod host;
pub mod log;

mod connection;
mod connection_holder;
mod crypto;
mod identity;
mod incoming;
mod multiplex;
mod parent_watcher;
mod services;
mod socket;
mod stdout;
mod tls;
mod wire;

#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;

pub use broker::{Broker, DialError};
pub use connection::MESSAGE_SIZE_LIMIT;
pub use environment::Environment;
pub use graceful_shutdown::{GracefulShutdown, ShutdownGuard};
pub use handshake::{
    Address, Handshake, HandshakeLine, HandshakeLineError, UnsupportedVersion, parse_handshake_line,
};
pub use identity::IdentityError;
pub use server::{Server, ServerError, ServerStartError, StopReason};
pub use socket::SocketError;
