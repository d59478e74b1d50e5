//! Text that must not be seen: the key of the token service, and its tokens.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A secret text. It cannot be printed, and its memory is wiped when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct SecretString(Zeroizing<String>);

impl SecretString {
    /// The text itself. Everything that calls this is a place where the secret leaves.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A salted SHA-256, as `sha256:SALT:DIGEST` in hexadecimal; the digest is that of the salt's 16 bytes and the text. Whoever knows a
    /// text can tell whether it is this one. Without the salt, a short text could be looked up in a table.
    pub(crate) fn salted_sha256(&self) -> String {
        let salt: [u8; 16] = rand::random();
        let digest = Sha256::new().chain_update(salt).chain_update(self.0.as_bytes()).finalize();
        format!("sha256:{}:{}", HEXLOWER.encode(&salt), HEXLOWER.encode(&digest))
    }
}

impl From<String> for SecretString {
    fn from(text: String) -> SecretString {
        SecretString(Zeroizing::new(text))
    }
}

impl<'de> Deserialize<'de> for SecretString {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretString, D::Error> {
        String::deserialize(deserializer).map(SecretString::from)
    }
}

/// Writes the text itself, for `serialize_with`: only what is stored, or handed to its owner, names this.
pub(crate) fn serialize_exposed<S: Serializer>(
    secret: &SecretString,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_another_salt_each_time_and_a_digest_that_can_be_checked() {
        let secret = SecretString::from("abc".to_owned());
        let (one, other) = (secret.salted_sha256(), secret.salted_sha256());
        assert_ne!(one, other);
        let [_, salt, digest] = one.split(':').collect::<Vec<_>>()[..] else { panic!("{one}") };
        let salt = HEXLOWER.decode(salt.as_bytes()).unwrap();
        assert_eq!(salt.len(), 16);
        assert_eq!(digest, HEXLOWER.encode(&Sha256::digest([&salt[..], b"abc"].concat())));
    }
}
