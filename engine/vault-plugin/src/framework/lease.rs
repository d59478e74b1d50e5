//! Leased secrets: issue, renewal and revocation.

mod leased_secret;
mod secret_type;
pub mod ttl;

pub use leased_secret::{Lease, LeasedSecret};
pub use secret_type::SecretType;
pub(crate) use secret_type::secret_type;
