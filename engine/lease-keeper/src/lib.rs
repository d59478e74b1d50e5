//! Keeps a leased credential of a Vault or OpenBao alive: renews it in time, gets another one when that is at its end, and
//! revokes what is left.
//!
//! What to do next is decided by [`decide`], without a clock and without a client; [`LifetimeWatcher`] does it. This room knows nothing
//! of who uses the credential: no process, no file, no terminal.

mod credential;
mod decide;
mod error;
mod event;
mod lease_term;
mod lifetime_watcher;
mod login;
mod revoke;

pub use credential::Credential;
pub use decide::{Action, Decision, HeldSecrets, LoginTerm, decide, renewal_timeout};
pub use error::CredentialError;
pub use event::{Event, IssueReason};
pub use lease_term::{Elapsed, LeaseState, LeaseTerm, NextAction};
pub use lifetime_watcher::LifetimeWatcher;
pub use login::{AuthMethod, LoginError};
pub use revoke::{RevocationStatus, UnrevokedSecret};
