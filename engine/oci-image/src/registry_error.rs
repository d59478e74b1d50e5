//! Errors of a registry.

use std::error::Error as _;
use std::path::PathBuf;

use oci_client::errors::{OciDistributionError, OciErrorCode};

use crate::digest::Digest;

/// An error of a registry. Blobs that a push has uploaded stay in the registry, and the next push skips them. The tag is written last.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the error message above each variant explains its fields")]
#[non_exhaustive]
pub enum RegistryError {
    /// The registry returned 401, or its token service refused the credentials.
    #[error("{registry} refused the credentials: {message}")]
    Unauthorized { registry: String, message: String },
    /// The registry returned 403 or `DENIED`.
    #[error("{registry} denied access to {repository}: {message}")]
    Denied { registry: String, repository: String, message: String },
    /// The connection or TLS failed.
    #[error("could not connect to {registry}: {message}")]
    Unreachable { registry: String, message: String },
    /// Every attempt failed with 429, 5xx, or a lost connection.
    #[error("could not {operation}: {registry} failed {attempts} times; last error: {message}")]
    RetriesExhausted { operation: String, registry: String, attempts: usize, message: String },
    /// The registry returned another error.
    #[error("could not {operation}: {registry} returned: {message}")]
    UnexpectedResponse { operation: String, registry: String, message: String },
    /// The tag refers to another image than the pushed one.
    #[error("digest mismatch after the push to {registry}: expected {expected}, got {actual}")]
    WrongDigest { registry: String, expected: Digest, actual: String },
    /// A file of the layout, or a certificate, could not be read.
    #[error("could not read {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Classes of errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegistryErrorKind {
    Unauthorized,
    Denied,
    Connection,
    /// A retry may succeed.
    Transient,
    NotFound,
    Permanent,
}

impl RegistryError {
    /// Tells the user how to fix the error.
    pub fn hint(&self) -> String {
        match self {
            Self::Unauthorized { registry, .. } => format!(
                "Log in with `docker login {registry}`, or add credentials to config.json in the directory of DOCKER_CONFIG."
            ),
            Self::Denied { .. } => {
                "Log in as a user with access, and create the repository if the registry requires that.".to_owned()
            }
            Self::Unreachable { .. } => {
                "Check the name. Use --registry-ca for a private certificate authority, or --plain-http for a registry without TLS.".to_owned()
            }
            Self::RetriesExhausted { .. } => "Run the same command again later; uploaded blobs are not sent again.".to_owned(),
            Self::UnexpectedResponse { .. } => "Check the log of the registry. Uploaded blobs are not sent again.".to_owned(),
            Self::WrongDigest { .. } => {
                "Another push to the same tag ran at the same time, or the registry modifies images. Push again with a different tag."
                    .to_owned()
            }
            Self::Io { .. } => "Check that the file exists and is readable, and run the command again.".to_owned(),
        }
    }
}

/// Classifies an error of the registry.
pub(crate) fn classify(error: &OciDistributionError) -> RegistryErrorKind {
    match error {
        OciDistributionError::UnauthorizedError { .. } => RegistryErrorKind::Unauthorized,
        // The token service refused the credentials. Its other failures have different variants.
        OciDistributionError::AuthenticationFailure(_) => RegistryErrorKind::Unauthorized,
        OciDistributionError::ServerError { code, .. } => classify_status(*code),
        OciDistributionError::RegistryError { envelope, .. } => {
            let is = |code| envelope.errors.iter().any(|error| error.code == code);
            if is(OciErrorCode::Toomanyrequests) {
                RegistryErrorKind::Transient
            } else if is(OciErrorCode::Unauthorized) {
                RegistryErrorKind::Unauthorized
            } else if is(OciErrorCode::Denied) {
                RegistryErrorKind::Denied
            } else if is(OciErrorCode::ManifestUnknown) || is(OciErrorCode::NameUnknown) {
                RegistryErrorKind::NotFound
            } else {
                RegistryErrorKind::Permanent
            }
        }
        OciDistributionError::RequestError(error) => match error.status() {
            Some(status) => classify_status(status.as_u16()),
            None if error.is_builder() => RegistryErrorKind::Permanent,
            None => RegistryErrorKind::Connection,
        },
        OciDistributionError::ImageManifestNotFoundError(_) => RegistryErrorKind::NotFound,
        _ => RegistryErrorKind::Permanent,
    }
}

fn classify_status(status: u16) -> RegistryErrorKind {
    match status {
        401 => RegistryErrorKind::Unauthorized,
        403 => RegistryErrorKind::Denied,
        404 => RegistryErrorKind::NotFound,
        408 | 429 | 500..=599 => RegistryErrorKind::Transient,
        _ => RegistryErrorKind::Permanent,
    }
}

/// Describes an error without the URL, because the URL of an upload contains a session key.
pub(crate) fn describe(error: &OciDistributionError) -> String {
    match error {
        OciDistributionError::ServerError { code, message, url: _ } => match one_line_message(message) {
            text if text.is_empty() => format!("status {code}"),
            text => format!("status {code}: {text}"),
        },
        OciDistributionError::UnauthorizedError { url: _ } => "status 401".to_owned(),
        OciDistributionError::AuthenticationFailure(message) => match one_line_message(message) {
            text if text.is_empty() => "no token returned".to_owned(),
            text => text,
        },
        OciDistributionError::RegistryError { envelope, url: _ } => {
            let messages: Vec<String> = envelope
                .errors
                .iter()
                .map(|error| {
                    let code = serde_json::to_value(&error.code).unwrap_or_default();
                    format!("{} {}", code.as_str().unwrap_or_default(), one_line_message(&error.message))
                        .trim()
                        .to_owned()
                })
                .collect();
            messages.join(", ")
        }
        OciDistributionError::RequestError(error) => match error.status() {
            Some(status) => format!("status {}", status.as_u16()),
            None => {
                let causes = std::iter::successors(error.source(), |cause| (*cause).source());
                causes.last().map_or_else(|| "the connection was lost".to_owned(), ToString::to_string)
            }
        },
        other => one_line_message(&other.to_string()),
    }
}

/// Extracts the message of the registry, if there is one. Returns one line of limited length.
pub(crate) fn one_line_message(text: &str) -> String {
    let document = serde_json::from_str::<serde_json::Value>(text).ok();
    let message = document.as_ref().and_then(|document| {
        let error = document.pointer("/errors/0")?;
        let part = |name: &str| error.get(name).and_then(serde_json::Value::as_str);
        Some(format!("{} {}", part("code").unwrap_or_default(), part("message").unwrap_or_default()))
    });
    let text = message.unwrap_or_else(|| text.to_owned());
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_errors_are_distinguished_from_permanent_ones() {
        for (status, expected) in [
            (401, RegistryErrorKind::Unauthorized),
            (403, RegistryErrorKind::Denied),
            (404, RegistryErrorKind::NotFound),
            (400, RegistryErrorKind::Permanent),
            (429, RegistryErrorKind::Transient),
            (500, RegistryErrorKind::Transient),
            (503, RegistryErrorKind::Transient),
        ] {
            let error = OciDistributionError::ServerError {
                code: status,
                url: "https://registry.example.com/v2/plugin/blobs/uploads/1?_state=hunter2".into(),
                message: String::new(),
            };
            assert_eq!(classify(&error), expected, "{status}");
            assert_eq!(describe(&error), format!("status {status}"));
        }
    }

    #[test]
    fn the_message_of_a_registry_is_shown_on_one_line() {
        for (text, expected) in [
            (
                r#"{"errors":[{"code":"DIGEST_INVALID","message":"digest did not match"}]}"#,
                "DIGEST_INVALID digest did not match",
            ),
            ("<html>\n  Bad Gateway</html>", "<html> Bad Gateway</html>"),
            ("", ""),
        ] {
            assert_eq!(one_line_message(text), expected);
        }
    }
}
