//! Random identifiers and tokens.

use data_encoding::HEXLOWER;
use rand::distr::Alphanumeric;
use rand::{Rng, RngExt};

/// Length of an identifier, as in Vault.
const ID_LENGTH: usize = 24;

/// Returns a random identifier of letters and digits.
pub(crate) fn random_id() -> String {
    rand::rng().sample_iter(Alphanumeric).take(ID_LENGTH).map(char::from).collect()
}

/// Returns random bytes as hex digits.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    rand::rng().fill_bytes(&mut random);
    HEXLOWER.encode(&random)
}

/// Returns a new random token.
pub(crate) fn random_token() -> String {
    format!("hvs.{}", random_id())
}
