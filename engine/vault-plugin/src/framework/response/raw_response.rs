//! Responses with their own body and status instead of the host's JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::IntoResponse;
use crate::logical::{Error, Map, Product, Response};

/// An HTTP response that the host forwards unchanged. It cannot be leased.
///
/// ```
/// use vault_plugin::framework::RawResponse;
///
/// let pem = RawResponse { content_type: "application/x-pem-file".to_owned(), ..RawResponse::new(200, "-----BEGIN …") };
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawResponse {
    /// The HTTP status.
    pub status: u16,
    /// The content type of the body. Required, except for status 204.
    pub content_type: String,
    /// The body. Not sent with status 204.
    pub body: Vec<u8>,
    /// The header `Cache-Control`, omitted if empty.
    pub cache_control: String,
    /// The header `Pragma`, omitted if empty.
    pub pragma: String,
    /// The header `WWW-Authenticate`, omitted if empty.
    pub www_authenticate: String,
}

impl RawResponse {
    /// Returns a response with a binary body (`application/octet-stream`).
    ///
    /// ```
    /// # use vault_plugin::framework::RawResponse;
    /// let response = RawResponse { cache_control: "no-store".to_owned(), ..RawResponse::new(200, vec![0xCA, 0xFE]) };
    /// assert_eq!(response.content_type, "application/octet-stream");
    /// ```
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> RawResponse {
        let content_type = "application/octet-stream".to_owned();
        RawResponse { status, content_type, body: body.into(), ..RawResponse::default() }
    }
}

impl IntoResponse for RawResponse {
    /// Encodes the body in base64, because a host decodes any body that looks like base64, even if it is text.
    fn into_response(self) -> Result<Option<Response>, Error> {
        let mut data = Map::new();
        data.insert(HTTP_STATUS_CODE.to_owned(), self.status.into());
        data.insert(HTTP_RAW_BODY.to_owned(), STANDARD.encode(self.body).into());
        for (name, text) in [
            (HTTP_CONTENT_TYPE, self.content_type),
            ("http_raw_cache_control", self.cache_control),
            ("http_raw_pragma", self.pragma),
            ("http_www_authenticate", self.www_authenticate),
        ] {
            if !text.is_empty() {
                data.insert(name.to_owned(), text.into());
            }
        }
        Ok(Some(Response::data(data)))
    }
}

const HTTP_STATUS_CODE: &str = "http_status_code";
const HTTP_RAW_BODY: &str = "http_raw_body";
const HTTP_CONTENT_TYPE: &str = "http_content_type";

/// Wraps a response in the host's usual JSON, with another status (`RespondWithStatusCode` of `sdk/logical`).
pub(crate) fn with_status(
    product: Product,
    request_id: &str,
    status: u16,
    response: Option<Response>,
) -> Result<Response, Error> {
    let mut data = Map::new();
    data.insert(HTTP_STATUS_CODE.to_owned(), status.into());
    data.insert(HTTP_CONTENT_TYPE.to_owned(), "application/json".into());
    if let Some(response) = response {
        if response.secret.is_some() {
            return Err(Error::internal("a response with its own status cannot be leased"));
        }
        let mut body = json!({
            "request_id": request_id,
            "lease_id": "",
            "renewable": false,
            "lease_duration": 0,
            "data": response.data,
            "wrap_info": null,
            "warnings": (!response.warnings.is_empty()).then_some(response.warnings),
            "auth": null,
        });
        if product == Product::Vault {
            body["mount_type"] = "".into();
        }
        // A JSON object is not valid base64, so it can stay text, which the audit log hashes.
        data.insert(HTTP_RAW_BODY.to_owned(), Value::String(body.to_string()));
    }
    Ok(Response::data(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_body_is_sent_in_base64_with_the_headers_that_were_set() {
        let raw = RawResponse { cache_control: "no-store".to_owned(), ..RawResponse::new(200, "abcd") };
        let data = raw.into_response().unwrap().unwrap().data.unwrap();
        let expected = json!({
            "http_status_code": 200, "http_content_type": "application/octet-stream",
            "http_raw_body": "YWJjZA==", "http_raw_cache_control": "no-store",
        });
        assert_eq!(Value::Object(data), expected);
    }

    #[test]
    fn a_response_with_a_status_is_the_usual_json_as_text() {
        let mut response = Response::data(json!({"a": 1}).as_object().cloned().unwrap());
        response.warnings.push("careful".to_owned());
        let data = with_status(Product::OpenBao, "r1", 202, Some(response)).unwrap().data.unwrap();
        assert_eq!(data["http_status_code"], 202);
        let body: Value = serde_json::from_str(data["http_raw_body"].as_str().unwrap()).unwrap();
        let expected = json!({
            "request_id": "r1", "lease_id": "", "renewable": false, "lease_duration": 0, "data": {"a": 1},
            "wrap_info": null, "warnings": ["careful"], "auth": null,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn a_response_with_a_status_and_nothing_else_has_no_body() {
        let data = with_status(Product::Vault, "r1", 204, None).unwrap().data.unwrap();
        assert_eq!(
            Value::Object(data),
            json!({"http_status_code": 204, "http_content_type": "application/json"})
        );
    }
}
