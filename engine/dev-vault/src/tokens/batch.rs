//! Batch tokens: the server does not store them, because each contains its record.
//!
//! Vault encrypts the record. A development server has no keys: the record is readable, and authenticated by a keyed hash.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::token::Token;
use crate::StoreError;
use crate::identity::ServerIdentity;

const PREFIX: &str = "hvb.";

/// Separates the keyed hashes of batch tokens from others.
const PURPOSE: &str = "batch-token";

/// Number of hex digits of the keyed hash in front of the record.
const HASH_LENGTH: usize = 64;

/// The encoded record of a batch token; `None` for other tokens.
pub(super) fn payload(token: &str) -> Option<&str> {
    token.strip_prefix(PREFIX)
}

/// Creates a batch token.
pub(super) fn create(identity: &ServerIdentity, token: &mut Token) -> Result<String, StoreError> {
    // Vault does not store these either.
    token.accessor = String::new();
    token.renewable = false;
    let record = serde_json::to_string(token)
        .map_err(|source| StoreError::Encode { key: "a batch token".to_owned(), source })?;
    let hash = identity.keyed_hash(PURPOSE, &record);
    token.hash = format!("b{hash}");
    Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(format!("{hash}{record}"))))
}

/// Reads the record of a batch token. `None` if this server has not created it.
pub(super) fn open(identity: &ServerIdentity, payload: &str) -> Option<Token> {
    let decoded = String::from_utf8(URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let (hash, record) = decoded.split_at_checked(HASH_LENGTH)?;
    if !identity.is_keyed_hash(PURPOSE, record, hash) {
        return None;
    }
    serde_json::from_str(record).ok().map(|token: Token| Token { hash: format!("b{hash}"), ..token })
}
