//! Replies of the server, independent of HTTP.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::Value;
use vault_plugin::logical::{Map, Response};

/// The result of a handler. `None` results in 204, or 404 for a read.
pub(crate) type HandlerResult = Result<Option<Reply>, ErrorReply>;

/// A successful reply.
#[derive(Clone, Default)]
pub(crate) struct Reply {
    pub(crate) data: Option<Map>,
    pub(crate) lease: Option<ReplyLease>,
    pub(crate) auth: Option<ReplyAuth>,
    pub(crate) wrap: Option<WrappedResponse>,
    pub(crate) warnings: Vec<String>,
    pub(crate) headers: BTreeMap<String, Vec<String>>,
    /// Set if it differs from the usual status of the operation.
    pub(crate) status: Option<u16>,
    pub(crate) mount_type: String,
    pub(crate) body: BodyFormat,
}

/// The source of the body.
#[derive(Clone, Default)]
pub(crate) enum BodyFormat {
    /// The envelope with `data` in it.
    #[default]
    Envelope,
    /// `data` alone, without an envelope, as for help.
    Bare,
    /// This text verbatim, as for an unwrapped response.
    Text(String),
    /// No body.
    Empty,
    /// `data` is a raw response: the engine sets status, content type and body.
    Raw,
}

/// The lease of a secret, as a client sees it.
#[derive(Clone, Default)]
pub(crate) struct ReplyLease {
    pub(crate) id: String,
    /// Duration in seconds.
    pub(crate) duration: u64,
    pub(crate) renewable: bool,
}

/// A token, as its creator sees it. There is no `Debug`, because it contains the token.
#[derive(Clone)]
pub(crate) struct ReplyAuth {
    pub(crate) client_token: String,
    pub(crate) accessor: String,
    /// For the audit log.
    pub(crate) display_name: String,
    /// The policies of the token and of its entity.
    pub(crate) policies: Vec<String>,
    pub(crate) token_policies: Vec<String>,
    pub(crate) identity_policies: Vec<String>,
    pub(crate) entity_id: String,
    pub(crate) token_type: &'static str,
    pub(crate) metadata: BTreeMap<String, String>,
    /// Duration in seconds.
    pub(crate) lease_duration: u64,
    pub(crate) renewable: bool,
    pub(crate) orphan: bool,
    pub(crate) num_uses: i64,
}

/// A wrapped response. There is no `Debug`, because it contains the wrapping token.
#[derive(Clone)]
pub(crate) struct WrappedResponse {
    pub(crate) token: String,
    pub(crate) accessor: String,
    /// Duration in seconds.
    pub(crate) ttl: u64,
    pub(crate) creation_time: SystemTime,
    pub(crate) creation_path: String,
    pub(crate) wrapped_accessor: String,
}

impl Reply {
    pub(crate) fn data(data: Map) -> Reply {
        Reply { data: Some(data), ..Reply::default() }
    }

    /// A reply that consists of this document only.
    pub(crate) fn bare(data: Map) -> Reply {
        Reply { body: BodyFormat::Bare, ..Reply::data(data) }
    }

    /// A reply with a warning and no data.
    pub(crate) fn warning(text: impl Into<String>) -> Reply {
        Reply { warnings: vec![text.into()], ..Reply::default() }
    }

    /// 202 without a body: the operation continues in the background.
    pub(crate) fn accepted() -> Reply {
        Reply { status: Some(202), body: BodyFormat::Empty, ..Reply::default() }
    }

    /// The reply to a list; an empty list is 404.
    pub(crate) fn list(keys: Vec<String>) -> Reply {
        let mut data = Map::new();
        if !keys.is_empty() {
            data.insert("keys".to_owned(), keys.into());
        }
        Reply::data(data)
    }

    /// A reply from the response of an engine, without its lease.
    pub(crate) fn from_plugin(response: Response) -> Reply {
        let raw = response.data.as_ref().is_some_and(|data| data.contains_key("http_status_code"));
        Reply {
            data: response.data,
            warnings: response.warnings,
            headers: response.headers,
            body: if raw { BodyFormat::Raw } else { BodyFormat::Envelope },
            ..Reply::default()
        }
    }
}

/// Returns the object of `json!({..})`.
pub(crate) fn json_object(value: Value) -> Map {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// Returns the message of an error with those of its causes, on one line.
pub(crate) fn error_chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

/// A reply that is an error.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ErrorReply {
    pub(crate) status: u16,
    /// The error message; `None` for an empty list of errors.
    pub(crate) text: Option<String>,
    pub(crate) data: Option<Value>,
}

impl ErrorReply {
    pub(crate) fn new(status: u16, text: impl Into<String>) -> ErrorReply {
        ErrorReply { status, text: Some(text.into()), data: None }
    }

    /// The input of the caller is not valid.
    pub(crate) fn bad_request(text: impl Into<String>) -> ErrorReply {
        ErrorReply::new(400, text)
    }

    /// The errors of a handler, in the list format of Vault's core.
    pub(crate) fn multierror(status: u16, texts: &[&str]) -> ErrorReply {
        let (count, noun) = (texts.len(), if texts.len() == 1 { "error" } else { "errors" });
        let items: String = texts.iter().map(|text| format!("\t* {text}\n")).collect();
        ErrorReply::new(status, format!("{count} {noun} occurred:\n{items}\n"))
    }

    /// Whether it is an error of a handler, as opposed to an error response.
    pub(crate) fn is_multierror(&self) -> bool {
        self.text.as_deref().is_some_and(|text| text.contains(" occurred:\n\t* "))
    }

    /// Whether no mount handles the path.
    pub(crate) fn is_no_route(&self) -> bool {
        self.text.as_deref().is_some_and(|text| text.starts_with("no handler for route "))
    }

    /// The message without the list format of Vault's core.
    pub(crate) fn inner_message(&self) -> &str {
        let text = self.text.as_deref().unwrap_or_default();
        let listed = text.strip_prefix("1 error occurred:\n\t* ");
        listed.and_then(|text| text.strip_suffix("\n\n")).unwrap_or(text)
    }

    /// The same error without the list format of Vault's core.
    pub(crate) fn without_list_format(self) -> ErrorReply {
        ErrorReply { text: self.text.is_some().then(|| self.inner_message().to_owned()), ..self }
    }

    pub(crate) fn internal(error: &dyn std::error::Error) -> ErrorReply {
        ErrorReply::multierror(500, &[&error_chain(error)])
    }

    /// Whether the plugin failed, as opposed to refusing the request.
    pub(crate) fn is_plugin_failure(&self) -> bool {
        let text = self.text.as_deref().unwrap_or_default();
        text.contains("plugin is shut down") || text.contains("checksum") || text.contains("rpc error")
    }

    pub(crate) fn permission_denied() -> ErrorReply {
        ErrorReply::multierror(403, &["permission denied"])
    }

    pub(crate) fn unsupported_operation() -> ErrorReply {
        ErrorReply::multierror(405, &["unsupported operation"])
    }

    pub(crate) fn unsupported_path() -> ErrorReply {
        ErrorReply::multierror(404, &["unsupported path"])
    }

    pub(crate) fn not_found() -> ErrorReply {
        ErrorReply { status: 404, text: None, data: None }
    }

    pub(crate) fn sealed() -> ErrorReply {
        ErrorReply::new(503, "Vault is sealed")
    }
}

impl From<crate::StoreError> for ErrorReply {
    fn from(error: crate::StoreError) -> ErrorReply {
        ErrorReply::internal(&error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_format_of_gos_multierror() {
        let one = ErrorReply::permission_denied();
        assert_eq!(one.text.as_deref(), Some("1 error occurred:\n\t* permission denied\n\n"));
        let two = ErrorReply::multierror(403, &["permission denied", "invalid token"]);
        assert_eq!(
            two.text.as_deref(),
            Some("2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n")
        );
    }
}
