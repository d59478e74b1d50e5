//! Text that must not be seen: the key of the token service, and its tokens.

use serde::{Deserialize, Deserializer, Serializer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A secret text. It cannot be printed, and its memory is wiped when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Secret(Zeroizing<String>);

impl Secret {
    /// The text itself. Everything that calls this is a place where the secret leaves.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is no text at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The SHA-256 of the text in hexadecimal, by which two secrets can be compared by eye.
    pub(crate) fn sha256(&self) -> String {
        Sha256::digest(self.0.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
        String::deserialize(deserializer).map(Secret::from)
    }
}

/// Writes the text itself, for `serialize_with`: only what is stored, or handed to its owner, names this.
pub(crate) fn in_clear<S: Serializer>(secret: &Secret, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_sha256sum() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Secret::from("abc".to_owned()).sha256(), expected);
    }
}
