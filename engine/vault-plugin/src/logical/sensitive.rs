//! A secret string.

use std::fmt;

use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// A secret string, such as a password or a token. Only [`Sensitive::expose`] reveals it, and it is wiped from memory on drop.
///
/// ```
/// use vault_plugin::logical::Sensitive;
///
/// let password = Sensitive::from("hunter2".to_owned());
/// assert_eq!(format!("{password:?}"), "Sensitive(..)");
/// ```
#[derive(Clone, Default, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Sensitive(String);

impl Sensitive {
    /// Returns the string.
    ///
    /// ```
    /// # use vault_plugin::logical::Sensitive;
    /// assert_eq!(Sensitive::from("hunter2".to_owned()).expose(), "hunter2");
    /// ```
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty.
    ///
    /// ```
    /// # use vault_plugin::logical::Sensitive;
    /// assert!(Sensitive::default().is_empty());
    /// ```
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<String> for Sensitive {
    fn from(text: String) -> Sensitive {
        Sensitive(text)
    }
}

/// Fields and stored entries can be secret. There is no `Serialize`: what is to be shown or stored calls [`Sensitive::expose`].
impl<'de> Deserialize<'de> for Sensitive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Sensitive, D::Error> {
        String::deserialize(deserializer).map(Sensitive)
    }
}

impl fmt::Debug for Sensitive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sensitive(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_show_the_text() {
        assert_eq!(format!("{:?}", Sensitive::from("hunter2".to_owned())), "Sensitive(..)");
    }
}
