//! What one call is: the request it makes and the way its reply is read.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ApiError;

/// One call of the API, as a value. Both functions are pure.
pub trait Endpoint {
    /// What a successful reply says.
    type Response;

    /// Whether sending it twice does no more than sending it once.
    const IDEMPOTENCY: Idempotency;

    /// What it is about: whether token and namespace go along.
    const SCOPE: RequestScope = RequestScope::Namespace;

    /// The request; its URI is the path and query from `/v1/` on. The client adds address, token and namespace.
    fn request(&self) -> Request<Bytes>;

    /// Reads the reply. Status codes that mean something at this endpoint are understood here.
    fn response(reply: Response<Bytes>) -> Result<Self::Response, ApiError>;
}

/// What a request is about, which decides what of the client's goes along with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestScope {
    /// The client's namespace: token and namespace go along.
    Namespace,
    /// The whole server: the token goes along. Vault has no such path in another namespace than the root, and OpenBao refuses it there.
    Server,
    /// What anybody may ask of the whole server: neither goes along, as any node may answer it and none has to be trusted.
    Public,
}

/// Whether the client may send a request again when it cannot know if the server acted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Sending it again changes nothing.
    Idempotent,
    /// Only when the server cannot have acted on it: no connection, or a refusal before any work (412, 429).
    NotIdempotent,
}

/// The envelope of every reply that is not from a raw endpoint.
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

/// Refuses everything but success.
pub(crate) fn error_for_status(reply: Response<Bytes>) -> Result<Response<Bytes>, ApiError> {
    if reply.status().is_success() { Ok(reply) } else { Err(ApiError::from_reply(&reply)) }
}

/// Success without an answer to read (204, or a body that says nothing); returns its warnings.
pub(crate) fn warnings(reply: Response<Bytes>) -> Result<Vec<String>, ApiError> {
    let reply = error_for_status(reply)?;
    if reply.status() == StatusCode::NO_CONTENT || reply.body().is_empty() {
        return Ok(Vec::new());
    }
    Ok(parse_json::<Envelope<serde::de::IgnoredAny>>(&reply)?.warnings.unwrap_or_default())
}

/// The `data` of a successful reply.
pub(crate) fn data<T: DeserializeOwned>(reply: Response<Bytes>) -> Result<T, ApiError> {
    let reply = error_for_status(reply)?;
    parse_json::<Envelope<T>>(&reply)?.data.ok_or_else(|| ApiError::malformed_reply(&reply, None))
}

/// The whole body of a reply, whatever its status.
pub(crate) fn parse_json<T: DeserializeOwned>(reply: &Response<Bytes>) -> Result<T, ApiError> {
    serde_json::from_slice(reply.body()).map_err(|error| ApiError::malformed_reply(reply, Some(&error)))
}

/// Accepts `null` where a list is meant, as Go writes an empty one.
pub(crate) fn null_as_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

/// A path with what may not stand in a URI percent-encoded; slashes stay.
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

/// `path` is relative to `/v1/` and already encoded.
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
    fn a_path_of_any_text_stays_one_path() {
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
