//! How secrets are stored and shown: the key of the token service, and its tokens.

use data_encoding::HEXLOWER;
use serde::Serializer;
use sha2::{Digest, Sha256};
use vault_plugin::logical::Sensitive;

/// A salted SHA-256, as `sha256:SALT:DIGEST` in hexadecimal; the digest is that of the salt's 16 bytes and the text. Whoever knows a
/// text can tell whether it is this one. Without the salt, a short text could be looked up in a table.
pub(crate) fn salted_sha256(secret: &Sensitive) -> String {
    let salt: [u8; 16] = rand::random();
    let digest = Sha256::new().chain_update(salt).chain_update(secret.expose().as_bytes()).finalize();
    format!("sha256:{}:{}", HEXLOWER.encode(&salt), HEXLOWER.encode(&digest))
}

/// Writes the text itself, for `serialize_with`: only what is stored, or handed to its owner, names this.
pub(crate) fn serialize_exposed<S: Serializer>(secret: &Sensitive, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_another_salt_each_time_and_a_digest_that_can_be_checked() {
        let secret = Sensitive::from("abc".to_owned());
        let (one, other) = (salted_sha256(&secret), salted_sha256(&secret));
        assert_ne!(one, other);
        let [_, salt, digest] = one.split(':').collect::<Vec<_>>()[..] else { panic!("{one}") };
        let salt = HEXLOWER.decode(salt.as_bytes()).unwrap();
        assert_eq!(salt.len(), 16);
        assert_eq!(digest, HEXLOWER.encode(&Sha256::digest([&salt[..], b"abc"].concat())));
    }
}
