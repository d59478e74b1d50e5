//! Text that must not be seen: a token, a key, a value to be written.

use zeroize::Zeroizing;

/// A secret text. It cannot be printed or serialized, and its memory is wiped when it is dropped.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Everything that calls this is a place where the secret leaves.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// True when there is no text at all.
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
        f.write_str("Secret(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::SecretString;

    #[test]
    fn debug_output_does_not_show_it() {
        let shown = format!("{:?}", SecretString::new("hunter2"));
        assert_eq!(shown, "Secret(hidden)");
    }
}
