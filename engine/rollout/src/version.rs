//! Versions of plugins.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A semantic version. File names contain it without a prefix (`custom-1.2.3`), Vault prefixes it (`v1.2.3`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Version(semver::Version);

/// A text that is not a semantic version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a semantic version such as 1.2.3")]
pub struct VersionError {
    text: String,
}

impl Version {
    /// Returns the version as in Vault, for example `v1.2.3`.
    pub fn v_prefixed(&self) -> String {
        format!("v{}", self.0)
    }

    /// Whether the version is part of the server, such as `v0.25.0+builtin.vault`.
    pub fn is_builtin(&self) -> bool {
        self.0.build.split('.').any(|part| part == "builtin")
    }
}

impl FromStr for Version {
    type Err = VersionError;

    /// Parses a version with or without a `v`. All three numbers are required, because Vault would append missing ones.
    fn from_str(text: &str) -> Result<Self, VersionError> {
        let version = text.strip_prefix('v').unwrap_or(text);
        version.parse().map(Self).map_err(|_| VersionError { text: text.to_owned() })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Version;

    #[test]
    fn both_spellings_are_one_version() {
        let version: Version = "v1.2.3-rc.1+b".parse().expect("a version");
        assert_eq!(version, "1.2.3-rc.1+b".parse().expect("a version"));
        assert_eq!(
            (version.to_string().as_str(), version.v_prefixed().as_str()),
            ("1.2.3-rc.1+b", "v1.2.3-rc.1+b")
        );
    }

    #[test]
    fn incomplete_versions_are_refused() {
        for text in ["", "v", "1", "1.2", "latest", "1.2.3.4", "vv1.2.3", "01.2.3"] {
            assert!(text.parse::<Version>().is_err(), "{text}");
        }
    }

    #[test]
    fn builtin_versions_are_recognized() {
        assert!("v0.25.0+builtin.vault".parse::<Version>().expect("a version").is_builtin());
        assert!("v1.21.4+builtin".parse::<Version>().expect("a version").is_builtin());
        assert!(!"v1.0.0+mybuiltin".parse::<Version>().expect("a version").is_builtin());
    }
}
