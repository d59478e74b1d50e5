//! Random identifiers and tokens.

use rand::RngExt;
use rand::distr::Alphanumeric;

/// Digits of an identifier: as many as Vault's.
const ID_LENGTH: usize = 24;

/// A random identifier of letters and digits.
pub(crate) fn random_id() -> String {
    rand::rng().sample_iter(Alphanumeric).take(ID_LENGTH).map(char::from).collect()
}

/// The text of a new token.
pub(crate) fn random_token() -> String {
    format!("hvs.{}", random_id())
}
