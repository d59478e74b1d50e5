//! The server's own "no", with its words.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::Deserialize;

/// An answer that is an error, or one that is not what the endpoint answers.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{method} {path} was answered with {status}{}", summary(errors))]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// The server's texts, verbatim. May be empty: a 404 of Vault often says nothing.
    pub errors: Vec<String>,
    /// The server's warnings, verbatim.
    pub warnings: Vec<String>,
    /// Method of the request.
    pub method: Method,
    /// Path of the request from `v1/` on, without its query.
    pub path: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    errors: Option<Vec<String>>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

/// Longest part of a body that is not JSON which is repeated in an error: enough for a proxy's one-line complaint.
const MAX_PLAIN_TEXT: usize = 300;

impl ApiError {
    /// The error that a reply carries. The client names the request afterwards with [`ApiError::with_request`].
    pub fn from_reply(reply: &Response<Bytes>) -> Self {
        let (errors, warnings) = match serde_json::from_slice::<ErrorBody>(reply.body()) {
            Ok(body) => (body.errors.unwrap_or_default(), body.warnings.unwrap_or_default()),
            Err(_) => (plain_text_errors(reply.body()), Vec::new()),
        };
        Self { status: reply.status(), errors, warnings, method: Method::GET, path: String::new() }
    }

    /// A reply with a shape that this endpoint does not have. What stands in the reply is not repeated: it may be
    /// secret.
    pub fn malformed_reply(reply: &Response<Bytes>, cause: Option<&serde_json::Error>) -> Self {
        let place = match cause {
            Some(error) => format!(" (line {}, column {})", error.line(), error.column()),
            None => " (it has no data)".to_owned(),
        };
        let text = format!("the reply is not in the form that this endpoint has{place}");
        Self {
            status: reply.status(),
            errors: vec![text],
            warnings: Vec::new(),
            method: Method::GET,
            path: String::new(),
        }
    }

    /// Names the request.
    #[must_use]
    pub fn with_request(mut self, method: Method, path: &str) -> Self {
        self.method = method;
        self.path = path.trim_start_matches('/').to_owned();
        self
    }

    /// The token may not do this (403).
    pub fn is_permission_denied(&self) -> bool {
        self.status == StatusCode::FORBIDDEN
    }

    /// The server does not know the token: it is wrong, expired or revoked.
    pub fn is_invalid_token(&self) -> bool {
        self.is_permission_denied() && self.has_message("invalid token")
    }

    /// The server is sealed or not yet initialized.
    pub fn is_sealed(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
            && (self.has_message("is sealed") || self.has_message("not initialized"))
    }

    /// Nothing is there (404).
    pub fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// Nothing is there and the server has nothing to say about it: the value does not exist.
    pub fn is_absent(&self) -> bool {
        self.is_not_found() && self.errors.is_empty()
    }

    /// This server, or this namespace, does not have the path.
    pub fn is_unsupported_path(&self) -> bool {
        self.has_message("unsupported path")
    }

    /// The path exists, the operation does not (405).
    pub fn is_unsupported_operation(&self) -> bool {
        self.status == StatusCode::METHOD_NOT_ALLOWED || self.has_message("unsupported operation")
    }

    /// No mount serves the path.
    pub fn is_no_route(&self) -> bool {
        self.is_not_found() && self.has_message("no handler for route")
    }

    /// The mount is there and its plugin could not be started when the server was unsealed.
    pub fn is_nil_backend(&self) -> bool {
        self.is_no_route() && self.has_message("backend is nil")
    }

    /// True when one of the server's texts contains `part`.
    pub fn has_message(&self, part: &str) -> bool {
        self.errors.iter().any(|text| text.contains(part))
    }
}

/// The texts on one line: Vault wraps some in "1 error occurred:", tabs and blank lines.
fn summary(errors: &[String]) -> String {
    let flat: Vec<String> =
        errors.iter().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    if flat.is_empty() { String::new() } else { format!(": {}", flat.join("; ")) }
}

fn plain_text_errors(body: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(body);
    let text = text.trim();
    if text.is_empty() { Vec::new() } else { vec![text.chars().take(MAX_PLAIN_TEXT).collect()] }
}

#[cfg(test)]
mod tests {
    use super::ApiError;
    use crate::endpoint::tests::reply;
    use http::Method;

    #[test]
    fn the_servers_words_are_kept_and_shown_on_one_line() {
        let body = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
        let error =
            ApiError::from_reply(&reply(403, body)).with_request(Method::PUT, "/v1/sys/mounts/custom");
        assert_eq!(error.errors, ["1 error occurred:\n\t* permission denied\n\n"]);
        assert!(error.is_permission_denied());
        assert_eq!(
            error.to_string(),
            "PUT v1/sys/mounts/custom was answered with 403 Forbidden: 1 error occurred: * permission denied"
        );
    }

    #[test]
    fn trouble_is_told_apart_by_status_and_text() {
        let of = |status, body: &str| ApiError::from_reply(&reply(status, body));
        assert!(of(503, r#"{"errors":["Vault is sealed"]}"#).is_sealed());
        assert!(!of(503, r#"{"errors":["plugin is shut down"]}"#).is_sealed());
        assert!(
            of(403, r#"{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}"#)
                .is_invalid_token()
        );
        assert!(
            !of(403, r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#).is_invalid_token()
        );
        assert!(of(404, r#"{"errors":[]}"#).is_absent());
        let unsupported = of(404, r#"{"errors":["1 error occurred:\n\t* unsupported path\n\n"]}"#);
        assert!(unsupported.is_unsupported_path() && !unsupported.is_absent());
        let nil = "no handler for route \\\"custom/config\\\". route entry found, but backend is nil.";
        assert!(of(404, &format!(r#"{{"errors":["{nil}"]}}"#)).is_nil_backend());
        assert_eq!(of(502, "<html>bad gateway</html>").errors, ["<html>bad gateway</html>"]);
    }
}
