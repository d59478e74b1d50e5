//! A reverse proxy that records requests, and that can run an action just before it forwards one.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use reqwest::Client;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::http_client;

/// A proxy in front of a server with plain HTTP. Stops when it is dropped.
pub struct RecordingProxy {
    address: SocketAddr,
    state: Arc<Mutex<RecordedState>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct RecordedState {
    exchanges: Vec<Exchange>,
    /// The action before the next request to a path.
    before_request: Option<(String, Box<dyn FnOnce() + Send>)>,
}

/// A request and its response.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The body of the request: JSON or text; `Null` if it is empty.
    pub sent: Value,
    /// HTTP status.
    pub status: u16,
    /// Content type of the response; empty if it has none.
    pub content_type: String,
    /// Body of the response.
    pub answered: Value,
}

impl RecordingProxy {
    /// Starts a proxy before `server`, a URL without a trailing slash.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn start(server: impl Into<String>) -> RecordingProxy {
        let server = server.into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let memory = Arc::new(Mutex::new(RecordedState::default()));
        let client = http_client::builder().build().expect("a client without settings can be built");
        let kept = Arc::clone(&memory);
        let task = tokio::spawn(async move {
            loop {
                // Accepting fails if the client has disconnected; others are not affected.
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (server, client, kept) = (server.clone(), client.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    let pass = service_fn(|request| forward_request(request, &server, &client, &kept));
                    // Fails if the client has disconnected.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), pass).await;
                });
            }
        });
        RecordingProxy { address, state: memory, task }
    }

    /// Its URL, without a trailing slash.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the requests since the last call.
    pub fn take_exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut self.state.lock().exchanges)
    }

    /// Runs `act` before the next request to `path` is forwarded.
    pub fn before_next_request(&self, path: impl Into<String>, act: impl FnOnce() + Send + 'static) {
        self.state.lock().before_request = Some((path.into(), Box::new(act)));
    }
}

impl Drop for RecordingProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward_request(
    request: Request<Incoming>,
    server: &str,
    client: &Client,
    memory: &Mutex<RecordedState>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let awaited = memory.lock().before_request.take_if(|(awaited, _)| *awaited == path);
    if let Some((_, act)) = awaited {
        act();
    }
    let mut headers = head.headers;
    headers.remove(HOST);
    let sent =
        client.request(head.method.clone(), format!("{server}{path}")).headers(headers).body(body.clone());
    let answer = sent.send().await.expect("the server behind the proxy answers");
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(TRANSFER_ENCODING);
    let content = answer.bytes().await.expect("the server behind the proxy ends its answer");
    memory.lock().exchanges.push(Exchange {
        method: head.method.to_string(),
        path,
        sent: value(&body),
        status: status.as_u16(),
        content_type: headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
        answered: value(&content),
    });
    let mut response = Response::new(Full::new(content));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

fn value(body: &Bytes) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}
