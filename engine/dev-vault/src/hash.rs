//! Hashes in hex.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Computes an HMAC-SHA256 in hex, with a key of several parts.
pub(crate) fn keyed_hash(key: &[&str], text: &str) -> String {
    // HMAC accepts a key of any length, so this does not fail.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key.join("\0").as_bytes()) else { return String::new() };
    mac.update(text.as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// Formats bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
