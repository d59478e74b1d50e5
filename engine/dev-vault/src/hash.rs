//! Keyed hashes.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Computes an HMAC-SHA256 in hex, with a key of several parts.
pub(crate) fn keyed_hash(key: &[&str], text: &str) -> String {
    // HMAC accepts a key of any length, so this does not fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.join("\0").as_bytes()) else { return String::new() };
    mac.update(text.as_bytes());
    HEXLOWER.encode(&mac.finalize().into_bytes())
}
