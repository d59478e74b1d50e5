//! Strings that must not be shown: tokens, keys, values to write.

use zeroize::Zeroizing;

/// A secret string. It cannot be displayed or serialized, and its memory is wiped when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// Wraps a string.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the string. Each call of this method is a place where the secret may leak.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the string is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for SecretString {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl std::fmt::Debug for SecretString {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretString(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::SecretString;

    #[test]
    fn debug_output_does_not_show_the_secret() {
        let shown = format!("{:?}", SecretString::new("hunter2"));
        assert_eq!(shown, "SecretString(redacted)");
    }
}
