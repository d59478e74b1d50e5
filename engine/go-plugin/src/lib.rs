//! The hashicorp/go-plugin protocol: how a host starts a plugin process, trusts it, and talks gRPC with it.
//!
//! [`Server`] is the plugin's side, [`host`] the host's. Neither knows what the application services are: the cookie,
//! the protocol versions and the [`tonic::service::Routes`] are the caller's. The behaviour is that of go-plugin 1.6 to
//! 1.8 over gRPC; the older net/rpc transport is not spoken.
//!
//! A plugin in four lines:
//!
//! ```no_run
//! # async fn run(routes: tonic::service::Routes) -> Result<(), Box<dyn std::error::Error>> {
//! use go_plugin::{Environment, Handshake, Server};
//!
//! const HANDSHAKE: Handshake =
//!     Handshake { cookie_key: "MY_PLUGIN", cookie_value: "6f0b", protocol_versions: &[1] };
//!
//! let server = Server::start(&HANDSHAKE, Environment::from_process()).await?;
//! server.serve(routes).await?;
//! # Ok(()) }
//! ```

#![warn(missing_debug_implementations)]

mod server;

mod broker;
mod environment;
mod graceful_shutdown;
mod handshake;
pub mod host;
pub mod log;

mod connection;
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
