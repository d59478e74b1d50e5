//! Keeps a leased credential of a Vault or OpenBao alive: renews it in time, gets another one when that is at its end, and
//! revokes what is left.
//!
//! What to do next is decided by [`decide`], without a clock and without a client; [`Keeping`] does it. This room knows nothing
//! of who uses the credential: no process, no file, no terminal.

mod credential;
mod decide;
mod end;
mod event;
mod keeping;
mod login;
mod term;

pub use credential::Credential;
pub use decide::{Action, Decision, Held, Login, decide, patience};
pub use end::{LivesOn, Revocation};
pub use event::{Event, Why};
pub use keeping::{KeepError, Keeping};
pub use login::{Auth, LoginError};
pub use term::{Due, Moment, Standing, Term};
