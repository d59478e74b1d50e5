//! The name of a role: one segment of a path, in letters that need no quoting anywhere.

use std::fmt;

use serde::Deserialize;

/// Captures whatever follows as `name`, so that what is no name is refused with the reason and not as an unknown path.
pub(crate) const PATTERN: &str = "(?P<name>.+)";

/// ASCII letters, digits and `_`, with `-` and `.` inside: what `framework.GenericNameRegex` of the Go SDK takes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct RoleName(String);

/// Not the name of a role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} cannot be the name of a role: use the letters A to Z in either case, digits and _, and between them - and ."
)]
pub(crate) struct RoleNameError(String);

impl RoleNameError {
    /// The same for the name of something else.
    pub(crate) fn of(&self, what: &str) -> String {
        self.to_string().replace("of a role", &format!("of a {what}"))
    }
}

impl TryFrom<String> for RoleName {
    type Error = RoleNameError;

    fn try_from(text: String) -> Result<RoleName, RoleNameError> {
        let word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let fits = text.starts_with(word)
            && text.ends_with(word)
            && text.chars().all(|letter| word(letter) || matches!(letter, '-' | '.'));
        if fits { Ok(RoleName(text)) } else { Err(RoleNameError(text)) }
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
    fn a_name_is_one_segment_of_plain_letters() {
        for text in ["a", "developer", "Team_1", "read-only", "v1.2", "a..b", "_"] {
            assert!(RoleName::try_from(text.to_owned()).is_ok(), "{text:?}");
        }
        for text in ["", "-a", "a-", ".", "..", "a/b", "a/../b", "a b", "ünï", "a\n", "a%2Fb"] {
            assert!(RoleName::try_from(text.to_owned()).is_err(), "{text:?}");
        }
    }
}
