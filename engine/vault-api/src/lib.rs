//! The HTTP API of Vault and OpenBao as values: an [`Endpoint`] makes a request and reads its reply, [`Client`] sends.
//!
//! Everything except [`Client`] is pure, so what is asked and how an answer is understood can be tested without a
//! server. Paths are relative to `v1/`; durations are [`std::time::Duration`] and travel as whole seconds.

pub mod capabilities;
pub mod catalog;
pub mod config_state;
pub mod ha;
pub mod health;
pub mod help;
pub mod kubernetes;
pub mod leader;
pub mod leases;
pub mod logical;
pub mod mounts;
pub mod namespaces;
pub mod pins;
pub mod raft;
pub mod reload;
pub mod seal_status;
pub mod step_down;
pub mod token;

mod api_error;
mod call_error;
mod client;
mod client_config;
mod endpoint;
mod proxy;
mod secret_string;

pub use api_error::ApiError;
pub use call_error::{CallError, TransportErrorKind};
pub use client::Client;
pub use client_config::{ClientConfig, ClientError, RedirectPolicy, TlsVerification};
pub use endpoint::{Endpoint, Idempotency, RequestScope};
pub use proxy::Proxies;
pub use secret_string::SecretString;
