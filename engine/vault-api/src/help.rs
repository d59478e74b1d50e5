//! The help of a mount.

use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency, encode_path};

/// `GET :mount?help=1`: the plugin describes its paths. The server starts the plugin if it is not running.
#[derive(Clone, Debug)]
pub struct ReadMountHelp {
    /// Path of the mount, with or without its trailing slash.
    pub path: String,
}

#[derive(Deserialize)]
struct Body {
    openapi: Option<Value>,
}

impl Endpoint for ReadMountHelp {
    /// The OpenAPI document; `None` if the plugin returns none.
    type Response = Option<Value>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;

    fn request(&self) -> Request<Bytes> {
        endpoint::get(&format!("{}?help=1", encode_path(self.path.trim_matches('/'))))
    }

    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError> {
        let reply = endpoint::error_for_status(reply)?;
        Ok(endpoint::parse_json::<Body>(&reply)?.openapi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    #[test]
    fn the_document_has_no_envelope_and_may_be_missing() {
        assert_eq!(
            request_line(&ReadMountHelp { path: "team/custom/".into() }.request()),
            "GET /v1/team/custom?help=1"
        );
        let body = r#"{"help":"A text.","see_also":null,"openapi":{"paths":{"/config":{}}}}"#;
        let document = ReadMountHelp::response(reply(200, body)).expect("an answer").expect("a document");
        assert!(document["paths"]["/config"].is_object());
        assert_eq!(ReadMountHelp::response(reply(200, r#"{"help":"A text."}"#)).expect("an answer"), None);
    }
}
