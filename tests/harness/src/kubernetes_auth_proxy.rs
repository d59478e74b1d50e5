//! Vault's Kubernetes auth method, as a proxy in front of a server without it.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{HOST, TRANSFER_ENCODING};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use reqwest::Client;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::http_client;

/// The path that it handles; all others are forwarded.
const LOGIN_PATH: &str = "/v1/auth/kubernetes/login";
/// The server's path for renewing tokens.
const RENEW_PATH: &str = "/v1/auth/token/renew-self";

/// Accepts one service account's token for one role, and returns tokens of the server behind it. Stops when it is dropped.
pub struct KubernetesAuthProxy {
    address: SocketAddr,
    method: Arc<AuthMethodState>,
    task: JoinHandle<()>,
}

struct AuthMethodState {
    server: String,
    root_token: String,
    role: String,
    jwt: String,
    ttl: Duration,
    max_ttl: Duration,
    logins: AtomicUsize,
    renewals: AtomicUsize,
    client: Client,
}

impl KubernetesAuthProxy {
    /// Starts the proxy for `server`, a URL without a trailing slash. Its tokens live for `ttl`, and for `max_ttl` at most.
    ///
    /// # Panics
    ///
    /// If there is no free port.
    pub async fn start(
        server: impl Into<String>,
        root_token: impl Into<String>,
        (role, jwt): (&str, &str),
        (ttl, max_ttl): (Duration, Duration),
    ) -> KubernetesAuthProxy {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let method = Arc::new(AuthMethodState {
            server: server.into(),
            root_token: root_token.into(),
            role: role.to_owned(),
            jwt: jwt.to_owned(),
            ttl,
            max_ttl,
            logins: AtomicUsize::new(0),
            renewals: AtomicUsize::new(0),
            client: http_client::builder().build().expect("a client without settings can be built"),
        });
        let served = Arc::clone(&method);
        let task = tokio::spawn(async move {
            loop {
                // Accepting fails if the client has disconnected; others are not affected.
                let Ok((stream, _)) = listener.accept().await else { continue };
                let method = Arc::clone(&served);
                tokio::spawn(async move {
                    let answer = service_fn(|request| method.handle(request));
                    // Fails if the client has disconnected.
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
                });
            }
        });
        KubernetesAuthProxy { address, method, task }
    }

    /// Its URL, without a trailing slash.
    pub fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Number of issued tokens.
    pub fn logins(&self) -> usize {
        self.method.logins.load(Ordering::Relaxed)
    }

    /// Number of renewals.
    pub fn renewals(&self) -> usize {
        self.method.renewals.load(Ordering::Relaxed)
    }
}

impl Drop for KubernetesAuthProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl AuthMethodState {
    async fn handle(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let path = head.uri.path_and_query().map_or_else(|| "/".to_owned(), ToString::to_string);
        let mut headers = head.headers;
        headers.remove(HOST);
        let sent = if path == LOGIN_PATH {
            let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
            if asked["role"] != self.role.as_str() || asked["jwt"] != self.jwt.as_str() {
                let mut denied = Response::new(Full::new(Bytes::from(r#"{"errors":["permission denied"]}"#)));
                *denied.status_mut() = StatusCode::FORBIDDEN;
                return Ok(denied);
            }
            self.logins.fetch_add(1, Ordering::Relaxed);
            let seconds = |duration: Duration| format!("{}s", duration.as_secs());
            let token = json!({
                "ttl": seconds(self.ttl), "explicit_max_ttl": seconds(self.max_ttl), "policies": ["app"],
                "no_default_policy": false, "no_parent": true,
            });
            self.client
                .post(format!("{}/v1/auth/token/create", self.server))
                .header("X-Vault-Token", &self.root_token)
                .json(&token)
        } else {
            if path == RENEW_PATH {
                self.renewals.fetch_add(1, Ordering::Relaxed);
            }
            self.client.request(head.method, format!("{}{path}", self.server)).headers(headers).body(body)
        };
        let answer = sent.send().await.expect("the server behind the proxy answers");
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        headers.remove(TRANSFER_ENCODING);
        let content = answer.bytes().await.expect("the server behind the proxy ends its answer");
        let mut response = Response::new(Full::new(content));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}
