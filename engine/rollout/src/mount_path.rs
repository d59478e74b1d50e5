//! Paths of mounts.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::version::Version;

/// Prefix of the path of every canary mount.
pub(crate) const CANARY_MOUNT_PREFIX: &str = "vault-token-plugin-canary/";

/// The path of a mount.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MountPath(String);

/// A text that is not a mount path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a mount path such as custom or team/custom")]
pub struct MountPathError {
    text: String,
}

impl MountPath {
    /// Returns the path of the canary mount of a version.
    pub(crate) fn canary(plugin: &str, version: &Version) -> Self {
        // A plus sign in a URL would have to be encoded.
        let version = version.to_string().replace('+', "_");
        Self(format!("{CANARY_MOUNT_PREFIX}{plugin}-{version}/"))
    }

    /// Whether it is a canary mount, which no client should use and no upgrade moves.
    pub fn is_canary(&self) -> bool {
        self.0.starts_with(CANARY_MOUNT_PREFIX)
    }

    /// Returns the path with a trailing slash, as servers list it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns a path below the mount.
    pub fn join(&self, below: &str) -> String {
        format!("{}{}", self.0, below.trim_matches('/'))
    }

    /// Whether one of the two paths is below the other, which Vault does not allow.
    pub(crate) fn overlaps(&self, other: &str) -> bool {
        self.0 != other && (self.0.starts_with(other) || other.starts_with(&self.0))
    }
}

impl FromStr for MountPath {
    type Err = MountPathError;

    fn from_str(text: &str) -> Result<Self, MountPathError> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let invalid = path.is_empty()
            || path.split('/').any(|part| part.is_empty() || part == "." || part == "..")
            || path.chars().any(|c| c.is_whitespace() || c.is_control());
        if invalid { Err(MountPathError { text: text.to_owned() }) } else { Ok(Self(format!("{path}/"))) }
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for MountPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_path_has_one_form() {
        for text in ["custom", "custom/"] {
            assert_eq!(text.parse::<MountPath>().expect("a path").as_str(), "custom/");
        }
        assert_eq!("a/b".parse::<MountPath>().expect("a path").join("/config"), "a/b/config");
        for text in ["", "/", "/custom", "a//b", "a b", "../a"] {
            assert!(text.parse::<MountPath>().is_err(), "{text:?}");
        }
    }
}
