//! Path of a mount.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::version::Version;

/// What every canary's path begins with.
pub(crate) const CANARY_MOUNT_PREFIX: &str = "vault-token-plugin-canary/";

/// Path of a mount, with its trailing slash.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MountPath(String);

/// Not a mount path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a mount path such as custom or team/custom")]
pub struct MountPathError {
    text: String,
}

impl MountPath {
    /// The mount of the canary of one version of a plugin.
    pub(crate) fn canary(plugin: &str, version: &Version) -> Self {
        // A plus sign in a path would have to be encoded by everybody who looks at it.
        let version = version.to_string().replace('+', "_");
        Self(format!("{CANARY_MOUNT_PREFIX}{plugin}-{version}/"))
    }

    /// Whether it is the mount of a canary, which no upgrade moves and nobody should use.
    pub fn is_canary(&self) -> bool {
        self.0.starts_with(CANARY_MOUNT_PREFIX)
    }

    /// With its trailing slash, as servers list it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A path below the mount.
    pub fn join(&self, below: &str) -> String {
        format!("{}{}", self.0, below.trim_matches('/'))
    }

    /// True when one of the two lies below the other, which Vault does not allow.
    pub(crate) fn overlaps(&self, other: &str) -> bool {
        self.0 != other && (self.0.starts_with(other) || other.starts_with(&self.0))
    }
}

impl FromStr for MountPath {
    type Err = MountPathError;

    fn from_str(text: &str) -> Result<Self, MountPathError> {
        let bare = text.strip_suffix('/').unwrap_or(text);
        let wrong = bare.is_empty()
            || bare.split('/').any(|part| part.is_empty() || part == "." || part == "..")
            || bare.chars().any(|c| c.is_whitespace() || c.is_control());
        if wrong { Err(MountPathError { text: text.to_owned() }) } else { Ok(Self(format!("{bare}/"))) }
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
