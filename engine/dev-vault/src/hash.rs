//! Keyed hashes.

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Computes an HMAC-SHA256 in hex, with a key of several parts.
pub(crate) fn keyed_hash(key: &[&str], text: &str) -> String {
    mac(key, text).map(|mac| HEXLOWER.encode(&mac.finalize().into_bytes())).unwrap_or_default()
}

/// Whether `hash` is the keyed hash of a text. The time does not depend on where they differ.
pub(crate) fn is_keyed_hash(key: &[&str], text: &str, hash: &str) -> bool {
    let hash = HEXLOWER.decode(hash.as_bytes()).ok();
    hash.zip(mac(key, text)).is_some_and(|(hash, mac)| mac.verify_slice(&hash).is_ok())
}

/// HMAC accepts a key of any length, so this is never `None`.
fn mac(key: &[&str], text: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.join("\0").as_bytes()).ok()?;
    mac.update(text.as_bytes());
    Some(mac)
}
