//! The token service: mint, renew and revoke over HTTP.

mod error;
mod send;

use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(crate) use self::error::UpstreamError;

use self::error::{Effect, Trouble};
use self::send::{Call, Reply};
use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::measure::{Call as Measured, Measures};
use crate::sensitive::Secret;

/// Time for retries beyond the first request of a call: with the longest timeout, a call ends after 75 seconds.
const RETRY_ALLOWANCE: Duration = Duration::from_secs(15);

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A client of one token service. A call takes no longer than one request timeout and 15 seconds, retries included.
pub(crate) struct Upstream {
    http: reqwest::Client,
    endpoint: Endpoint,
    /// How long a call may take with all its retries.
    patience: Duration,
    measures: Arc<Measures>,
}

/// The token that is asked for.
#[derive(Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) name: String,
    pub(crate) permissions: Vec<String>,
    /// In seconds.
    pub(crate) ttl: u64,
    /// By which the service recognises the same order.
    pub(crate) idempotency_key: String,
}

/// A token that the service made.
pub(crate) struct Minted {
    pub(crate) id: String,
    pub(crate) token: Secret,
    /// When it ends, as the service says it; null if it does not.
    pub(crate) expires_at: Value,
}

impl Upstream {
    /// Sets up TLS; connects to nothing yet.
    pub(crate) fn new(config: &Config, measures: Arc<Measures>) -> Result<Upstream, UpstreamError> {
        let failed = |trouble| UpstreamError {
            action: "set up the connection to the token service",
            endpoint: config.api_endpoint.to_string(),
            trouble,
            effect: Effect::None,
        };
        let mut bearer = HeaderValue::try_from(format!("Bearer {}", config.api_key.expose()))
            .map_err(|_| failed(Trouble::Key))?;
        bearer.set_sensitive(true);
        let mut http = reqwest::Client::builder()
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, bearer)]))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(config.request_timeout());
        if !config.ca_cert.trim().is_empty() {
            let authorities = reqwest::Certificate::from_pem_bundle(config.ca_cert.as_bytes());
            let authorities = authorities.ok().filter(|found| !found.is_empty());
            http = http.tls_certs_only(authorities.ok_or_else(|| failed(Trouble::Authorities))?);
        } else if config.tls_skip_verify || !config.api_endpoint.is_https() {
            // Trusts nobody, instead of failing where the system has no authorities; redirects are not followed.
            http = http.tls_certs_only([]);
        }
        if config.tls_skip_verify {
            http = http.tls_danger_accept_invalid_certs(true);
        }
        let http = http.build().map_err(|error| failed(Trouble::Tls(error::root_cause(&error))))?;
        let patience = config.request_timeout() + RETRY_ALLOWANCE;
        Ok(Upstream { http, endpoint: config.api_endpoint.clone(), patience, measures })
    }

    /// The service's address.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks for a token. The same order gets the same token.
    pub(crate) async fn mint(&self, order: &Order) -> Result<Minted, UpstreamError> {
        self.measures.upstream(Measured::Mint, UpstreamError::kind, self.try_mint(order)).await
    }

    /// Lets a token live for `ttl` from now, and returns when it ends as the service says it; null if it does not.
    pub(crate) async fn renew(&self, id: &str, ttl: Duration) -> Result<Value, UpstreamError> {
        self.measures.upstream(Measured::Renew, UpstreamError::kind, self.try_renew(id, ttl)).await
    }

    /// Revokes the token that was minted at `minted_at`.
    ///
    /// A 404 or 410 means that it is gone, if it is the service that says so: one in JSON, at the address where the
    /// token was minted. A proxy's page, or another service, knows nothing of the token.
    pub(crate) async fn revoke(&self, id: &str, minted_at: &Endpoint) -> Result<(), UpstreamError> {
        self.measures.upstream(Measured::Revoke, UpstreamError::kind, self.try_revoke(id, minted_at)).await
    }

    async fn try_mint(&self, order: &Order) -> Result<Minted, UpstreamError> {
        #[derive(Serialize)]
        struct Body<'a> {
            name: &'a str,
            permissions: &'a [String],
            ttl: u64,
        }
        #[derive(Deserialize)]
        struct Answer {
            id: String,
            token: Secret,
            #[serde(default)]
            expires_at: Value,
        }
        const ACTION: &str = "mint a token";

        let body = Body { name: &order.name, permissions: &order.permissions, ttl: order.ttl };
        let mut call = Call::new(ACTION, Method::POST, self.endpoint.below(&["tokens"]));
        call.body = Some(serde_json::to_vec(&body).map_err(|_| self.malformed(ACTION, Effect::None))?);
        let key = HeaderValue::try_from(&order.idempotency_key);
        let key = key.map_err(|_| self.malformed(ACTION, Effect::None))?;
        call.header = Some((IDEMPOTENCY_KEY, key));

        let reply = self.accepted(ACTION, self.send(&call).await?)?;
        let answer: Answer = document(&reply.body).ok_or_else(|| self.malformed(ACTION, Effect::Possible))?;
        if !is_addressable(&answer.id) || answer.token.is_empty() {
            return Err(self.malformed(ACTION, Effect::Possible));
        }
        Ok(Minted { id: answer.id, token: answer.token, expires_at: answer.expires_at })
    }

    async fn try_renew(&self, id: &str, ttl: Duration) -> Result<Value, UpstreamError> {
        #[derive(Serialize)]
        struct Body {
            ttl: u64,
        }
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            expires_at: Value,
        }
        const ACTION: &str = "renew a token";

        let mut call = Call::new(ACTION, Method::POST, self.endpoint.below(&["tokens", id, "renew"]));
        let body = serde_json::to_vec(&Body { ttl: ttl.as_secs() });
        call.body = Some(body.map_err(|_| self.malformed(ACTION, Effect::None))?);
        let reply = self.accepted(ACTION, self.send(&call).await?)?;
        if reply.body.is_empty() {
            return Ok(Value::Null);
        }
        let answer: Option<Answer> = document(&reply.body);
        Ok(answer.ok_or_else(|| self.malformed(ACTION, Effect::Possible))?.expires_at)
    }

    async fn try_revoke(&self, id: &str, minted_at: &Endpoint) -> Result<(), UpstreamError> {
        const ACTION: &str = "revoke a token";

        let call = Call::new(ACTION, Method::DELETE, self.endpoint.below(&["tokens", id]));
        let reply = self.send(&call).await?;
        if matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
            if *minted_at != self.endpoint {
                return Err(self.failed(ACTION, Trouble::OtherService(minted_at.to_string()), reply.effect));
            }
            if is_json(&reply.headers) {
                return Ok(());
            }
            return Err(self.failed(ACTION, Trouble::NotTheService(reply.status), reply.effect));
        }
        self.accepted(ACTION, reply).map(drop)
    }

    fn accepted(&self, action: &'static str, reply: Reply) -> Result<Reply, UpstreamError> {
        if reply.status.is_success() {
            return Ok(reply);
        }
        let trouble = Trouble::of_reply(&reply);
        Err(self.failed(action, trouble, reply.effect))
    }

    fn malformed(&self, action: &'static str, effect: Effect) -> UpstreamError {
        self.failed(action, Trouble::Malformed, effect)
    }

    fn failed(&self, action: &'static str, trouble: Trouble, effect: Effect) -> UpstreamError {
        UpstreamError { action, endpoint: self.endpoint.to_string(), trouble, effect }
    }
}

/// A JSON object. Without the look at its first letter a list would do as well: serde reads a struct from either.
fn document<T: DeserializeOwned>(body: &[u8]) -> Option<T> {
    if body.trim_ascii_start().first() == Some(&b'{') { serde_json::from_slice(body).ok() } else { None }
}

/// Whether a token with this id has an address of its own: to revoke another would be to ask for the end of all tokens.
pub(crate) fn is_addressable(id: &str) -> bool {
    !matches!(id, "" | "." | "..")
}

fn is_json(headers: &HeaderMap) -> bool {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"))
}
