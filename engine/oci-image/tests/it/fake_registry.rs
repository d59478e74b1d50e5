//! An in-memory registry that can inject faults.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use oci_image::Digest;

/// A fault, which applies to the next matching request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A request with this method gets this status.
    Status(Method, StatusCode),
    /// The connection is closed during an upload.
    ConnectionDropped,
    /// The registry rejects the digest of an upload.
    WrongDigest,
    /// The registry stores another manifest than the pushed one.
    WrongManifest,
}

#[derive(Debug, Default)]
pub(crate) struct RegistryState {
    pub(crate) blobs: BTreeMap<String, Bytes>,
    pub(crate) manifests: BTreeMap<String, Bytes>,
    pub(crate) faults: VecDeque<Fault>,
    /// Method and path of every authorized request.
    pub(crate) requests: Vec<String>,
    /// Number of started uploads.
    pub(crate) uploads: usize,
}

pub(crate) struct FakeRegistry {
    address: SocketAddr,
    pub(crate) state: Arc<Mutex<RegistryState>>,
}

#[derive(Clone)]
struct FakeServer {
    state: Arc<Mutex<RegistryState>>,
    /// Required `Authorization` header, if any.
    key: Option<&'static str>,
}

impl FakeRegistry {
    /// Starts a registry that requires the `Authorization` header `key`, if there is one.
    pub(crate) async fn start(key: Option<&'static str>) -> FakeRegistry {
        let state = Arc::<Mutex<RegistryState>>::default();
        let router = Router::new().fallback(serve).with_state(FakeServer { state: state.clone(), key });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        FakeRegistry { address, state }
    }

    pub(crate) fn image(&self) -> String {
        format!("{}/team/custom", self.address)
    }

    pub(crate) fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().faults.extend(faults);
    }
}

async fn serve(State(server): State<FakeServer>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if server.key.is_some_and(|key| !authorized(&parts.headers, key)) {
        let challenge = [(header::WWW_AUTHENTICATE, r#"Basic realm="registry""#)];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    let fault = {
        let mut state = server.state.lock().unwrap();
        state.requests.push(format!("{} {path}", parts.method));
        let matches = |fault: &Fault| match fault {
            Fault::Status(method, _) => *method == parts.method,
            Fault::ConnectionDropped | Fault::WrongDigest => {
                parts.method == Method::PUT && path.contains("/blobs/")
            }
            Fault::WrongManifest => parts.method == Method::PUT && path.contains("/manifests/"),
        };
        match state.faults.front() {
            Some(fault) if matches(fault) => state.faults.pop_front(),
            _ => None,
        }
    };
    match fault {
        Some(Fault::Status(_, status)) => return status.into_response(),
        // The panic ends the task of the connection, and with it the connection.
        Some(Fault::ConnectionDropped) => std::panic::resume_unwind(Box::new("injected fault")),
        Some(Fault::WrongDigest) => {
            let body = r#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}"#;
            return (StatusCode::BAD_REQUEST, body).into_response();
        }
        Some(Fault::WrongManifest) | None => {}
    }
    let content = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(content) => content,
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let content = if fault == Some(Fault::WrongManifest) { Bytes::from_static(b"{}") } else { content };
    respond(&server, &parts.method, &path, parts.uri.query(), content)
}

fn respond(
    server: &FakeServer,
    method: &Method,
    path: &str,
    query: Option<&str>,
    content: Bytes,
) -> Response {
    let mut state = server.state.lock().unwrap();
    let last = path.rsplit('/').next().unwrap().to_owned();
    let location = |path: &str| [(header::LOCATION, path.to_owned())];
    match *method {
        Method::GET if path == "/v2/" => StatusCode::OK.into_response(),
        Method::HEAD if path.contains("/blobs/") => match state.blobs.get(&last) {
            Some(_) => StatusCode::OK.into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::POST if path.ends_with("/blobs/uploads/") => {
            state.uploads += 1;
            (StatusCode::ACCEPTED, location(&format!("{path}{}", state.uploads))).into_response()
        }
        Method::PUT if path.contains("/blobs/uploads/") => {
            let digest = Digest::sha256(&content).to_string();
            let expected = query.unwrap().strip_prefix("digest=").unwrap().replace("%3A", ":");
            if digest != expected {
                return StatusCode::BAD_REQUEST.into_response();
            }
            state.blobs.insert(digest, content);
            (StatusCode::CREATED, location(path)).into_response()
        }
        // Without `Location`, as in the responses of some cloud registries.
        Method::PUT if path.contains("/manifests/") => {
            state.manifests.insert(last, content);
            StatusCode::CREATED.into_response()
        }
        Method::HEAD | Method::GET if path.contains("/manifests/") => match state.manifests.get(&last) {
            Some(content) => {
                let digest = [("docker-content-digest", Digest::sha256(content).to_string())];
                (StatusCode::OK, digest, content.clone()).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
        _ => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

fn authorized(headers: &HeaderMap, key: &str) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|header| header == key)
}
