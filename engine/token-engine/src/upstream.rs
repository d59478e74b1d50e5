//! The client of the token service: mint, renew and revoke over HTTP.

mod error;
mod retry_after;
mod send;

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use http_proxy::{Proxies, ProxyUrl};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use uuid::Uuid;
use vault_plugin::logical::{Error, Sensitive};

pub(crate) use self::error::UpstreamError;

use self::error::{Effect, ErrorKind};
use self::send::{UpstreamReply, UpstreamRequest};
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::role_name::RoleName;
use crate::telemetry::{Metrics, UpstreamOperation as Measured};

/// The time for retries after the first request of a call. With the longest timeout, a call ends after 75 seconds.
const RETRY_ALLOWANCE: Duration = Duration::from_secs(15);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A client of one token service. A call takes at most one request timeout and 15 seconds, including retries.
pub(crate) struct Upstream {
    http: reqwest::Client,
    endpoint: Endpoint,
    /// The time limit of a call including its retries.
    total_timeout: Duration,
    metrics: Arc<Metrics>,
}

/// A request for a token.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct MintRequest {
    pub(crate) name: String,
    pub(crate) permissions: Vec<String>,
    /// In seconds.
    pub(crate) ttl: u64,
    /// The key by which the service recognizes a repeated request.
    idempotency_key: String,
    /// The body. It is repeated byte for byte, because services reject the same key with another body, and a later version may encode
    /// the same fields differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl MintRequest {
    /// Returns a request for a token of a role, with a new name and key.
    pub(crate) fn new(role: &RoleName, permissions: &[String], ttl: Duration) -> Result<MintRequest, Error> {
        let mut request = MintRequest {
            name: format!("vault-{role}-{}", Uuid::new_v4()),
            permissions: permissions.to_vec(),
            ttl: ttl.as_secs(),
            idempotency_key: Uuid::new_v4().to_string(),
            body: None,
        };
        request.body = Some(request.to_body()?);
        Ok(request)
    }

    fn to_body(&self) -> Result<String, Error> {
        #[derive(Serialize)]
        struct Body<'a> {
            name: &'a str,
            permissions: &'a [String],
            ttl: u64,
        }
        let body = Body { name: &self.name, permissions: &self.permissions, ttl: self.ttl };
        serde_json::to_string(&body)
            .map_err(|error| Error::internal(format!("the request for a token cannot be written: {error}")))
    }
}

/// How to revoke a token.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Revocation {
    /// The id of the token at the service.
    #[serde(deserialize_with = "deserialize_token_id")]
    pub(crate) id: String,
    /// The path below the endpoint that is deleted: percent-encoded and without a leading slash.
    #[serde(default)]
    pub(crate) path: String,
}

impl Revocation {
    fn from_id(id: String) -> Revocation {
        let path = Endpoint::relative_path(&["tokens", &id]);
        Revocation { id, path }
    }

    /// Returns the revocation in a lease. Without a path, the token is revoked by its id.
    pub(crate) fn from_lease(id: String, path: String) -> Revocation {
        if path.is_empty() { Revocation::from_id(id) } else { Revocation { id, path } }
    }
}

/// A token that the service has minted.
pub(crate) struct MintResponse {
    pub(crate) token: Sensitive,
    /// The expiry in the response, or null.
    pub(crate) expires_at: Value,
    pub(crate) revocation: Revocation,
}

impl Upstream {
    /// Sets up TLS. Does not connect yet.
    pub(crate) fn new(config: &Config, metrics: Arc<Metrics>) -> Result<Upstream, UpstreamError> {
        let failed = |kind| UpstreamError {
            action: "set up the connection to the token service",
            endpoint: config.api_endpoint.to_string(),
            kind,
            effect: Effect::None,
        };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", config.api_key.expose()))
            .map_err(|_| failed(ErrorKind::InvalidApiKey))?;
        bearer.set_sensitive(true);
        let mut http = reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(config.request_timeout());
        let proxies = Proxies::from_env(&|name| std::env::var(name).ok());
        http = match config.api_endpoint.proxy(&proxies) {
            Some(proxy) => http.proxy(to_reqwest_proxy(proxy).ok_or_else(|| failed(ErrorKind::Proxy))?),
            // Otherwise reqwest reads the environment by other rules.
            None => http.no_proxy(),
        };
        if !config.ca_cert.trim().is_empty() {
            let authorities = reqwest::Certificate::from_pem_bundle(config.ca_cert.as_bytes());
            let authorities = authorities.ok().filter(|certificates| !certificates.is_empty());
            http = http.tls_certs_only(authorities.ok_or_else(|| failed(ErrorKind::NoCaCertificate))?);
        } else if config.tls_skip_verify || !config.api_endpoint.is_https() {
            // Trusts no authority, instead of failing if the system has none. Redirects are not followed.
            http = http.tls_certs_only([]);
        }
        if config.tls_skip_verify {
            http = http.tls_danger_accept_invalid_certs(true);
        }
        let http = http.build().map_err(|error| failed(ErrorKind::Tls(error::root_cause(&error))))?;
        let total_timeout = config.request_timeout() + RETRY_ALLOWANCE;
        Ok(Upstream { http, endpoint: config.api_endpoint.clone(), total_timeout, metrics })
    }

    /// Mints a token. A repeated request returns the same token. Without `repeat`, a request that may have minted a token is not sent
    /// again.
    pub(crate) async fn mint(
        &self,
        request: &MintRequest,
        repeat: bool,
    ) -> Result<MintResponse, UpstreamError> {
        self.metrics.time_upstream(Measured::Mint, UpstreamError::label, self.try_mint(request, repeat)).await
    }

    /// Renews a token for `ttl` from now, and returns its expiry in the response, or null.
    pub(crate) async fn renew(&self, id: &str, ttl: Duration) -> Result<Value, UpstreamError> {
        self.metrics.time_upstream(Measured::Renew, UpstreamError::label, self.try_renew(id, ttl)).await
    }

    /// Revokes a token that this service has minted.
    ///
    /// A 404 or 410 in JSON comes from the service, and means that the token does not exist any more. The page of a proxy proves nothing.
    pub(crate) async fn revoke(&self, revocation: &Revocation) -> Result<(), UpstreamError> {
        self.metrics.time_upstream(Measured::Revoke, UpstreamError::label, self.try_revoke(revocation)).await
    }

    async fn try_mint(&self, request: &MintRequest, repeat: bool) -> Result<MintResponse, UpstreamError> {
        #[derive(Deserialize)]
        struct MintBody {
            id: String,
            token: Sensitive,
            #[serde(default)]
            expires_at: Value,
        }
        const ACTION: &str = "mint a token";

        let mut call = UpstreamRequest::new(ACTION, Method::POST, self.endpoint.join(&["tokens"]));
        call.retry_after_effect = repeat;
        // An entry of an earlier version does not contain the body.
        let body = request.body.clone().map_or_else(|| request.to_body(), Ok);
        call.body = Some(body.map_err(|_| self.malformed_response(ACTION, Effect::None))?.into_bytes());
        let key = HeaderValue::try_from(&request.idempotency_key);
        let key = key.map_err(|_| self.malformed_response(ACTION, Effect::None))?;
        call.header = Some((IDEMPOTENCY_KEY, key));

        let reply = self.check_status(ACTION, self.send(&call).await?)?;
        let response: MintBody =
            parse_object(&reply.body).ok_or_else(|| self.malformed_response(ACTION, Effect::Possible))?;
        if !is_valid_token_id(&response.id) || response.token.is_empty() {
            return Err(self.malformed_response(ACTION, Effect::Possible));
        }
        let revocation = Revocation::from_id(response.id);
        Ok(MintResponse { token: response.token, expires_at: response.expires_at, revocation })
    }

    async fn try_renew(&self, id: &str, ttl: Duration) -> Result<Value, UpstreamError> {
        #[derive(Serialize)]
        struct Body {
            ttl: u64,
        }
        #[derive(Deserialize)]
        struct RenewResponse {
            #[serde(default)]
            expires_at: Value,
        }
        const ACTION: &str = "renew a token";

        let mut call =
            UpstreamRequest::new(ACTION, Method::POST, self.endpoint.join(&["tokens", id, "renew"]));
        let body = serde_json::to_vec(&Body { ttl: ttl.as_secs() });
        call.body = Some(body.map_err(|_| self.malformed_response(ACTION, Effect::None))?);
        let reply = self.check_status(ACTION, self.send(&call).await?)?;
        if reply.body.is_empty() {
            return Ok(Value::Null);
        }
        let response: Option<RenewResponse> = parse_object(&reply.body);
        Ok(response.ok_or_else(|| self.malformed_response(ACTION, Effect::Possible))?.expires_at)
    }

    async fn try_revoke(&self, revocation: &Revocation) -> Result<(), UpstreamError> {
        const ACTION: &str = "revoke a token";

        let url = self.endpoint.join_stored(&revocation.path);
        let url =
            url.ok_or_else(|| self.upstream_error(ACTION, ErrorKind::InvalidRevocationPath, Effect::None))?;
        let reply = self.send(&UpstreamRequest::new(ACTION, Method::DELETE, url)).await?;
        if matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            if is_json(&reply.headers) {
                return Ok(());
            }
            return Err(self.upstream_error(ACTION, ErrorKind::NotFromService(reply.status), reply.effect));
        }
        self.check_status(ACTION, reply).map(drop)
    }

    fn check_status(
        &self,
        action: &'static str,
        reply: UpstreamReply,
    ) -> Result<UpstreamReply, UpstreamError> {
        if reply.status.is_success() {
            return Ok(reply);
        }
        let kind = ErrorKind::from_response(reply.status, &reply.headers);
        Err(self.upstream_error(action, kind, reply.effect))
    }

    fn malformed_response(&self, action: &'static str, effect: Effect) -> UpstreamError {
        self.upstream_error(action, ErrorKind::Malformed, effect)
    }

    fn upstream_error(&self, action: &'static str, kind: ErrorKind, effect: Effect) -> UpstreamError {
        UpstreamError { action, endpoint: self.endpoint.to_string(), kind, effect }
    }
}

/// Converts a proxy. Returns `None` for one that is not supported: reqwest would ignore it.
fn to_reqwest_proxy(proxy: &ProxyUrl) -> Option<reqwest::Proxy> {
    reqwest::Proxy::all(proxy.expose_http_url()?.as_str()).ok()
}

/// Parses a JSON object. The check of the first character rejects a list, from which serde also deserializes a struct.
fn parse_object<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    if body.trim_ascii_start().first() == Some(&b'{') { serde_json::from_slice(body).ok() } else { None }
}

/// Whether a token with this id has its own address. To delete another address would be to revoke all tokens.
fn is_valid_token_id(id: &str) -> bool {
    !matches!(id, "" | "." | "..")
}

/// Deserializes a valid id.
pub(crate) fn deserialize_token_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let id = String::deserialize(deserializer)?;
    if is_valid_token_id(&id) { Ok(id) } else { Err(D::Error::custom("a token cannot have this id")) }
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}
