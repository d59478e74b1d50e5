//! Hashing and serialization of secrets: the key of the token service, and its tokens.

use data_encoding::HEXLOWER;
use serde::Serializer;
use sha2::{Digest, Sha256};
use vault_plugin::logical::Sensitive;

/// Returns a salted SHA-256 as `sha256:SALT:DIGEST` in hexadecimal: the digest of the 16 bytes of the salt and the string. A caller
/// that knows a string can verify whether it is this one. Without the salt, a short string could be looked up in a table.
pub(crate) fn salted_sha256(secret: &Sensitive) -> String {
    let salt: [u8; 16] = rand::random();
    let digest = Sha256::new().chain_update(salt).chain_update(secret.expose().as_bytes()).finalize();
    format!("sha256:{}:{}", HEXLOWER.encode(&salt), HEXLOWER.encode(&digest))
}

/// Returns whether this is a salted hash of the string, as [`salted_sha256`] returns it.
pub(crate) fn is_hash_of(hash: &str, secret: &Sensitive) -> bool {
    let mut parts = hash.split(':').skip(1);
    let (Some(salt), Some(digest)) = (parts.next(), parts.next()) else { return false };
    let Ok(salt) = HEXLOWER.decode(salt.as_bytes()) else { return false };
    let computed = Sha256::new().chain_update(salt).chain_update(secret.expose().as_bytes()).finalize();
    HEXLOWER.encode(&computed) == digest
}

/// Serializes the string itself, for `serialize_with`. Only used for storage and for responses to the owner.
pub(crate) fn serialize_exposed<S: Serializer>(secret: &Sensitive, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digest_has_a_new_salt_and_can_be_verified() {
        let secret = Sensitive::from("abc".to_owned());
        let (one, other) = (salted_sha256(&secret), salted_sha256(&secret));
        assert_ne!(one, other);
        let [_, salt, digest] = one.split(':').collect::<Vec<_>>()[..] else { panic!("{one}") };
        let salt = HEXLOWER.decode(salt.as_bytes()).unwrap();
        assert_eq!(salt.len(), 16);
        assert_eq!(digest, HEXLOWER.encode(&Sha256::digest([&salt[..], b"abc"].concat())));
        assert!(is_hash_of(&one, &secret) && is_hash_of(&other, &secret));
        for hash in ["", "sha256", "sha256:no", "sha256:no:no", &one[..one.len() - 1]] {
            assert!(!is_hash_of(hash, &secret), "{hash}");
        }
        assert!(!is_hash_of(&one, &Sensitive::from("abd".to_owned())));
    }
}
