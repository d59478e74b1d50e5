//! Validated names for Kubernetes and Prometheus, and image references. Manifests contain only names that were checked here.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A name that a cluster would refuse.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NameError {
    /// Not a label of RFC 1123.
    #[error(
        "{text:?} is not a valid object name: up to 63 lower-case letters, digits and hyphens, with a letter or digit at both ends"
    )]
    NotALabel { text: String },
    /// Not a key with a value that a label may have.
    #[error("{text:?} is not a label selector such as app.kubernetes.io/name=vault,component=server")]
    NotASelector { text: String },
    /// Not an image reference.
    #[error("{text:?} is not an image reference such as registry.example.com/custom-plugin:1.2.3")]
    NotAnImage { text: String },
    /// Without a tag, or with `latest`.
    #[error("the image {text} has neither tag nor digest, so nodes may run different builds")]
    FloatingImage { text: String },
    /// Relative, or with `..`.
    #[error("{text:?} is not an absolute path of a directory")]
    NotADirectory { text: String },
    /// Not a prefix of a Prometheus metric.
    #[error("{text:?} is not a metric name: letters, digits and underscores, not starting with a digit")]
    NotAMetric { text: String },
}

/// The name of an object: a DNS label, which is valid for every kind of object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub(crate) struct ObjectName(String);

/// Labels that select pods; all must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PodSelector(Vec<(String, String)>);

/// An image with a tag or a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(crate) struct ImageRef(String);

/// An absolute path of a directory in a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContainerDirectory(String);

/// The prefix of a metric's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetricsPrefix(String);

/// Maximum length of a label of RFC 1123.
const MAX_LABEL_LENGTH: usize = 63;

impl ObjectName {
    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends a suffix to the name.
    ///
    /// # Errors
    /// If the result is too long.
    pub(crate) fn with_suffix(&self, ending: &str) -> Result<ObjectName, NameError> {
        format!("{}-{ending}", self.0).parse()
    }
}

impl PodSelector {
    /// Each key with its value.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (String, String)> + '_ {
        self.0.iter().cloned()
    }
}

impl ContainerDirectory {
    /// As text, without a trailing slash.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let right = has_alphanumeric_ends(text) && text.len() <= MAX_LABEL_LENGTH && text.chars().all(inside);
        if right { Ok(Self(text.to_owned())) } else { Err(NameError::NotALabel { text: text.to_owned() }) }
    }
}

impl FromStr for PodSelector {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError::NotASelector { text: text.to_owned() };
        let pair = |pair: &str| {
            let (key, value) = pair.split_once('=')?;
            let name = key.rsplit_once('/').map_or(key, |(_, name)| name);
            let word = |word: &str| {
                word.len() <= MAX_LABEL_LENGTH
                    && has_alphanumeric_ends(word)
                    && word.chars().all(|c| is_label_character(c) || c == '_')
            };
            let prefixed = key.chars().all(|c| is_label_character(c) || c == '_' || c == '/');
            let right = prefixed && word(name) && (value.is_empty() || word(value));
            right.then(|| (key.to_owned(), value.to_owned()))
        };
        text.split(',').map(pair).collect::<Option<Vec<_>>>().map(Self).ok_or_else(wrong)
    }
}

impl FromStr for ImageRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let inside = |c: char| is_label_character(c) || matches!(c, '_' | '/' | ':' | '@');
        let name = text.rsplit_once('/').map_or(text, |(_, name)| name);
        let right = text.chars().all(inside)
            && text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.split([':', '@']).all(|part| !part.is_empty());
        match (right, name.contains([':', '@'])) {
            (false, _) => Err(NameError::NotAnImage { text: text.to_owned() }),
            (true, false) => Err(NameError::FloatingImage { text: text.to_owned() }),
            (true, true) => Ok(Self(text.to_owned())),
        }
    }
}

impl FromStr for ContainerDirectory {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let bare = text.trim_end_matches('/');
        let parts = bare.strip_prefix('/').map(|rest| rest.split('/'));
        let right = parts.is_some_and(|mut parts| parts.all(|part| !["", ".", ".."].contains(&part)))
            // Container runtimes split a mount at the colon.
            && !bare.chars().any(|c| c.is_control() || c == ':');
        if right {
            Ok(Self(bare.to_owned()))
        } else {
            Err(NameError::NotADirectory { text: text.to_owned() })
        }
    }
}

impl FromStr for MetricsPrefix {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let right = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if right { Ok(Self(text.to_owned())) } else { Err(NameError::NotAMetric { text: text.to_owned() }) }
    }
}

impl MetricsPrefix {
    /// As text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_label_character(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-' || c == '.'
}

fn has_alphanumeric_ends(text: &str) -> bool {
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(edge) && text.ends_with(edge)
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ImageRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_dns_label() {
        for text in ["a", "vault", "custom-plugin-2", "0"] {
            assert_eq!(text.parse::<ObjectName>().expect("a name").as_str(), text);
        }
        let long = "a".repeat(64);
        for text in ["", "-a", "a-", "Vault", "a_b", "a.b", "a b", "a\nb", "a: b", "ä", &long] {
            assert!(text.parse::<ObjectName>().is_err(), "{text:?}");
        }
        assert!("a".repeat(60).parse::<ObjectName>().expect("a name").with_suffix("metrics").is_err());
    }

    #[test]
    fn a_selector_is_pairs() {
        let selector: PodSelector =
            "app.kubernetes.io/name=vault,component=server".parse().expect("a selector");
        let labels: Vec<_> = selector.labels().collect();
        assert_eq!(labels[0], ("app.kubernetes.io/name".to_owned(), "vault".to_owned()));
        assert_eq!(labels[1], ("component".to_owned(), "server".to_owned()));
        for text in ["", "a", "a=b,", "a in (b)", "a!=b", "a=b c", "=b", "a=\"b\"", "a/=b"] {
            assert!(text.parse::<PodSelector>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_image_says_which() {
        let digest = format!("registry.example.com:5000/team/plugin@sha256:{}", "a".repeat(64));
        for text in ["busybox:1.36", "127.0.0.1:5000/custom-plugin:0.1.0", &digest] {
            assert!(text.parse::<ImageRef>().is_ok(), "{text}");
        }
        for text in ["busybox", "registry.example.com:5000/plugin"] {
            assert!(matches!(text.parse::<ImageRef>(), Err(NameError::FloatingImage { .. })), "{text}");
        }
        for text in ["", ":1", "a:", "a b:1", "a:1\n", "-a:1", "a/:1"] {
            assert!(matches!(text.parse::<ImageRef>(), Err(NameError::NotAnImage { .. })), "{text:?}");
        }
    }

    #[test]
    fn a_directory_is_absolute_and_leads_nowhere_else() {
        assert_eq!(
            "/vault/plugins/".parse::<ContainerDirectory>().expect("a path").as_str(),
            "/vault/plugins"
        );
        for text in ["", "/", "plugins", "/a/../b", "/a//b", "/a:b", "/a\nb"] {
            assert!(text.parse::<ContainerDirectory>().is_err(), "{text:?}");
        }
    }
}
