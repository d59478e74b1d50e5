//! Handles requests by the contract, or applies a pending fault.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use uuid::Uuid;

use super::state::{
    DropMoment, Expiry, Fault, IssuedToken, Operation, RecordedRequest, Renewal, UpstreamState,
};

type HttpResponse = Response<Full<Bytes>>;

/// Serves connections until the task is aborted, which closes them all.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    endpoint: String,
    state: watch::Sender<UpstreamState>,
) {
    let mut connections = JoinSet::new();
    loop {
        // Accepting fails if the client has disconnected; others are not affected.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, endpoint, state) = (tls.clone(), endpoint.clone(), state.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, endpoint, state).await,
                // A client that does not trust the certificate disconnects here.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, endpoint, state).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    endpoint: String,
    state: watch::Sender<UpstreamState>,
) {
    let service = service_fn(|request| handle(request, &endpoint, &state));
    // Fails if the client has disconnected, or a fault drops the connection.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Makes hyper close the connection without a response.
#[derive(Debug)]
struct ConnectionDropped;

impl fmt::Display for ConnectionDropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection dropped on purpose")
    }
}

impl std::error::Error for ConnectionDropped {}

async fn handle(
    request: Request<Incoming>,
    endpoint: &str,
    state: &watch::Sender<UpstreamState>,
) -> Result<HttpResponse, ConnectionDropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| ConnectionDropped)?.to_bytes();
    let call = UpstreamCall::parse(&head.method, head.uri.path());
    let request = RecordedRequest {
        operation: call.as_ref().map(UpstreamCall::operation),
        method: head.method,
        path: head.uri.path().to_owned(),
        headers: head.headers,
        body,
    };

    let mut fault = None;
    state.send_modify(|state| {
        state.requests.push(request.clone());
        fault = request.operation.and_then(|operation| state.faults.take(operation));
    });
    let work = || {
        let mut answer = None;
        state.send_modify(|state| answer = Some(execute(state, call.as_ref(), &request)));
        answer.expect("send_modify calls its closure once")
    };

    match fault {
        None => Ok(work()),
        Some(Fault::Delayed(delay)) => {
            tokio::time::sleep(delay).await;
            Ok(work())
        }
        Some(Fault::Withheld) => {
            let answer = work();
            WithheldResponse::until_healed(state).await;
            Ok(answer)
        }
        Some(Fault::Status(status)) => Ok(error_response(status, "told to fail")),
        Some(Fault::StatusWithRetryAfter(status, delay)) => {
            let mut answer = error_response(status, "told to fail");
            answer.headers_mut().insert(RETRY_AFTER, delay.as_secs().into());
            Ok(answer)
        }
        Some(Fault::StatusWithRetryDate(status, delay)) => {
            let mut answer = error_response(status, "told to fail");
            let date = (Timestamp::now() + delay).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            answer.headers_mut().insert(RETRY_AFTER, date.parse().expect("a date is a header value"));
            Ok(answer)
        }
        Some(Fault::BrokenJson) => {
            work();
            Ok(response(200, "application/json", r#"{"id": "tok"#))
        }
        Some(Fault::OversizedResponse) => {
            work();
            Ok(json_response(200, &json!({"id": "tok", "token": "t".repeat(2 << 20)})))
        }
        Some(Fault::ExpiresAt(expires_at)) => Ok(with_expires_at(work(), expires_at).await),
        Some(Fault::Redirect) => {
            let mut answer = error_response(307, "moved");
            let location = format!("{endpoint}/elsewhere").parse().expect("an address is a header value");
            answer.headers_mut().insert(LOCATION, location);
            Ok(answer)
        }
        Some(Fault::DropConnection(DropMoment::BeforeWork)) => Err(ConnectionDropped),
        Some(Fault::DropConnection(DropMoment::AfterWork)) => {
            work();
            Err(ConnectionDropped)
        }
        Some(Fault::HtmlNotFound) => {
            Ok(response(404, "text/html", "<html><body><h1>404 Not Found</h1></body></html>"))
        }
        Some(Fault::JsonNotFound) => Ok(error_response(404, "no such token")),
    }
}

/// A request whose response is withheld. It is counted until it is answered or its client disconnects.
struct WithheldResponse<'a>(&'a watch::Sender<UpstreamState>);

impl WithheldResponse<'_> {
    async fn until_healed(state: &watch::Sender<UpstreamState>) {
        let heals = state.borrow().heals;
        state.send_modify(|state| state.withheld += 1);
        let _counted = WithheldResponse(state);
        // Cannot fail, because this value holds a sender.
        let _ = state.subscribe().wait_for(|state| state.heals > heals).await;
    }
}

impl Drop for WithheldResponse<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|state| state.withheld -= 1);
    }
}

async fn with_expires_at(answer: HttpResponse, expires_at: String) -> HttpResponse {
    let Ok(body) = answer.into_body().collect().await;
    let mut body: Value = serde_json::from_slice(&body.to_bytes()).expect("the service answers with JSON");
    body["expires_at"] = Value::String(expires_at);
    json_response(200, &body)
}

/// The operation of a request, and the token id in it.
enum UpstreamCall {
    Mint,
    Renew(String),
    Revoke(String),
}

impl UpstreamCall {
    fn parse(method: &Method, path: &str) -> Option<UpstreamCall> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (method, segments.as_slice()) {
            (&Method::POST, ["tokens"]) => Some(UpstreamCall::Mint),
            (&Method::POST, ["tokens", id, "renew"]) => Some(UpstreamCall::Renew((*id).to_owned())),
            (&Method::DELETE, ["tokens", id]) => Some(UpstreamCall::Revoke((*id).to_owned())),
            _ => None,
        }
    }

    fn operation(&self) -> Operation {
        match self {
            UpstreamCall::Mint => Operation::Mint,
            UpstreamCall::Renew(_) => Operation::Renew,
            UpstreamCall::Revoke(_) => Operation::Revoke,
        }
    }
}

fn execute(
    state: &mut UpstreamState,
    call: Option<&UpstreamCall>,
    request: &RecordedRequest,
) -> HttpResponse {
    if header(&request.headers, AUTHORIZATION.as_str()) != Some(&format!("Bearer {}", state.api_key)) {
        return error_response(401, "invalid api key");
    }
    match call {
        Some(UpstreamCall::Mint) => mint(state, request),
        Some(UpstreamCall::Renew(id)) if state.renewal == Renewal::Supported => {
            renew(state, id, &request.body)
        }
        Some(UpstreamCall::Revoke(id)) => revoke(state, id),
        Some(UpstreamCall::Renew(_)) | None => error_response(404, "no such path"),
    }
}

fn mint(state: &mut UpstreamState, request: &RecordedRequest) -> HttpResponse {
    let key = header(&request.headers, "idempotency-key");
    if let Some((body, index)) = key.and_then(|key| state.idempotent_responses.get(key)) {
        return if *body == request.body {
            json_response(201, &token_json(&state.issued[*index], state.expiry))
        } else {
            error_response(422, "idempotency key used with another request")
        };
    }
    let Some((name, permissions, ttl)) = parse_mint_request(&request.body) else {
        return error_response(400, "name, permissions (strings) and ttl (seconds) are required");
    };
    let id = match state.sequential_ids {
        true => (state.issued.len() + 1).to_string(),
        false => Uuid::new_v4().simple().to_string(),
    };
    let token = format!("tok_{}{}", Uuid::new_v4().simple(), "x".repeat(state.padding));
    let issued = IssuedToken { id, token, name, permissions, ttl, renewals: 0, revoked: false };
    let answer = json_response(201, &token_json(&issued, state.expiry));
    state.issued.push(issued);
    if let Some(key) = key {
        state.idempotent_responses.insert(key.to_owned(), (request.body.clone(), state.issued.len() - 1));
    }
    answer
}

fn renew(state: &mut UpstreamState, id: &str, body: &Bytes) -> HttpResponse {
    let Some(ttl) = serde_json::from_slice::<Value>(body).ok().and_then(|body| parse_ttl(&body)) else {
        return error_response(400, "ttl (seconds) is required");
    };
    let expiry = state.expiry;
    let Some(token) = find_live(state, id) else { return error_response(404, "no such token") };
    token.ttl = ttl;
    token.renewals += 1;
    let mut answer = token_json(token, expiry);
    answer.as_object_mut().expect("a token is shown as an object").remove("token");
    json_response(200, &answer)
}

fn revoke(state: &mut UpstreamState, id: &str) -> HttpResponse {
    let Some(token) = find_live(state, id) else { return error_response(404, "no such token") };
    token.revoked = true;
    let mut answer = HttpResponse::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

fn find_live<'a>(state: &'a mut UpstreamState, id: &str) -> Option<&'a mut IssuedToken> {
    state.issued.iter_mut().find(|token| token.id == id && !token.revoked)
}

fn parse_mint_request(body: &Bytes) -> Option<(String, Vec<String>, Duration)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let permissions = body["permissions"].as_array()?;
    let permissions =
        permissions.iter().map(|entry| entry.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    Some((body["name"].as_str()?.to_owned(), permissions, parse_ttl(&body)?))
}

fn parse_ttl(body: &Value) -> Option<Duration> {
    body["ttl"].as_u64().map(Duration::from_secs)
}

fn token_json(token: &IssuedToken, expiry: Expiry) -> Value {
    let mut shown = json!({"id": token.id, "token": token.token});
    if expiry == Expiry::Included {
        shown["expires_at"] = json!((Timestamp::now() + token.ttl).to_string());
    }
    shown
}

fn error_response(status: u16, error: &str) -> HttpResponse {
    json_response(status, &json!({"error": error}))
}

fn json_response(status: u16, body: &Value) -> HttpResponse {
    response(status, "application/json", body.to_string())
}

fn response(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> HttpResponse {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type)
        .body(Full::new(body.into()))
        .expect("tests ask for valid statuses")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
