//! Reads, lists, writes and deletes any path.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Envelope, Idempotency, encode_path};

/// Fields of a request or a reply. They may be secret, so `Debug` shows only their names.
#[derive(Clone, Default, PartialEq)]
pub struct LogicalData(pub Map<String, Value>);

impl std::fmt::Debug for LogicalData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// The response of a path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogicalResponse {
    /// Fields; empty if the path returns none.
    pub data: LogicalData,
    /// Lease ID; empty if there is no lease.
    pub lease_id: String,
    /// TTL of the lease; zero if there is no lease.
    pub lease_duration: Duration,
    /// Whether the lease can be renewed.
    pub renewable: bool,
    /// The warnings of the server, verbatim.
    pub warnings: Vec<String>,
    /// ID of the request in the audit log.
    pub request_id: String,
}

/// Reads a path. A read can issue a credential, so it is not idempotent.
#[derive(Clone, Debug)]
pub struct Read {
    /// Path without `v1/`.
    pub path: String,
}

/// Lists a path.
#[derive(Clone, Debug)]
pub struct List {
    /// Path without `v1/`.
    pub path: String,
}

/// Writes fields to a path.
#[derive(Clone, Debug)]
pub struct Write {
    /// Path without `v1/`.
    pub path: String,
    /// Fields.
    pub data: LogicalData,
}

/// Deletes a path.
#[derive(Clone, Debug)]
pub struct Delete {
    /// Path without `v1/`.
    pub path: String,
}

#[derive(Deserialize)]
struct Body {
    data: Option<Map<String, Value>>,
    #[serde(default)]
    lease_id: String,
    #[serde(default)]
    lease_duration: u64,
    #[serde(default)]
    renewable: bool,
    warnings: Option<Vec<String>>,
    #[serde(default)]
    request_id: String,
}

impl Endpoint for Read {
    /// `None` if the path has no value.
    type Response = Option<LogicalResponse>;
    const IDEMPOTENCY: Idempotency = Idempotency::NotIdempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&encoded_path(&self.path))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        if reply.status().as_u16() == 404 {
            let error = ApiError::from_reply(&reply);
            return if error.is_absent() { Ok(None) } else { Err(error) };
        }
        parse_response(reply).map(Some)
    }
}

impl Endpoint for List {
    type Response = Vec<String>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&format!("{}/?list=true", encoded_path(&self.path)))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        if reply.status().as_u16() == 404 {
            let error = ApiError::from_reply(&reply);
            return if error.is_absent() { Ok(Vec::new()) } else { Err(error) };
        }
        let reply = endpoint::error_for_status(reply)?;
        Ok(endpoint::parse_json::<Envelope<endpoint::KeysBody>>(&reply)?
            .data
            .map(|data| data.keys)
            .unwrap_or_default())
    }
}

impl Endpoint for Write {
    type Response = LogicalResponse;
    const IDEMPOTENCY: Idempotency = Idempotency::NotIdempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_with_json(Method::PUT, &encoded_path(&self.path), &self.data.0)
    }

    fn response(reply: Response<Bytes>) -> Result<LogicalResponse, ApiError> {
        parse_response(reply)
    }
}

impl Endpoint for Delete {
    type Response = LogicalResponse;
    const IDEMPOTENCY: Idempotency = Idempotency::NotIdempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::request_without_body(Method::DELETE, &encoded_path(&self.path))
    }

    fn response(reply: Response<Bytes>) -> Result<LogicalResponse, ApiError> {
        parse_response(reply)
    }
}

fn parse_response(reply: Response<Bytes>) -> Result<LogicalResponse, ApiError> {
    let reply = endpoint::error_for_status(reply)?;
    if reply.body().is_empty() {
        return Ok(LogicalResponse::default());
    }
    let Body { data, lease_id, lease_duration, renewable, warnings, request_id } =
        endpoint::parse_json(&reply)?;
    Ok(LogicalResponse {
        data: LogicalData(data.unwrap_or_default()),
        lease_id,
        lease_duration: Duration::from_secs(lease_duration),
        renewable,
        warnings: warnings.unwrap_or_default(),
        request_id,
    })
}

fn encoded_path(path: &str) -> String {
    encode_path(path.trim_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    const CREDS: &str = r#"{"request_id":"r","lease_id":"custom/creds/dev/1","renewable":true,"lease_duration":3600,
        "data":{"token":"hunter2","permissions":["read"]},"wrap_info":null,"warnings":null,"auth":null}"#;

    #[test]
    fn a_credential_is_read_and_debug_hides_it() {
        let reply = Read::response(reply(200, CREDS)).expect("an answer").expect("a credential");
        assert_eq!(reply.lease_duration, Duration::from_secs(3600));
        assert_eq!(reply.data.0["token"], "hunter2");
        let shown = format!("{reply:?}");
        assert!(shown.contains("token") && !shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn a_missing_value_is_none_and_a_missing_mount_is_an_error() {
        assert_eq!(Read::response(reply(404, r#"{"errors":[]}"#)).expect("an answer"), None);
        let no_route = r#"{"errors":["no handler for route \"x/y\". route entry not found."]}"#;
        assert!(Read::response(reply(404, no_route)).expect_err("no mount").is_no_route());
    }

    #[test]
    fn an_empty_list_is_empty() {
        assert_eq!(List::response(reply(404, r#"{"errors":[]}"#)).expect("an answer"), Vec::<String>::new());
        assert_eq!(
            request_line(&List { path: "custom/roles".into() }.request()),
            "GET /v1/custom/roles/?list=true"
        );
    }

    #[test]
    fn a_write_without_response_data_succeeds() {
        assert_eq!(Write::response(reply(204, "")).expect("success"), LogicalResponse::default());
    }
}
