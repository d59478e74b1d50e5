//! One call of the API: its request, and the parser of its reply.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ApiError;

/// One call of the API. Both functions are pure.
pub trait Endpoint {
    /// The parsed reply.
    type Response;

    /// Whether the request may be sent again although the server may have processed it.
    const IDEMPOTENCY: Idempotency;

    /// Whether the token and the namespace are sent with the request.
    const SCOPE: RequestScope = RequestScope::Namespace;

    /// Builds the request. Its URI starts with `/v1/`; the client adds address, token and namespace.
    fn request(&self) -> Request<Bytes>;

    /// Parses the reply. An error status can be a regular result here, such as 404 for a missing value.
    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError>;
}

/// The scope of a request, which decides whether token and namespace are sent with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestScope {
    /// The namespace of the client. Token and namespace are sent.
    Namespace,
    /// The whole server. Only the token is sent: Vault serves such paths only in the root namespace, and OpenBao refuses them in others.
    Server,
    /// The whole server, without authentication. Neither is sent, so that an untrusted node does not see the token.
    Public,
}

/// Whether the client may retry a request that the server may have processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// A second request changes nothing.
    Idempotent,
    /// A retry is safe only if the server cannot have processed the request: no connection, or an early refusal (412, 429).
    NotIdempotent,
}

/// The envelope of a reply.
#[derive(Deserialize)]
pub(crate) struct Envelope<T> {
    pub(crate) data: Option<T>,
    #[serde(default)]
    pub(crate) warnings: Option<Vec<String>>,
}

pub(crate) fn get(path: &str) -> Request<Bytes> {
    request_without_body(Method::GET, path)
}

pub(crate) fn request_without_body(method: Method, path: &str) -> Request<Bytes> {
    build_request(method, path, Bytes::new())
}

pub(crate) fn request_with_json(method: Method, path: &str, body: &impl Serialize) -> Request<Bytes> {
    let body = serde_json::to_vec(body).unwrap_or_else(|error| unreachable!("own types serialize: {error}"));
    build_request(method, path, body.into())
}

/// Turns an error status into an error.
pub(crate) fn error_for_status(reply: Response<Bytes>) -> Result<Response<Bytes>, ApiError> {
    if reply.status().is_success() { Ok(reply) } else { Err(ApiError::from_reply(&reply)) }
}

/// Returns the warnings of a successful reply without data, such as 204.
pub(crate) fn warnings(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
    let reply = error_for_status(reply)?;
    if reply.status() == StatusCode::NO_CONTENT || reply.body().is_empty() {
        return Ok(Vec::new());
    }
    Ok(parse_json::<Envelope<serde::de::IgnoredAny>>(&reply)?.warnings.unwrap_or_default())
}

/// Returns the `data` of a successful reply.
pub(crate) fn data<T: DeserializeOwned>(reply: Response<Bytes>) -> Result<T, ApiError> {
    let reply = error_for_status(reply)?;
    parse_json::<Envelope<T>>(&reply)?.data.ok_or_else(|| ApiError::malformed_reply(&reply, None))
}

/// The `data` of a list.
#[derive(Deserialize)]
pub(crate) struct KeysBody {
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) keys: Vec<String>,
}

/// Returns the keys of a successful list.
pub(crate) fn keys(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
    data::<KeysBody>(reply).map(|body| body.keys)
}

/// Parses the body of a reply of any status.
pub(crate) fn parse_json<T: DeserializeOwned>(reply: &Response<Bytes>) -> Result<T, ApiError> {
    serde_json::from_slice(reply.body()).map_err(|error| ApiError::malformed_reply(reply, Some(&error)))
}

/// Reads `null` as the default value, because Go serializes a nil slice as `null`.
pub(crate) fn null_as_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// Percent-encodes a path for a URI, except for its slashes.
pub(crate) fn encode_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z'
            | b'a'..=b'z'
            | b'0'..=b'9'
            | b'-'
            | b'_'
            | b'.'
            | b'~'
            | b'/'
            | b':'
            | b'@'
            | b'+' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// `path` is relative to `/v1/` and percent-encoded.
fn build_request(method: Method, path: &str, body: Bytes) -> Request<Bytes> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() =
        format!("/v1/{path}").parse().unwrap_or_else(|error| unreachable!("paths are encoded: {error}"));
    if !request.body().is_empty() {
        let json = http::HeaderValue::from_static("application/json");
        request.headers_mut().insert(http::header::CONTENT_TYPE, json);
    }
    request
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn reply(status: u16, body: &str) -> Response<Bytes> {
        let mut reply = Response::new(Bytes::copy_from_slice(body.as_bytes()));
        *reply.status_mut() = StatusCode::from_u16(status).expect("a status");
        reply
    }

    pub(crate) fn request_line(request: &Request<Bytes>) -> String {
        let body = String::from_utf8_lossy(request.body());
        format!("{} {} {body}", request.method(), request.uri()).trim_end().to_owned()
    }

    #[test]
    fn any_path_is_encoded_as_one_path() {
        assert_eq!(encode_path("custom/creds/a b?c#d%e/ü"), "custom/creds/a%20b%3Fc%23d%25e/%C3%BC");
        assert_eq!(get(&encode_path("a b?list=true")).uri().query(), None);
    }

    #[test]
    fn an_empty_success_has_no_warnings() {
        assert_eq!(warnings(reply(204, "")).expect("success"), Vec::<String>::new());
        let warned = warnings(reply(200, r#"{"data":null,"warnings":["w"]}"#)).expect("success");
        assert_eq!(warned, ["w"]);
    }
}
