//! A sample upstream for the token engine: an in-memory token service on loopback.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, post};
use axum::{Json, Router};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A running token service. Dropping it stops it and discards its tokens.
pub struct TokenService {
    address: SocketAddr,
    api_key: String,
    task: JoinHandle<()>,
}

impl TokenService {
    /// Starts a service on a free loopback port with a random API key.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start() -> io::Result<TokenService> {
        TokenService::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?)
    }

    /// Starts a service at the address of an earlier one, so that tokens of the earlier one can be revoked: the reply is
    /// "not found". Uses a free port if the address is in use or not loopback.
    ///
    /// # Errors
    /// If no port is free.
    pub async fn start_at(earlier: SocketAddr) -> io::Result<TokenService> {
        if earlier.ip().is_loopback()
            && let Ok(listener) = TcpListener::bind(earlier).await
        {
            return TokenService::serve(listener);
        }
        TokenService::start().await
    }

    fn serve(listener: TcpListener) -> io::Result<TokenService> {
        let address = listener.local_addr()?;
        let api_key = format!("sample-{}", Uuid::new_v4().simple());
        let service =
            Arc::new(ServiceState { authorization: format!("Bearer {api_key}"), tokens: Mutex::default() });
        let router = Router::new()
            .route("/tokens", post(mint))
            .route("/tokens/{id}/renew", post(renew))
            .route("/tokens/{id}", delete(revoke))
            .with_state(service);
        let task = tokio::spawn(async move {
            // axum retries failed accepts, so this never returns an error.
            let _never = axum::serve(listener, router).await;
        });
        Ok(TokenService { address, api_key, task })
    }

    /// The listen address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The value for `api_endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The value for `api_key`.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }
}

impl Drop for TokenService {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for TokenService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenService").field("address", &self.address).finish_non_exhaustive()
    }
}

struct ServiceState {
    authorization: String,
    tokens: Mutex<Tokens>,
}

#[derive(Default)]
struct Tokens {
    live: BTreeMap<String, UpstreamToken>,
    /// The request and the token of each idempotency key.
    by_idempotency_key: BTreeMap<String, (MintBody, String)>,
}

#[derive(Clone)]
struct UpstreamToken {
    token: String,
    expires: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Deserialize)]
struct MintBody {
    name: String,
    permissions: Vec<String>,
    /// Seconds.
    ttl: u64,
}

#[derive(Deserialize)]
struct RenewBody {
    /// Seconds.
    ttl: u64,
}

#[derive(Serialize)]
struct TokenBody<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    expires_at: String,
}

async fn mint(
    State(service): State<Arc<ServiceState>>,
    headers: HeaderMap,
    Json(request): Json<MintBody>,
) -> Response {
    let mut tokens = match service.authorize(&headers) {
        Ok(tokens) => tokens,
        Err(response) => return response,
    };
    let key = headers.get("idempotency-key").and_then(|value| value.to_str().ok());
    let previous = key.and_then(|key| tokens.by_idempotency_key.get(key));
    let id = match previous {
        Some((same, _)) if *same != request => {
            return error_response(
                StatusCode::UNPROCESSABLE_ENTITY,
                "the idempotency key was used for another request",
            );
        }
        Some((_, id)) => id.clone(),
        None => {
            let id = Uuid::new_v4().simple().to_string();
            let token = format!("tok_{}", Uuid::new_v4().simple());
            tokens.live.insert(id.clone(), UpstreamToken { token, expires: from_now(request.ttl) });
            if let Some(key) = key {
                tokens.by_idempotency_key.insert(key.to_owned(), (request, id.clone()));
            }
            id
        }
    };
    match tokens.live.get(&id) {
        Some(UpstreamToken { token, expires }) => {
            let body = TokenBody { id: &id, token: Some(token), expires_at: expires.to_string() };
            (StatusCode::CREATED, Json(body)).into_response()
        }
        None => error_response(StatusCode::GONE, "the token of this idempotency key was revoked"),
    }
}

async fn renew(
    State(service): State<Arc<ServiceState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Json(RenewBody { ttl }): Json<RenewBody>,
) -> Response {
    let mut tokens = match service.authorize(&headers) {
        Ok(tokens) => tokens,
        Err(response) => return response,
    };
    match tokens.live.get_mut(&id) {
        Some(token) => {
            token.expires = from_now(ttl);
            Json(TokenBody { id: &id, token: None, expires_at: token.expires.to_string() }).into_response()
        }
        None => error_response(StatusCode::NOT_FOUND, "no such token"),
    }
}

async fn revoke(
    State(service): State<Arc<ServiceState>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mut tokens = match service.authorize(&headers) {
        Ok(tokens) => tokens,
        Err(response) => return response,
    };
    match tokens.live.remove(&id) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => error_response(StatusCode::NOT_FOUND, "no such token"),
    }
}

impl ServiceState {
    /// Returns the tokens that have not expired, if the request has the API key.
    #[expect(clippy::result_large_err, reason = "the error is the response, which is created once")]
    fn authorize(&self, headers: &HeaderMap) -> Result<parking_lot::MutexGuard<'_, Tokens>, Response> {
        let authorization = headers.get("authorization").map(|value| value.as_bytes());
        if authorization != Some(self.authorization.as_bytes()) {
            return Err(error_response(StatusCode::UNAUTHORIZED, "invalid api key"));
        }
        let mut tokens = self.tokens.lock();
        let now = Timestamp::now();
        tokens.live.retain(|_, token| token.expires > now);
        Ok(tokens)
    }
}

/// Returns the time in `seconds`, capped at the largest timestamp.
fn from_now(seconds: u64) -> Timestamp {
    Timestamp::now().checked_add(Duration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

fn error_response(status: StatusCode, error: &str) -> Response {
    (status, Json(json!({"error": error}))).into_response()
}
