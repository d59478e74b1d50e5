//! Secret strings: the key of the token service, and its tokens.

use serde::{Deserialize, Deserializer, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A secret string. It cannot be printed, and its memory is wiped on drop.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct SecretString(Zeroizing<String>);

impl SecretString {
    /// Returns the string. Every caller reveals the secret.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the string is empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a salted SHA-256 as `sha256:SALT:DIGEST` in hexadecimal: the digest of the 16 bytes of the salt and the string. Anyone who
    /// knows a string can verify whether it is this one. Without the salt, a short string could be looked up in a table.
    pub(crate) fn salted_sha256(&self) -> String {
        let salt: [u8; 16] = rand::random();
        let digest = Sha256::new().chain_update(salt).chain_update(self.0.as_bytes()).finalize();
        format!("sha256:{}:{}", hex(&salt), hex(&digest))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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

/// Serializes the string itself, for `serialize_with`. Only used for storage and for responses to the owner.
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
    fn every_digest_has_a_new_salt_and_can_be_verified() {
        let secret = SecretString::from("abc".to_owned());
        let (one, other) = (secret.salted_sha256(), secret.salted_sha256());
        assert_ne!(one, other);
        let [_, salt, digest] = one.split(':').collect::<Vec<_>>()[..] else { panic!("{one}") };
        let salt: Vec<u8> =
            (0..32).step_by(2).map(|at| u8::from_str_radix(&salt[at..at + 2], 16).unwrap()).collect();
        assert_eq!(digest, hex(&Sha256::digest([&salt[..], b"abc"].concat())));
    }
}
