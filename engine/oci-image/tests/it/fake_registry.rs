//! A registry that keeps what it is given, and has faults on request.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use oci_image::Digest;

/// What happens to requests, each to the next one that it fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Requests of this method are answered with this status.
    Status(Method, StatusCode),
    /// The connection ends in the middle of an upload.
    ConnectionDropped,
    /// An upload is taken for something else than it is.
    WrongDigest,
    /// The name is given to something else.
    WrongManifest,
}

#[derive(Debug, Default)]
pub(crate) struct RegistryState {
    pub(crate) blobs: BTreeMap<String, Bytes>,
    pub(crate) manifests: BTreeMap<String, Bytes>,
    pub(crate) faults: VecDeque<Fault>,
    /// Method and path, of every request that was not turned away at the door.
    pub(crate) requests: Vec<String>,
    /// Of uploads that were begun.
    pub(crate) uploads: usize,
}

pub(crate) struct FakeRegistry {
    address: SocketAddr,
    pub(crate) state: Arc<Mutex<RegistryState>>,
}

#[derive(Clone)]
struct FakeServer {
    state: Arc<Mutex<RegistryState>>,
    /// The header that opens the door; none is asked for without.
    key: Option<&'static str>,
}

impl FakeRegistry {
    /// `key` is what `Authorization` must be.
    pub(crate) async fn start(key: Option<&'static str>) -> FakeRegistry {
        let kept = Arc::<Mutex<RegistryState>>::default();
        let router = Router::new().fallback(serve).with_state(FakeServer { state: kept.clone(), key });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        FakeRegistry { address, state: kept }
    }

    pub(crate) fn image(&self) -> String {
        format!("{}/team/custom", self.address)
    }

    pub(crate) fn inject(&self, faults: impl IntoIterator<Item = Fault>) {
        self.state.lock().unwrap().faults.extend(faults);
    }
}

async fn serve(State(house): State<FakeServer>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    if house.key.is_some_and(|key| !authorized(&parts.headers, key)) {
        let challenge = [(header::WWW_AUTHENTICATE, r#"Basic realm="registry""#)];
        return (StatusCode::UNAUTHORIZED, challenge).into_response();
    }
    let fault = {
        let mut kept = house.state.lock().unwrap();
        kept.requests.push(format!("{} {path}", parts.method));
        let fits = |fault: &Fault| match fault {
            Fault::Status(method, _) => *method == parts.method,
            Fault::ConnectionDropped | Fault::WrongDigest => {
                parts.method == Method::PUT && path.contains("/blobs/")
            }
            Fault::WrongManifest => parts.method == Method::PUT && path.contains("/manifests/"),
        };
        match kept.faults.front() {
            Some(fault) if fits(fault) => kept.faults.pop_front(),
            _ => None,
        }
    };
    match fault {
        Some(Fault::Status(_, status)) => return status.into_response(),
        // The task of the connection ends, and the connection with it.
        Some(Fault::ConnectionDropped) => std::panic::resume_unwind(Box::new("as wanted")),
        Some(Fault::WrongDigest) => {
            let said = r#"{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}"#;
            return (StatusCode::BAD_REQUEST, said).into_response();
        }
        Some(Fault::WrongManifest) | None => {}
    }
    let content = match axum::body::to_bytes(body, usize::MAX).await {
        Ok(content) => content,
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    let content = if fault == Some(Fault::WrongManifest) { Bytes::from_static(b"{}") } else { content };
    respond(&house, &parts.method, &path, parts.uri.query(), content)
}

fn respond(house: &FakeServer, method: &Method, path: &str, query: Option<&str>, content: Bytes) -> Response {
    let mut kept = house.state.lock().unwrap();
    let last = path.rsplit('/').next().unwrap().to_owned();
    let location = |path: &str| [(header::LOCATION, path.to_owned())];
    match *method {
        Method::GET if path == "/v2/" => StatusCode::OK.into_response(),
        Method::HEAD if path.contains("/blobs/") => match kept.blobs.get(&last) {
            Some(_) => StatusCode::OK.into_response(),
            None => StatusCode::NOT_FOUND.into_response(),
        },
        Method::POST if path.ends_with("/blobs/uploads/") => {
            kept.uploads += 1;
            (StatusCode::ACCEPTED, location(&format!("{path}{}", kept.uploads))).into_response()
        }
        Method::PUT if path.contains("/blobs/uploads/") => {
            let digest = Digest::sha256(&content).to_string();
            let wanted = query.unwrap().strip_prefix("digest=").unwrap().replace("%3A", ":");
            if digest != wanted {
                return StatusCode::BAD_REQUEST.into_response();
            }
            kept.blobs.insert(digest, content);
            (StatusCode::CREATED, location(path)).into_response()
        }
        // Without a `Location`, as a registry in a great cloud answers.
        Method::PUT if path.contains("/manifests/") => {
            kept.manifests.insert(last, content);
            StatusCode::CREATED.into_response()
        }
        Method::HEAD | Method::GET if path.contains("/manifests/") => match kept.manifests.get(&last) {
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
    headers.get(header::AUTHORIZATION).is_some_and(|given| given == key)
}
