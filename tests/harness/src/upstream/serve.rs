//! Answers requests: the contract where nothing is wrong, the fault where one waits.

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

use super::state::{Expiry, Fault, Issued, Moment, Operation, Recorded, Renewal, State};

type Answer = Response<Full<Bytes>>;

/// Serves connections until the task is aborted, which closes them all.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    endpoint: String,
    state: watch::Sender<State>,
) {
    let mut connections = JoinSet::new();
    loop {
        // Accepting fails for a client that is gone again; the next one is not concerned.
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, endpoint, state) = (tls.clone(), endpoint.clone(), state.clone());
        connections.spawn(async move {
            match tls {
                None => serve(stream, endpoint, state).await,
                // A client that does not trust the certificate hangs up here.
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
    state: watch::Sender<State>,
) {
    let service = service_fn(|request| handle(request, &endpoint, &state));
    // Ends with an error when the client is gone, or when a fault drops the connection.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Makes hyper close the connection without an answer.
#[derive(Debug)]
struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("connection dropped on purpose")
    }
}

impl std::error::Error for Dropped {}

async fn handle(
    request: Request<Incoming>,
    endpoint: &str,
    state: &watch::Sender<State>,
) -> Result<Answer, Dropped> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Dropped)?.to_bytes();
    let call = Call::of(&head.method, head.uri.path());
    let request = Recorded {
        operation: call.as_ref().map(Call::operation),
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
        state.send_modify(|state| answer = Some(answer_of(state, call.as_ref(), &request)));
        answer.expect("send_modify calls its closure once")
    };

    match fault {
        None => Ok(work()),
        Some(Fault::Slow(delay)) => {
            tokio::time::sleep(delay).await;
            Ok(work())
        }
        Some(Fault::Withheld) => {
            let answer = work();
            Withheld::until_healed(state).await;
            Ok(answer)
        }
        Some(Fault::Status(status)) => Ok(refusal(status, "told to fail")),
        Some(Fault::StatusWithRetryAfter(status, delay)) => {
            let mut answer = refusal(status, "told to fail");
            answer.headers_mut().insert(RETRY_AFTER, delay.as_secs().into());
            Ok(answer)
        }
        Some(Fault::StatusWithRetryDate(status, delay)) => {
            let mut answer = refusal(status, "told to fail");
            let date = (Timestamp::now() + delay).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
            answer.headers_mut().insert(RETRY_AFTER, date.parse().expect("a date is a header value"));
            Ok(answer)
        }
        Some(Fault::BrokenJson) => {
            work();
            Ok(answer(200, "application/json", r#"{"id": "tok"#))
        }
        Some(Fault::LongAnswer) => {
            work();
            Ok(document(200, &json!({"id": "tok", "token": "t".repeat(2 << 20)})))
        }
        Some(Fault::ExpiresAt(expires_at)) => Ok(with_expires_at(work(), expires_at).await),
        Some(Fault::Redirect) => {
            let mut answer = refusal(307, "moved");
            let location = format!("{endpoint}/elsewhere").parse().expect("an address is a header value");
            answer.headers_mut().insert(LOCATION, location);
            Ok(answer)
        }
        Some(Fault::DropConnection(Moment::BeforeWork)) => Err(Dropped),
        Some(Fault::DropConnection(Moment::AfterWork)) => {
            work();
            Err(Dropped)
        }
        Some(Fault::HtmlNotFound) => {
            Ok(answer(404, "text/html", "<html><body><h1>404 Not Found</h1></body></html>"))
        }
        Some(Fault::JsonNotFound) => Ok(refusal(404, "no such token")),
    }
}

/// A request whose answer is held back. It is counted until it is answered or its client hangs up.
struct Withheld<'a>(&'a watch::Sender<State>);

impl Withheld<'_> {
    async fn until_healed(state: &watch::Sender<State>) {
        let heals = state.borrow().heals;
        state.send_modify(|state| state.withheld += 1);
        let _counted = Withheld(state);
        // Cannot fail: this holds a sender.
        let _ = state.subscribe().wait_for(|state| state.heals > heals).await;
    }
}

impl Drop for Withheld<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|state| state.withheld -= 1);
    }
}

async fn with_expires_at(answer: Answer, expires_at: String) -> Answer {
    let Ok(body) = answer.into_body().collect().await;
    let mut body: Value = serde_json::from_slice(&body.to_bytes()).expect("the service answers with JSON");
    body["expires_at"] = Value::String(expires_at);
    document(200, &body)
}

/// A request by what it is for, with the id it names.
enum Call {
    Mint,
    Renew(String),
    Revoke(String),
}

impl Call {
    fn of(method: &Method, path: &str) -> Option<Call> {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        match (method, segments.as_slice()) {
            (&Method::POST, ["tokens"]) => Some(Call::Mint),
            (&Method::POST, ["tokens", id, "renew"]) => Some(Call::Renew((*id).to_owned())),
            (&Method::DELETE, ["tokens", id]) => Some(Call::Revoke((*id).to_owned())),
            _ => None,
        }
    }

    fn operation(&self) -> Operation {
        match self {
            Call::Mint => Operation::Mint,
            Call::Renew(_) => Operation::Renew,
            Call::Revoke(_) => Operation::Revoke,
        }
    }
}

fn answer_of(state: &mut State, call: Option<&Call>, request: &Recorded) -> Answer {
    if header(&request.headers, AUTHORIZATION.as_str()) != Some(&format!("Bearer {}", state.api_key)) {
        return refusal(401, "invalid api key");
    }
    match call {
        Some(Call::Mint) => mint(state, request),
        Some(Call::Renew(id)) if state.renewal == Renewal::Supported => renew(state, id, &request.body),
        Some(Call::Revoke(id)) => revoke(state, id),
        Some(Call::Renew(_)) | None => refusal(404, "no such path"),
    }
}

fn mint(state: &mut State, request: &Recorded) -> Answer {
    let key = header(&request.headers, "idempotency-key");
    if let Some((body, index)) = key.and_then(|key| state.answered.get(key)) {
        return if *body == request.body {
            document(201, &shown(&state.issued[*index], state.expiry))
        } else {
            refusal(422, "idempotency key used with another request")
        };
    }
    let Some((name, permissions, ttl)) = wanted(&request.body) else {
        return refusal(400, "name, permissions (strings) and ttl (seconds) are required");
    };
    let id = match state.counted_ids {
        true => (state.issued.len() + 1).to_string(),
        false => Uuid::new_v4().simple().to_string(),
    };
    let token = format!("tok_{}{}", Uuid::new_v4().simple(), "x".repeat(state.padding));
    let issued = Issued { id, token, name, permissions, ttl, renewals: 0, revoked: false };
    let answer = document(201, &shown(&issued, state.expiry));
    state.issued.push(issued);
    if let Some(key) = key {
        state.answered.insert(key.to_owned(), (request.body.clone(), state.issued.len() - 1));
    }
    answer
}

fn renew(state: &mut State, id: &str, body: &Bytes) -> Answer {
    let Some(ttl) = serde_json::from_slice::<Value>(body).ok().and_then(|body| ttl_in(&body)) else {
        return refusal(400, "ttl (seconds) is required");
    };
    let expiry = state.expiry;
    let Some(token) = find_live(state, id) else { return refusal(404, "no such token") };
    token.ttl = ttl;
    token.renewals += 1;
    let mut answer = shown(token, expiry);
    answer.as_object_mut().expect("a token is shown as an object").remove("token");
    document(200, &answer)
}

fn revoke(state: &mut State, id: &str) -> Answer {
    let Some(token) = find_live(state, id) else { return refusal(404, "no such token") };
    token.revoked = true;
    let mut answer = Answer::default();
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer
}

fn find_live<'a>(state: &'a mut State, id: &str) -> Option<&'a mut Issued> {
    state.issued.iter_mut().find(|token| token.id == id && !token.revoked)
}

fn wanted(body: &Bytes) -> Option<(String, Vec<String>, Duration)> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let permissions = body["permissions"].as_array()?;
    let permissions =
        permissions.iter().map(|entry| entry.as_str().map(str::to_owned)).collect::<Option<_>>()?;
    Some((body["name"].as_str()?.to_owned(), permissions, ttl_in(&body)?))
}

fn ttl_in(body: &Value) -> Option<Duration> {
    body["ttl"].as_u64().map(Duration::from_secs)
}

fn shown(token: &Issued, expiry: Expiry) -> Value {
    let mut shown = json!({"id": token.id, "token": token.token});
    if expiry == Expiry::Said {
        shown["expires_at"] = json!((Timestamp::now() + token.ttl).to_string());
    }
    shown
}

fn refusal(status: u16, error: &str) -> Answer {
    document(status, &json!({"error": error}))
}

fn document(status: u16, body: &Value) -> Answer {
    answer(status, "application/json", body.to_string())
}

fn answer(status: u16, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type)
        .body(Full::new(body.into()))
        .expect("tests ask for valid statuses")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
