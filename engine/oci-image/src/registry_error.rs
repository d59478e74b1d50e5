//! What a registry did not do.

use std::error::Error as _;
use std::path::PathBuf;

use oci_client::errors::{OciDistributionError, OciErrorCode};

use crate::digest::Digest;

/// What did not end well. What a push has uploaded stays, and the next one skips it; the name is given last.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are the words of the sentence above them")]
#[non_exhaustive]
pub enum RegistryError {
    /// 401, or the token service said no.
    #[error("{registry} does not let us in: {said}")]
    Unauthorized { registry: String, said: String },
    /// 403, or `DENIED`.
    #[error("{registry} does not let us use {repository}: {said}")]
    Denied { registry: String, repository: String, said: String },
    /// No connection, or no TLS.
    #[error("could not reach {registry}: {said}")]
    Unreachable { registry: String, said: String },
    /// 429, 5xx, or a broken connection, again and again.
    #[error("could not {what}: {registry} failed {attempts} times, at last with: {said}")]
    RetriesExhausted { what: String, registry: String, attempts: usize, said: String },
    /// Any other answer.
    #[error("could not {what}: {registry} said: {said}")]
    UnexpectedResponse { what: String, registry: String, said: String },
    /// What is there is not what was pushed.
    #[error("{registry} has {there} under the name that {wanted} was pushed to")]
    WrongDigest { registry: String, wanted: Digest, there: String },
    /// A file of the layout, or a certificate.
    #[error("could not read {path}")]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

/// Which kind of trouble an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RegistryErrorKind {
    Unauthorized,
    Denied,
    Connection,
    /// May work in a moment.
    Transient,
    NotFound,
    Permanent,
}

impl RegistryError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Unauthorized { registry, .. } => format!(
                "Log in with `docker login {registry}`, or put credentials into config.json of the directory that DOCKER_CONFIG names."
            ),
            Self::Denied { .. } => {
                "Log in as somebody who may use it, and see that it exists where the registry wants that.".to_owned()
            }
            Self::Unreachable { .. } => {
                "Is the name right? A private authority is named with --registry-ca, a registry without TLS with --plain-http.".to_owned()
            }
            Self::RetriesExhausted { .. } => "Run the same command again in a while: what is there already is not sent again.".to_owned(),
            Self::UnexpectedResponse { .. } => "Look into the registry's log. What is there already is not sent again.".to_owned(),
            Self::WrongDigest { .. } => {
                "Somebody else pushed to that name at the same time, or the registry changes what it stores: push again, under a name of its own."
                    .to_owned()
            }
            Self::Io { .. } => "Run it again.".to_owned(),
        }
    }
}

/// Sorts an answer of the registry.
pub(crate) fn classify(error: &OciDistributionError) -> RegistryErrorKind {
    match error {
        OciDistributionError::UnauthorizedError { .. } => RegistryErrorKind::Unauthorized,
        // A token service that says no; one that has a fault says so in another way.
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

/// A sentence about it, without the address: that of an upload carries a key of the session.
pub(crate) fn describe(error: &OciDistributionError) -> String {
    match error {
        OciDistributionError::ServerError { code, message, url: _ } => match one_line_message(message) {
            text if text.is_empty() => format!("status {code}"),
            text => format!("status {code}: {text}"),
        },
        OciDistributionError::UnauthorizedError { url: _ } => "status 401".to_owned(),
        OciDistributionError::AuthenticationFailure(message) => match one_line_message(message) {
            text if text.is_empty() => "no token was given".to_owned(),
            text => text,
        },
        OciDistributionError::RegistryError { envelope, url: _ } => {
            let said: Vec<String> = envelope
                .errors
                .iter()
                .map(|error| {
                    let code = serde_json::to_value(&error.code).unwrap_or_default();
                    format!("{} {}", code.as_str().unwrap_or_default(), one_line_message(&error.message))
                        .trim()
                        .to_owned()
                })
                .collect();
            said.join(", ")
        }
        OciDistributionError::RequestError(error) => match error.status() {
            Some(status) => format!("status {}", status.as_u16()),
            None => {
                let causes = std::iter::successors(error.source(), |cause| (*cause).source());
                causes.last().map_or_else(|| "the connection broke".to_owned(), ToString::to_string)
            }
        },
        other => one_line_message(&other.to_string()),
    }
}

/// The registry's own message if there is one in it, in one line that has an end.
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
    fn what_may_work_in_a_moment_is_told_from_what_will_not() {
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
    fn a_registrys_own_words_are_shown_in_one_line() {
        for (text, shown) in [
            (
                r#"{"errors":[{"code":"DIGEST_INVALID","message":"digest did not match"}]}"#,
                "DIGEST_INVALID digest did not match",
            ),
            ("<html>\n  Bad Gateway</html>", "<html> Bad Gateway</html>"),
            ("", ""),
        ] {
            assert_eq!(one_line_message(text), shown);
        }
    }
}
