//! The name of a role: one path segment of characters that need no quoting.

use std::fmt;

use serde::Deserialize;

/// Captures the rest of the path as `name`, so that an invalid name is rejected with a reason and not as an unknown path.
pub(crate) const PATTERN: &str = "(?P<name>.+)";

/// ASCII letters, digits and `_`, with `-` and `.` inside, like `framework.GenericNameRegex` of the Go SDK.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RoleName(String);

/// An invalid name of a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be the name of a role: use the letters A to Z in either case, digits and _, and between them - and ."
)]
pub(crate) struct RoleNameError(String);

impl RoleNameError {
    /// Returns the message for the name of another object.
    pub(crate) fn of(&self, object: &str) -> String {
        self.to_string().replace("of a role", &format!("of a {object}"))
    }
}

impl TryFrom<String> for RoleName {
    type Error = RoleNameError;

    fn try_from(text: String) -> Result<RoleName, RoleNameError> {
        let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let is_valid = text.starts_with(word)
            && text.ends_with(word)
            && text.chars().all(|letter| word(letter) || matches!(letter, '-' | '.'));
        if is_valid { Ok(RoleName(text)) } else { Err(RoleNameError(text)) }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_segment_of_plain_characters() {
        for text in ["a", "developer", "Team_1", "read-only", "v1.2", "a..b", "_"] {
            assert!(RoleName::try_from(text.to_owned()).is_ok(), "{text:?}");
        }
        for text in ["", "-a", "a-", ".", "..", "a/b", "a/../b", "a b", "ünï", "a\n", "a%2Fb"] {
            assert!(RoleName::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
