//! A client for the HTTP API of Vault and OpenBao, as far as operating plugins needs it.
//!
//! Each call is a value that implements [`Endpoint`]: it builds the request and parses the reply. Both functions are pure, so an
//! endpoint can be tested without a server. [`Client`] sends endpoints; it adds address, token and namespace, retries what is safe
//! to retry, and follows redirects to the active node.
//!
//! Paths are relative to `v1/`. Durations are [`std::time::Duration`]; they are sent as whole seconds.
//!
//! # Example
//!
//! ```no_run
//! use vault_api::{Client, ClientConfig, health, mounts};
//!
//! # async fn show() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::new(&ClientConfig::new("https://vault.example.com:8200"))?;
//! let health = client.send(&health::Read).await?;
//! println!("{} {}, sealed: {}", health.product, health.version, health.sealed);
//! for (path, mount) in client.send(&mounts::List).await? {
//!     println!("{path}: {} {}", mount.plugin, mount.running_version);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Map
//!
//! - Requests: [`Endpoint`], [`Client`], and [`ClientConfig`] with TLS, timeouts and [`Proxies`].
//! - Errors: [`CallError`], which is an [`ApiError`] if the server responded.
//! - Plugins: [`catalog`], [`pins`], [`mounts`], [`database`], [`reload`], [`help`].
//! - Secrets: [`logical`] for any path, [`leases`], [`token`], [`login`] for any auth method, [`auth_kubernetes`] for the login of a pod.
//! - The server: [`health`], [`seal_status`], [`leader`], [`ha`], [`raft`], [`step_down`], [`config_state`].
//! - Access: [`capabilities`], [`identity`], [`namespaces`].

pub mod auth_kubernetes;
pub mod capabilities;
pub mod catalog;
pub mod config_state;
pub mod database;
pub mod ha;
pub mod health;
pub mod help;
pub mod identity;
pub mod leader;
pub mod leases;
pub mod logical;
pub mod login;
pub mod mounts;
pub mod namespaces;
pub mod pins;
pub mod raft;
pub mod reload;
pub mod seal_status;
pub mod step_down;
pub mod token;

#[cfg(feature = "testing")]
#[doc(hidden)]
pub mod testing;

mod api_error;
mod call_error;
mod client;
mod client_config;
mod endpoint;
mod secret_string;

pub use api_error::ApiError;
pub use call_error::{CallError, TransportErrorKind};
pub use client::Client;
pub use client_config::{ClientConfig, ClientError, RedirectPolicy, TlsVerification};
pub use endpoint::{Endpoint, Idempotency, RequestScope};
pub use http_proxy::Proxies;
pub use secret_string::SecretString;
