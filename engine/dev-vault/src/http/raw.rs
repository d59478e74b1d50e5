//! Raw responses: the engine sets status, content type and body (`respondRaw` of `http/logical.go`).

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::reply::Reply;

/// Fields of the data that become headers.
const HEADERS: [(&str, HeaderName); 3] = [
    ("http_raw_cache_control", header::CACHE_CONTROL),
    ("http_raw_pragma", header::PRAGMA),
    ("http_www_authenticate", header::WWW_AUTHENTICATE),
];

pub(super) fn to_response(reply: &Reply) -> Response {
    build_response(reply).unwrap_or_else(|reason| {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.headers_mut().insert("x-vault-raw-error", HeaderValue::from_static(reason));
        response
    })
}

fn build_response(reply: &Reply) -> Result<Response, &'static str> {
    if reply.lease.is_some() || reply.auth.is_some() {
        return Err("raw responses cannot contain secrets or auth");
    }
    let data = reply.data.as_ref().ok_or("no status code given")?;
    let status = data.get("http_status_code").and_then(Value::as_f64).ok_or("cannot decode status code")?;
    let status = format!("{status:.0}").parse::<u16>().ok();
    let status =
        status.and_then(|status| StatusCode::from_u16(status).ok()).ok_or("cannot decode status code")?;
    let text = |name: &str| data.get(name).and_then(Value::as_str);

    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    match text("http_content_type") {
        Some(kind) => {
            let kind = HeaderValue::try_from(kind).map_err(|_| "cannot decode content type")?;
            response.headers_mut().insert(header::CONTENT_TYPE, kind);
        }
        None if status != StatusCode::NO_CONTENT => return Err("no content type given"),
        None => {}
    }
    for (name, header_name) in HEADERS {
        if let Some(value) = text(name).and_then(|value| HeaderValue::try_from(value).ok()) {
            response.headers_mut().insert(header_name, value);
        }
    }
    if status != StatusCode::NO_CONTENT {
        let body = text("http_raw_body").unwrap_or_default();
        // Bytes are encoded as base64. A string that happens to be valid base64 is decoded too, as in Vault.
        let bytes = STANDARD.decode(body).unwrap_or_else(|_| body.as_bytes().to_vec());
        *response.body_mut() = Body::from(bytes);
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::reply::json_object;

    #[tokio::test]
    async fn the_engine_chooses_status_type_and_body() {
        let reply = Reply::data(json_object(json!({
            "http_status_code": 418, "http_content_type": "text/plain", "http_raw_body": STANDARD.encode("hi")
        })));
        let response = to_response(&reply);
        assert_eq!(response.status(), 418);
        assert_eq!(response.headers()["content-type"], "text/plain");
        assert_eq!(axum::body::to_bytes(response.into_body(), 10).await.unwrap(), "hi");
    }

    #[test]
    fn a_response_without_a_content_type_is_an_error_with_its_reason_in_a_header() {
        let response = to_response(&Reply::data(json_object(json!({"http_status_code": 200}))));
        assert_eq!(response.status(), 500);
        assert_eq!(response.headers()["x-vault-raw-error"], "no content type given");
    }
}
