//! Random identifiers and tokens.

use rand::RngExt;
use rand::distr::Alphanumeric;

/// Length of an identifier, as in Vault.
const ID_LENGTH: usize = 24;

/// Returns a random identifier of letters and digits.
pub(crate) fn random_id() -> String {
    rand::rng().sample_iter(Alphanumeric).take(ID_LENGTH).map(char::from).collect()
}

/// Returns a new random token.
pub(crate) fn random_token() -> String {
    format!("hvs.{}", random_id())
}
