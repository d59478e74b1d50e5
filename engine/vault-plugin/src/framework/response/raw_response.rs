//! Answers that are not the host's usual JSON: a body and a status of the engine's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::IntoResponse;
use crate::logical::{Error, Map, Product, Response};

/// An HTTP answer that the host hands on as it is. It cannot be leased.
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
    /// The type of the body; needed with every status but 204.
    pub content_type: String,
    /// The body; not sent with status 204.
    pub body: Vec<u8>,
    /// The header `Cache-Control`; empty for none.
    pub cache_control: String,
    /// The header `Pragma`; empty for none.
    pub pragma: String,
    /// The header `WWW-Authenticate`; empty for none.
    pub www_authenticate: String,
}

impl RawResponse {
    /// An answer of bytes (`application/octet-stream`).
    ///
    /// ```
    /// # use vault_plugin::framework::RawResponse;
    /// let answer = RawResponse { cache_control: "no-store".to_owned(), ..RawResponse::new(200, vec![0xCA, 0xFE]) };
    /// assert_eq!(answer.content_type, "application/octet-stream");
    /// ```
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> RawResponse {
        let content_type = "application/octet-stream".to_owned();
        RawResponse { status, content_type, body: body.into(), ..RawResponse::default() }
    }
}

impl IntoResponse for RawResponse {
    /// The body goes in base64: a host decodes whatever looks like it, even what was meant as text.
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

/// The host's usual JSON around an answer, under another status (`RespondWithStatusCode` of `sdk/logical`).
pub(crate) fn with_status(
    product: Product,
    request_id: &str,
    status: u16,
    answer: Option<Response>,
) -> Result<Response, Error> {
    let mut data = Map::new();
    data.insert(HTTP_STATUS_CODE.to_owned(), status.into());
    data.insert(HTTP_CONTENT_TYPE.to_owned(), "application/json".into());
    if let Some(answer) = answer {
        if answer.secret.is_some() {
            return Err(Error::internal("an answer with a status of its own cannot be leased"));
        }
        let mut body = json!({
            "request_id": request_id,
            "lease_id": "",
            "renewable": false,
            "lease_duration": 0,
            "data": answer.data,
            "wrap_info": null,
            "warnings": (!answer.warnings.is_empty()).then_some(answer.warnings),
            "auth": null,
        });
        if product == Product::Vault {
            body["mount_type"] = "".into();
        }
        // An object in JSON is no base64, so that it can stay text, which the audit log hashes.
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
    fn an_answer_with_a_status_is_the_usual_json_as_text() {
        let mut answer = Response::data(json!({"a": 1}).as_object().cloned().unwrap());
        answer.warnings.push("careful".to_owned());
        let data = with_status(Product::OpenBao, "r1", 202, Some(answer)).unwrap().data.unwrap();
        assert_eq!(data["http_status_code"], 202);
        let body: Value = serde_json::from_str(data["http_raw_body"].as_str().unwrap()).unwrap();
        let expected = json!({
            "request_id": "r1", "lease_id": "", "renewable": false, "lease_duration": 0, "data": {"a": 1},
            "wrap_info": null, "warnings": ["careful"], "auth": null,
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn an_answer_with_a_status_and_nothing_else_has_no_body() {
        let data = with_status(Product::Vault, "r1", 204, None).unwrap().data.unwrap();
        assert_eq!(
            Value::Object(data),
            json!({"http_status_code": 204, "http_content_type": "application/json"})
        );
    }
}
