//! HTTP on the outside, calls on the inside.

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
use crate::envelope::{self, Top};
use crate::reply::{Body, Failure, Outcome, Reply};

/// The longest body that is read, as Vault's default.
const LONGEST_BODY: usize = 32 << 20;

/// Everything that is served.
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
        return failed(&Failure::not_found());
    };
    let namespace = head.headers.get("x-vault-namespace").cloned();
    let mut response = match to_bytes(body, LONGEST_BODY).await {
        Ok(body) => answer(&core, &head, &path, &body, remote).await,
        Err(_) => failed(&Failure::new(413, "error parsing JSON: http: request body too large")),
    };
    if let Some(namespace) = namespace {
        // The community edition has no namespaces, and says so by ignoring them.
        response.headers_mut().insert("x-vault-namespace", namespace);
    }
    response
}

async fn answer(
    core: &Arc<Core>,
    head: &axum::http::request::Parts,
    path: &str,
    body: &Bytes,
    remote: SocketAddr,
) -> Response {
    if let Some(response) = status::answer(core, head, path, body).await {
        return response;
    }
    match parse::call(head, path, body, remote) {
        Ok(call) => {
            let about =
                About { id: call.id.clone(), operation: call.operation.clone(), top: Top::of(&call.path) };
            respond(core.handle(call).await, &about)
        }
        Err(failure) => failed(&failure),
    }
}

/// What is still needed of a call when its answer is there.
struct About {
    id: String,
    operation: Operation,
    top: Top,
}

fn respond(outcome: Outcome, about: &About) -> Response {
    let reply = match outcome {
        Err(failure) => return failed(&failure),
        Ok(None) if matches!(about.operation, Operation::Read | Operation::List | Operation::Header) => {
            return failed(&Failure::not_found());
        }
        Ok(None) => return empty(StatusCode::NO_CONTENT),
        Ok(Some(reply)) => reply,
    };
    if about.operation == Operation::List && is_nothing(&reply) {
        return failed(&Failure::not_found());
    }
    let mut response = match &reply.body {
        Body::Raw => raw::respond(&reply),
        Body::Text(text) => json_text(StatusCode::OK, text.clone()),
        Body::Nothing => empty(status_of(&reply)),
        Body::Envelope | Body::Bare => {
            json_text(status_of(&reply), envelope::text(&reply, &about.id, about.top))
        }
    };
    copy_headers(&reply, response.headers_mut());
    response
}

fn status_of(reply: &Reply) -> StatusCode {
    reply.status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK)
}

/// A list without keys is not found, unless there is something else to say.
fn is_nothing(reply: &Reply) -> bool {
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

fn failed(failure: &Failure) -> Response {
    let errors: Vec<&str> = failure.text.as_deref().into_iter().collect();
    let mut document = json!({"errors": errors});
    if let (Some(document), Some(data)) = (document.as_object_mut(), &failure.data) {
        document.insert("data".to_owned(), data.clone());
    }
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    json_text(status, document.to_string())
}

fn json_text(status: StatusCode, mut text: String) -> Response {
    text.push('\n');
    let mut response = empty(status);
    *response.body_mut() = HttpBody::from(text);
    response
}

fn empty(status: StatusCode) -> Response {
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
