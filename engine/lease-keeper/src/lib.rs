//! Keeps a leased credential of Vault or OpenBao valid for as long as a program needs it: renews its lease in time, requests a
//! new credential before the lease reaches its maximum TTL, and revokes everything at shutdown.
//!
//! The crate knows nothing about who uses the credential. Starting a process or writing a file is the caller's part.
//!
//! # Example
//!
//! ```no_run
//! use lease_keeper::{AuthMethod, Event, LifetimeWatcher};
//!
//! # async fn keep(client: vault_api::Client) {
//! let mut watcher = LifetimeWatcher::start(client, AuthMethod::CallerToken, "custom/creds/developer".to_owned());
//! loop {
//!     match watcher.next().await {
//!         Event::Issued { credential, ttl, .. } => {
//!             let token = credential.field("token").expect("the engine returns a token");
//!             println!("received {} bytes, valid for {} s", token.expose().len(), ttl.as_secs());
//!             watcher.revoke_previous();
//!         }
//!         Event::Failed { error } => {
//!             eprintln!("{error}");
//!             break;
//!         }
//!         _ => {}
//!     }
//! }
//! for secret in watcher.shutdown().await {
//!     eprintln!("{secret}");
//! }
//! # }
//! ```
//!
//! # Map
//!
//! - [`LifetimeWatcher`] runs the renewals in a separate task and reports each one as an [`Event`].
//! - [`AuthMethod`] selects the token: the caller's, or that of a login.
//! - [`decide()`] chooses the next action from a [`LeaseTerm`]. It uses no clock and no client, so that it can be tested alone.
//! - [`Credential`] holds the fields of the response and wipes them when it is dropped.
//! - [`UnrevokedSecret`] names what could not be revoked at shutdown.

mod credential;
mod decide;
mod error;
mod event;
mod lease_term;
mod lifetime_watcher;
mod login;
mod revoke;

pub use credential::Credential;
pub use decide::{Action, Decision, HeldTerms, LoginTerm, decide, renewal_timeout};
pub use error::CredentialError;
pub use event::{Event, IssueReason};
pub use lease_term::{Elapsed, LeaseState, LeaseTerm, NextAction};
pub use lifetime_watcher::LifetimeWatcher;
pub use login::{AuthMethod, LoginError};
pub use revoke::{RevocationStatus, UnrevokedSecret};
