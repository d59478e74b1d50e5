//! The HTTP API: parses requests and renders replies.

mod parse;
mod raw;
mod status;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body as HttpBody, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use vault_plugin::logical::Operation;

use crate::core::Core;
use crate::envelope::{self, DataPlacement};
use crate::reply::{BodyFormat, ErrorReply, HandlerResult, Reply};
use crate::request_handling;

/// The maximum size of a body, as Vault's default.
const MAX_BODY_SIZE: usize = 32 << 20;

/// The router of all paths.
pub(crate) fn router(core: Arc<Core>) -> Router {
    Router::new().fallback(serve).with_state(core)
}

async fn serve(
    State(core): State<Arc<Core>>,
    ConnectInfo(remote): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let Some(path) = head.uri.path().strip_prefix("/v1/").map(str::to_owned) else {
        return error_response(&ErrorReply::not_found());
    };
    let namespace = head.headers.get("x-vault-namespace").cloned();
    let mut response = match to_bytes(body, MAX_BODY_SIZE).await {
        Ok(body) => dispatch(&core, &head, &path, &body, remote).await,
        Err(_) => error_response(&ErrorReply::new(413, "error parsing JSON: http: request body too large")),
    };
    if let Some(namespace) = namespace {
        // The community edition has no namespaces and returns the header unchanged.
        response.headers_mut().insert("x-vault-namespace", namespace);
    }
    response
}

async fn dispatch(
    core: &Arc<Core>,
    head: &axum::http::request::Parts,
    path: &str,
    body: &Bytes,
    remote: SocketAddr,
) -> Response {
    if let Some(response) = status::handle(core, head, path, body).await {
        return response;
    }
    match parse::parse_request(head, path, body, remote) {
        Ok(request) => {
            let context = ReplyContext {
                id: request.id.clone(),
                operation: request.operation.clone(),
                placement: DataPlacement::for_path(&request.path),
            };
            to_response(request_handling::handle(core, request).await, &context)
        }
        Err(failure) => error_response(&failure),
    }
}

/// The parts of a request that its response depends on.
struct ReplyContext {
    id: String,
    operation: Operation,
    placement: DataPlacement,
}

fn to_response(outcome: HandlerResult, context: &ReplyContext) -> Response {
    let reply = match outcome {
        Err(failure) => return error_response(&failure),
        Ok(None) if matches!(context.operation, Operation::Read | Operation::List | Operation::Header) => {
            return error_response(&ErrorReply::not_found());
        }
        Ok(None) => return empty_response(StatusCode::NO_CONTENT),
        Ok(Some(reply)) => reply,
    };
    if context.operation == Operation::List && is_empty_list(&reply) {
        return error_response(&ErrorReply::not_found());
    }
    let mut response = match &reply.body {
        BodyFormat::Raw => raw::to_response(&reply),
        BodyFormat::Text(text) => json_response(StatusCode::OK, text.clone()),
        BodyFormat::Empty => empty_response(status_of(&reply)),
        BodyFormat::Envelope | BodyFormat::Bare => {
            json_response(status_of(&reply), envelope::render(&reply, &context.id, context.placement))
        }
    };
    copy_headers(&reply, response.headers_mut());
    response
}

fn status_of(reply: &Reply) -> StatusCode {
    reply.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK)
}

/// A list without keys is 404, unless the reply contains something else.
fn is_empty_list(reply: &Reply) -> bool {
    let Some(data) = &reply.data else { return reply.warnings.is_empty() && reply.wrap.is_none() };
    match data.get("keys") {
        Some(Value::Array(keys)) => keys.is_empty(),
        Some(Value::Null) | None => data.is_empty() && reply.warnings.is_empty() && reply.wrap.is_none(),
        Some(_) => false,
    }
}

fn copy_headers(reply: &Reply, headers: &mut HeaderMap) {
    for (name, values) in &reply.headers {
        let Ok(name) = HeaderName::try_from(name) else { continue };
        for value in values.iter().filter_map(|value| HeaderValue::try_from(value).ok()) {
            headers.append(name.clone(), value);
        }
    }
}

fn error_response(failure: &ErrorReply) -> Response {
    let errors: Vec<&str> = failure.text.as_deref().into_iter().collect();
    let mut document = json!({"errors": errors});
    if let (Some(document), Some(data)) = (document.as_object_mut(), &failure.data) {
        document.insert("data".to_owned(), data.clone());
    }
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_response(status, document.to_string())
}

fn json_response(status: StatusCode, mut text: String) -> Response {
    text.push('\n');
    let mut response = empty_response(status);
    *response.body_mut() = HttpBody::from(text);
    response
}

fn empty_response(status: StatusCode) -> Response {
    let mut response = Response::new(HttpBody::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(
        header::STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=31536000; includeSubDomains"),
    );
    response
}
