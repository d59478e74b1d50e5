//! Error responses of the server.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use serde::Deserialize;

/// An error response, or a response that the endpoint cannot parse.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{method} {path} returned {status}{}", summary(errors))]
pub struct ApiError {
    /// HTTP status.
    pub status: StatusCode,
    /// The error messages of the server, verbatim. May be empty: Vault often returns a 404 without a message.
    pub errors: Vec<String>,
    /// The warnings of the server, verbatim.
    pub warnings: Vec<String>,
    /// Method of the request.
    pub method: Method,
    /// Path of the request with `v1/`, without its query.
    pub path: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    errors: Option<Vec<String>>,
    #[serde(default)]
    warnings: Option<Vec<String>>,
}

/// The most characters of a body that is not JSON to include in an error: enough for the message of a proxy.
const MAX_PLAIN_TEXT: usize = 300;

impl ApiError {
    /// Parses the error of a reply. The client adds the request with [`ApiError::with_request`].
    pub fn from_reply(reply: &Response<Bytes>) -> Self {
        let (errors, warnings) = match serde_json::from_slice::<ErrorBody>(reply.body()) {
            Ok(body) => (body.errors.unwrap_or_default(), body.warnings.unwrap_or_default()),
            Err(_) => (plain_text_errors(reply.body()), Vec::new()),
        };
        Self { status: reply.status(), errors, warnings, method: Method::GET, path: String::new() }
    }

    /// Returns the error for a reply that the endpoint cannot parse. It does not include any part of the reply, which may contain
    /// secrets.
    pub fn malformed_reply(reply: &Response<Bytes>, cause: Option<&serde_json::Error>) -> Self {
        let detail = match cause {
            Some(error) => format!(" (line {}, column {})", error.line(), error.column()),
            None => " (no data)".to_owned(),
        };
        let message = format!("unexpected response format{detail}");
        Self {
            status: reply.status(),
            errors: vec![message],
            warnings: Vec::new(),
            method: Method::GET,
            path: String::new(),
        }
    }

    /// Adds the method and the path of the request.
    #[must_use]
    pub fn with_request(mut self, method: Method, path: &str) -> Self {
        self.method = method;
        self.path = path.trim_start_matches('/').to_owned();
        self
    }

    /// The token does not permit the operation (403).
    pub fn is_permission_denied(&self) -> bool {
        self.status == StatusCode::FORBIDDEN
    }

    /// The token is unknown to the server: wrong, expired or revoked.
    pub fn is_invalid_token(&self) -> bool {
        self.is_permission_denied() && self.has_message("invalid token")
    }

    /// The server is sealed or not initialized.
    pub fn is_sealed(&self) -> bool {
        self.status == StatusCode::SERVICE_UNAVAILABLE
            && (self.has_message("is sealed") || self.has_message("not initialized"))
    }

    /// The path was not found (404).
    pub fn is_not_found(&self) -> bool {
        self.status == StatusCode::NOT_FOUND
    }

    /// The value does not exist: a 404 without a message.
    pub fn is_absent(&self) -> bool {
        self.is_not_found() && self.errors.is_empty()
    }

    /// The server, or the namespace, does not support the path.
    pub fn is_unsupported_path(&self) -> bool {
        self.has_message("unsupported path")
    }

    /// The path does not support the operation (405).
    pub fn is_unsupported_operation(&self) -> bool {
        self.status == StatusCode::METHOD_NOT_ALLOWED || self.has_message("unsupported operation")
    }

    /// No mount serves the path.
    pub fn is_no_route(&self) -> bool {
        self.is_not_found() && self.has_message("no handler for route")
    }

    /// The mount exists, but its plugin did not start when the server was unsealed.
    pub fn is_nil_backend(&self) -> bool {
        self.is_no_route() && self.has_message("backend is nil")
    }

    /// Whether one of the error messages contains `part`.
    pub fn has_message(&self, part: &str) -> bool {
        self.errors.iter().any(|text| text.contains(part))
    }
}

/// Joins the messages on one line. Vault wraps some of them in "1 error occurred:", tabs and blank lines.
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
    fn error_messages_are_kept_verbatim_and_shown_on_one_line() {
        let body = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
        let error =
            ApiError::from_reply(&reply(403, body)).with_request(Method::PUT, "/v1/sys/mounts/custom");
        assert_eq!(error.errors, ["1 error occurred:\n\t* permission denied\n\n"]);
        assert!(error.is_permission_denied());
        assert_eq!(
            error.to_string(),
            "PUT v1/sys/mounts/custom returned 403 Forbidden: 1 error occurred: * permission denied"
        );
    }

    #[test]
    fn errors_are_classified_by_status_and_message() {
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
