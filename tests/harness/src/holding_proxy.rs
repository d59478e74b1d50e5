//! A reverse proxy that holds one request, or the response to it, until it is released.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reqwest::{Certificate, Client};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::{http_client, within_timeout};

/// A proxy with plain HTTP in front of a server with HTTP or HTTPS. Stops when it is dropped.
pub struct HoldingProxy {
    address: SocketAddr,
    state: watch::Sender<ProxyState>,
    task: JoinHandle<()>,
}

/// The side of an exchange on which it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldPoint {
    /// The server has not received the request yet.
    Request,
    /// The server has responded, and the client has received nothing yet.
    Response,
}

#[derive(Debug, Default)]
struct ProxyState {
    /// The number of requests that pass before the held one, and where that one is held.
    next: Option<(usize, HoldPoint)>,
    /// Whether only requests that can change something count.
    only_changes: bool,
    is_held: bool,
    /// The number of exchanges that have not ended.
    running: usize,
}

impl HoldingProxy {
    /// Starts a proxy before `server`, a URL without a trailing slash, whose certificate is signed by the CA in `ca_pem`, if it has one.
    ///
    /// # Panics
    ///
    /// If there is no free port, or the PEM contains no certificate.
    pub async fn start(server: impl Into<String>, ca_pem: Option<&str>) -> HoldingProxy {
        let server = server.into();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let state = watch::Sender::new(ProxyState::default());
        let mut client = http_client::builder();
        if let Some(pem) = ca_pem {
            client = client.tls_certs_only([Certificate::from_pem(pem.as_bytes()).expect("a certificate")]);
        }
        let client = client.build().expect("the client's configuration is valid");
        let shared = state.clone();
        let task = tokio::spawn(async move {
            loop {
                // Accepting fails if the client has disconnected; others are not affected.
                let Ok((stream, _)) = listener.accept().await else { continue };
                let (server, client, state) = (server.clone(), client.clone(), shared.clone());
                tokio::spawn(async move {
                    let pass = service_fn(|request| exchange(request, &server, &client, &state));
                    // Fails if the client has disconnected.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), pass).await;
                });
            }
        });
        HoldingProxy { address, state, task }
    }

    /// Its URL, without a trailing slash.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Holds the exchange that begins after `passing` others. One exchange is held at a time.
    pub fn hold(&self, passing: usize, point: HoldPoint) {
        self.state.send_modify(|state| (state.next, state.only_changes) = (Some((passing, point)), false));
    }

    /// The same among the requests that can change something in a Vault: also a read of a credential does.
    pub fn hold_change(&self, passing: usize, point: HoldPoint) {
        self.state.send_modify(|state| (state.next, state.only_changes) = (Some((passing, point)), true));
    }

    /// Waits until the exchange is held.
    pub async fn wait_held(&self) {
        let mut state = self.state.subscribe();
        let held = state.wait_for(|state| state.is_held).await;
        held.expect("the proxy is running");
    }

    /// Releases the exchange, and holds no other one.
    pub fn release(&self) {
        self.state.send_modify(|state| (state.next, state.is_held) = (None, false));
    }

    /// Waits until the server has responded to every request, also to those whose client has disconnected.
    pub async fn wait_idle(&self) {
        let mut state = self.state.subscribe();
        let idle = within_timeout(
            "the server responds to the last request",
            state.wait_for(|state| state.running == 0),
        );
        idle.await.expect("the proxy is running");
    }
}

impl Drop for HoldingProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Forwards one request. A request that the client has sent reaches the server, also if the client disconnects while it is held, like one
/// that is delayed in a network.
async fn exchange(
    request: Request<Incoming>,
    server: &str,
    client: &Client,
    state: &watch::Sender<ProxyState>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let path = head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
    let mut headers = head.headers;
    headers.remove(HOST);
    let is_change = can_change(&head.method, &path);
    let sent = client.request(head.method, format!("{server}{path}")).headers(headers).body(body);
    let mut point = None;
    state.send_modify(|state| {
        state.running += 1;
        match state.next {
            Some(_) if state.only_changes && !is_change => {}
            Some((0, at)) => (point, state.next) = (Some(at), None),
            Some((passing, at)) => state.next = Some((passing - 1, at)),
            None => {}
        }
    });
    let state = state.clone();
    let forwarded = tokio::spawn(async move {
        if point == Some(HoldPoint::Request) {
            wait_released(&state).await;
        }
        let response = async {
            let response = sent.send().await?;
            let (status, headers) = (response.status(), response.headers().clone());
            Ok::<_, reqwest::Error>((status, headers, response.bytes().await?))
        };
        let response = response.await;
        if point == Some(HoldPoint::Response) {
            wait_released(&state).await;
        }
        state.send_modify(|state| state.running -= 1);
        response
    });
    let (status, mut headers, content) = match forwarded.await {
        Ok(Ok(response)) => response,
        failed => panic!("the server behind the proxy does not respond: {failed:?}"),
    };
    for own in [TRANSFER_ENCODING, CONTENT_LENGTH] {
        headers.remove(own);
    }
    let mut response = Response::new(Full::new(content));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// A query of capabilities or of a lease is a POST and changes nothing.
fn can_change(method: &Method, path: &str) -> bool {
    let is_query = path.ends_with("sys/capabilities-self") || path.ends_with("sys/leases/lookup");
    (*method != Method::GET && !is_query) || path.contains("/creds/")
}

async fn wait_released(state: &watch::Sender<ProxyState>) {
    state.send_modify(|state| state.is_held = true);
    // Fails if the proxy is dropped.
    let _ = state.subscribe().wait_for(|state| !state.is_held).await;
}
