//! The client of a token API over HTTP: mint, renew, revoke, find and probe, as defined by its description.

mod api;
mod credential;
mod description;
mod error;
#[cfg(test)]
mod openapi;
mod presets;
mod request;
mod response;
mod retry_after;
mod revocation;
mod rotation;
mod send;
mod suggestion;
mod template;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use http_proxy::{Proxies, ProxyUrl};
use jiff::Timestamp;
use reqwest::Url;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use vault_plugin::logical::Sensitive;

pub(crate) use self::api::{Api, LatestExpiry};
pub(crate) use self::description::{
    Description, Find, Node, Parameter, PermissionUse, Place, Recovery, Renew, Revoke, RevokedBy, Rotate,
    coerce_given, complete, is_empty,
};
pub(crate) use self::error::UpstreamError;
pub(crate) use self::presets::{DEFAULT_PRESET, all_presets, find_preset};
pub(crate) use self::request::Request;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::response::expiries;
pub(crate) use self::response::{ExpiryError, Minted, NewKey};
pub(crate) use self::revocation::{IdCheck, RecoveryPlan, Revocation, bind_renewal, deserialize_token_id};
pub(crate) use self::rotation::KeyInfo;
pub(crate) use self::send::RetryPolicy;
pub(crate) use self::suggestion::suggestion;
pub(crate) use self::values::{Lifetime, Parameters, Values};

use self::credential::{Credential, Headers, LoginCache};
use self::description::{Call, Gone, Mint, Pages, PreMint, Source};
use self::error::{Effect, ErrorKind};
use self::response::{
    FindOutcome, MintOutcome, ResponseClass, ResponseParts, StatusRules, UnclearReason, read_find, read_mint,
    read_renewed, read_value, read_values,
};
use self::send::{UpstreamRequest, UpstreamResponse};
use self::template::ValueSource;
use crate::endpoint::Endpoint;
use crate::telemetry::{Metrics, UpstreamOperation};

/// The time for retries after the first request of a call. With the longest timeout, a call ends after 75 seconds.
const RETRY_ALLOWANCE: Duration = Duration::from_secs(15);

/// The maximum number of pages that a search reads. It searches for one token.
const MAX_PAGES: u32 = 100;

const MINT: &str = "mint a token";
const RENEW: &str = "renew a token";
const REVOKE: &str = "revoke a token";
const FIND: &str = "search for a token";
const PROBE: &str = "check the connection";
const LOG_IN: &str = "log in";
const ROTATE: &str = "create another key";
const REVOKE_KEY: &str = "revoke a key";

/// A client of one token API.
///
/// The futures of operations, and those of rare parts of an operation, are boxed: each move of the future of a request copies those that are
/// inside of it.
///
/// An operation, with its retries and its login, takes at most one request timeout plus 15 seconds.
pub(crate) struct Upstream {
    http: reqwest::Client,
    endpoint: Endpoint,
    pub(crate) api: Api,
    api_key: Sensitive,
    credential: Credential,
    /// The account that the API reports, after the first request for it.
    account: OnceCell<String>,
    /// The timeout of an operation with all its retries.
    total_timeout: Duration,
    metrics: Arc<Metrics>,
}

/// The address and the credential of an API, with the settings of the HTTP client.
#[derive(Clone, Copy)]
pub(crate) struct Connection<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) api_key: &'a Sensitive,
    /// The trusted CA certificates in PEM. Empty for those of the system.
    pub(crate) ca_cert: &'a str,
    pub(crate) tls_skip_verify: bool,
    /// The timeout of one request.
    pub(crate) request_timeout: Duration,
}

/// The parameters of a mint.
pub(crate) struct MintCall<'a> {
    pub(crate) mint: &'a Mint,
    pub(crate) before: Option<&'a PreMint>,
    pub(crate) values: Values<'a>,
    pub(crate) request: MintSource<'a>,
    pub(crate) retry: RetryPolicy,
}

/// The request of a mint.
pub(crate) enum MintSource<'a> {
    /// Already rendered, for the write-ahead log entry.
    Rendered(Request),
    /// Rendered with the values of the call, after the call before the mint.
    Values,
    /// Rendered with the values of the call, except for the body, which is stored in the write-ahead log entry.
    Repeated { body: &'a str },
}

/// A minted token, with the values of the call before the mint.
pub(crate) struct MintResponse {
    pub(crate) minted: Minted,
    pub(crate) before: BTreeMap<String, String>,
}

/// The result of a search.
pub(crate) enum Search {
    /// The ids of the tokens with this name. `None` for a token without an id.
    Found(Vec<Option<String>>),
    Absent,
}

impl Upstream {
    /// Creates a client, and sets up TLS and the credential. Opens no connection.
    pub(crate) fn new(
        connection: Connection<'_>,
        api: Api,
        metrics: Arc<Metrics>,
    ) -> Result<Upstream, UpstreamError> {
        let failed = |kind| UpstreamError {
            action: "set up the connection to the token service",
            endpoint: connection.endpoint.to_string(),
            kind,
            effect: Effect::None,
        };
        let mut http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(connection.request_timeout);
        let proxies = Proxies::from_env(&|name| std::env::var(name).ok());
        http = match connection.endpoint.proxy(&proxies) {
            Some(proxy) => http.proxy(to_reqwest_proxy(proxy).ok_or_else(|| failed(ErrorKind::Proxy))?),
            // Without this, reqwest reads the environment with different rules.
            None => http.no_proxy(),
        };
        if !connection.ca_cert.trim().is_empty() {
            let certificates = reqwest::Certificate::from_pem_bundle(connection.ca_cert.as_bytes());
            let certificates = certificates.ok().filter(|certificates| !certificates.is_empty());
            http = http.tls_certs_only(certificates.ok_or_else(|| failed(ErrorKind::NoCaCertificate))?);
        } else if connection.tls_skip_verify || !connection.endpoint.is_https() {
            // Without verification, no CA certificates are needed. Loading those of the system would fail on a system without any.
            http = http.tls_certs_only([]);
        }
        if connection.tls_skip_verify {
            http = http.tls_danger_accept_invalid_certs(true);
        }
        let http = http.build().map_err(|error| failed(ErrorKind::Tls(error::root_cause(&error))))?;
        let values = Values {
            api_key: Some(connection.api_key.expose()),
            config: Some(&api.parameters),
            ..Values::default()
        };
        let credential = Credential::new(&api.description.auth, &values)
            .map_err(|error| failed(ErrorKind::Render(error)))?;
        Ok(Upstream {
            http,
            endpoint: connection.endpoint.clone(),
            credential,
            api,
            api_key: connection.api_key.clone(),
            account: OnceCell::new(),
            total_timeout: connection.request_timeout + RETRY_ALLOWANCE,
            metrics,
        })
    }

    /// Creates a token.
    pub(crate) async fn mint(&self, call: MintCall<'_>) -> Result<MintResponse, UpstreamError> {
        self.metrics
            .time_upstream(UpstreamOperation::Mint, UpstreamError::label, Box::pin(self.try_mint(call)))
            .await
    }

    /// Renders the request of a mint, for an API with idempotency keys. Its body is stored in the write-ahead log entry.
    pub(crate) fn render_mint(&self, values: &Values<'_>) -> Result<Request, UpstreamError> {
        self.render(MINT, self.api.description.mint.call(), values)
    }

    /// Renews a token for `lifetime`, and returns the expiry that the API reports.
    pub(crate) async fn renew(
        &self,
        renew: &Renew,
        id: &str,
        lifetime: Lifetime,
    ) -> Result<Result<Option<Timestamp>, ExpiryError>, UpstreamError> {
        self.metrics
            .time_upstream(
                UpstreamOperation::Renew,
                UpstreamError::label,
                Box::pin(self.try_renew(renew, id, lifetime)),
            )
            .await
    }

    /// Revokes a token. A token that no longer exists counts as revoked, if the API itself reports that.
    pub(crate) async fn revoke(&self, revocation: &Revocation) -> Result<(), UpstreamError> {
        self.metrics
            .time_upstream(
                UpstreamOperation::Revoke,
                UpstreamError::label,
                Box::pin(self.try_revoke(revocation)),
            )
            .await
    }

    /// Searches for tokens with exactly this name.
    pub(crate) async fn find(&self, find: &Find, name: &str) -> Result<Search, UpstreamError> {
        self.metrics
            .time_upstream(UpstreamOperation::Find, UpstreamError::label, Box::pin(self.try_find(find, name)))
            .await
    }

    /// Checks the connection without creating anything. Returns what the API reports about the key.
    pub(crate) async fn probe(&self) -> Result<KeyInfo, UpstreamError> {
        self.metrics
            .time_upstream(UpstreamOperation::Probe, UpstreamError::label, Box::pin(self.try_probe()))
            .await
    }

    /// Returns the account that the API reports, if it reports one. It is requested once.
    pub(crate) async fn account(&self) -> Result<Option<&str>, UpstreamError> {
        if self.api.description.probe.as_ref().is_none_or(|probe| probe.account.is_none()) {
            return Ok(None);
        }
        let account =
            self.account.get_or_try_init(async || Ok(self.probe().await?.account.unwrap_or_default()));
        account.await.map(|account| Some(&**account))
    }

    /// Returns whether [`account`](Self::account) sends no request.
    pub(crate) fn knows_account(&self) -> bool {
        self.account.initialized()
            || self.api.description.probe.as_ref().is_none_or(|probe| probe.account.is_none())
    }

    async fn try_mint(&self, call: MintCall<'_>) -> Result<MintResponse, UpstreamError> {
        let deadline = Instant::now() + self.total_timeout;
        let values = Values { api_key: Some(self.api_key.expose()), ..call.values };
        let Some(before) = call.before else {
            let minted = self.mint_with(call, &values, deadline).await?;
            return Ok(MintResponse { minted, before: BTreeMap::new() });
        };
        let described = before.call();
        let exchange = self.exchange(MINT, described, &values, RetryPolicy::IfNoEffect, deadline);
        let response = Box::pin(exchange).await?;
        let rules = before.call().as_ref().map(StatusRules::of).unwrap_or_default();
        self.require_success(MINT, &response, rules)?;
        let read = read_values(&before.values.0, &response.parts(), &values);
        let before = read.map_err(|reason| self.error(MINT, self.unexpected(reason), Effect::Possible))?;
        let values = Values { before: Some(&before), ..values };
        let minted = Box::pin(self.mint_with(call, &values, deadline)).await;
        // The call before the mint may have created an object.
        let minted = minted.map_err(|error| UpstreamError { effect: Effect::Possible, ..error })?;
        Ok(MintResponse { minted, before })
    }

    async fn mint_with(
        &self,
        call: MintCall<'_>,
        values: &Values<'_>,
        deadline: Instant,
    ) -> Result<Minted, UpstreamError> {
        let render = || self.render(MINT, call.mint.call(), values);
        let request = match call.request {
            MintSource::Rendered(request) => request,
            MintSource::Values => render()?,
            MintSource::Repeated { body } => render()?.with_body(body),
        };
        let response = self.send_with_credential(MINT, request, call.retry, deadline).await?;
        match read_mint(call.mint, &response.parts(), values, Timestamp::now()) {
            MintOutcome::Minted(minted) => Ok(minted),
            MintOutcome::Other(class) => Err(self.failed(MINT, class, &response)),
        }
    }

    async fn try_renew(
        &self,
        renew: &Renew,
        id: &str,
        lifetime: Lifetime,
    ) -> Result<Result<Option<Timestamp>, ExpiryError>, UpstreamError> {
        let deadline = Instant::now() + self.total_timeout;
        let values = Values { id: Some(id), lifetime: Some(lifetime), ..Values::default() };
        let response = self.exchange(RENEW, renew.call(), &values, RetryPolicy::Always, deadline).await?;
        let rules = renew.call().as_ref().map(StatusRules::of).unwrap_or_default();
        self.require_success(RENEW, &response, rules)?;
        let read = read_renewed(renew.expires.as_ref(), &response.parts(), Timestamp::now());
        read.map_err(|reason| self.error(RENEW, ErrorKind::Malformed(reason), Effect::Possible))
    }

    async fn try_revoke(&self, revocation: &Revocation) -> Result<(), UpstreamError> {
        let deadline = Instant::now() + self.total_timeout;
        if let Some(id_check) = &revocation.id_check {
            match Box::pin(self.try_find(&id_check.find, &id_check.name)).await? {
                Search::Absent => return Ok(()),
                Search::Found(ids) if ids.iter().flatten().any(|id| *id == revocation.id) => {}
                Search::Found(_) => return Err(self.error(REVOKE, ErrorKind::OtherId, Effect::None)),
            }
        }
        let default_gone = Gone::of_default_contract();
        let (request, rules) = match &revocation.call {
            Some(revoke) => {
                let call = revoke.call();
                let rules = call.as_ref().map(StatusRules::of).unwrap_or_default();
                let request = self.render(REVOKE, call, &Values::default())?;
                (request, StatusRules { gone: revoke.gone.as_ref(), ..rules })
            }
            None => {
                // The path of the default description has no query.
                if revocation.path.contains('?') {
                    return Err(self.error(REVOKE, ErrorKind::InvalidRevocationPath, Effect::None));
                }
                let target = format!("/{}", revocation.path);
                let request = Request { method: Method::DELETE, target, headers: Vec::new(), body: None };
                (request, StatusRules { gone: Some(&default_gone), ..StatusRules::default() })
            }
        };
        let response = self.send_with_credential(REVOKE, request, RetryPolicy::Always, deadline).await?;
        match response.parts().classify(rules) {
            ResponseClass::Success => Ok(()),
            ResponseClass::Gone => self.confirm_gone().await,
            other => Err(self.failed(REVOKE, other, &response)),
        }
    }

    /// Checks that the credential is valid. Some APIs return 404 if the credential must not see a token. So "gone" counts only if another
    /// call with the credential succeeds.
    async fn confirm_gone(&self) -> Result<(), UpstreamError> {
        let confirmed = Box::pin(self.try_probe()).await;
        confirmed
            .map(drop)
            .map_err(|error| self.error(REVOKE, ErrorKind::UnconfirmedGone(Box::new(error)), Effect::None))
    }

    async fn try_find(&self, find: &Find, name: &str) -> Result<Search, UpstreamError> {
        let deadline = Instant::now() + self.total_timeout;
        let mut found = Vec::new();
        for page in 0..MAX_PAGES {
            let mut request = self.render(FIND, find.call(), &Values::default())?;
            if let Some(Pages { query, first }) = &find.pages {
                request.add_query(query, &(first + page).to_string());
            }
            let response = self.send_with_credential(FIND, request, RetryPolicy::Always, deadline).await?;
            let items = match read_find(find, &response.parts(), name) {
                FindOutcome::Found(ids) => {
                    found.extend(ids);
                    None
                }
                FindOutcome::Absent { items } => Some(items),
                FindOutcome::Other(class) => return Err(self.failed(FIND, class, &response)),
            };
            if find.pages.is_none() || items == Some(0) {
                return Ok(if found.is_empty() { Search::Absent } else { Search::Found(found) });
            }
        }
        Err(self.error(FIND, ErrorKind::TooManyPages(MAX_PAGES), Effect::None))
    }

    async fn try_probe(&self) -> Result<KeyInfo, UpstreamError> {
        let Some(probe) = &self.api.description.probe else { return Ok(KeyInfo::default()) };
        let deadline = Instant::now() + self.total_timeout;
        let values = self.connection_values();
        let response = self.exchange(PROBE, probe.call(), &values, RetryPolicy::Always, deadline).await?;
        let rules = probe.call().as_ref().map(StatusRules::of).unwrap_or_default();
        self.require_success(PROBE, &response, rules)?;
        let read = |source: &Option<Source>| {
            let value = read_value(source.as_ref()?, &response.parts(), &values).ok()?;
            Some(value.expose().to_owned()).filter(|text| response::is_valid_id(text))
        };
        let info = KeyInfo { account: None, owner: read(&probe.key_owner), id: read(&probe.key_id) };
        let Some(account) = &probe.account else { return Ok(info) };
        let read = read_value(account, &response.parts(), &values);
        let account = read.map_err(|reason| {
            let kind = match reason {
                UnclearReason::Missing(_) => ErrorKind::NoAccount,
                reason => ErrorKind::Malformed(reason),
            };
            self.error(PROBE, kind, Effect::None)
        })?;
        Ok(KeyInfo { account: Some(account.expose().to_owned()), ..info })
    }

    fn connection_values(&self) -> Values<'_> {
        Values {
            api_key: Some(self.api_key.expose()),
            config: Some(&self.api.parameters),
            ..Values::default()
        }
    }

    fn render(
        &self,
        action: &'static str,
        call: Option<Call<'_>>,
        values: &impl ValueSource,
    ) -> Result<Request, UpstreamError> {
        let call = call.ok_or_else(|| self.error(action, ErrorKind::NotDescribed, Effect::None))?;
        Request::render(&call, values)
            .map_err(|error| self.error(action, ErrorKind::Render(error), Effect::None))
    }

    async fn exchange(
        &self,
        action: &'static str,
        call: Option<Call<'_>>,
        values: &Values<'_>,
        retry: RetryPolicy,
        deadline: Instant,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let request = self.render(action, call, values)?;
        self.send_with_credential(action, request, retry, deadline).await
    }

    /// Sends a request with the credential. If the credential of a login is rejected (401), logs in again, once.
    async fn send_with_credential(
        &self,
        action: &'static str,
        request: Request,
        retry: RetryPolicy,
        deadline: Instant,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let call = self.call(action, request, retry, deadline)?;
        match &self.credential {
            Credential::Headers(headers) => self.send(&call, headers).await,
            Credential::Login(login) => Box::pin(self.send_with_login(&call, login, deadline)).await,
        }
    }

    async fn send_with_login(
        &self,
        call: &UpstreamRequest,
        login: &LoginCache,
        deadline: Instant,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let credential = login.get_or_log_in(Timestamp::now(), self.log_in(deadline)).await?;
        let response = self.send(call, &credential.headers).await?;
        if response.status != http::StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        login.invalidate(&credential).await;
        let effect = response.effect;
        let credential = login.get_or_log_in(Timestamp::now(), self.log_in(deadline)).await;
        let credential =
            credential.map_err(|error| UpstreamError { effect: error.effect.max(effect), ..error })?;
        let response = self.send(call, &credential.headers).await;
        response
            .map(|response| UpstreamResponse { effect: response.effect.max(effect), ..response })
            .map_err(|error| UpstreamError { effect: error.effect.max(effect), ..error })
    }

    async fn log_in(&self, deadline: Instant) -> Result<credential::LoginCredential, UpstreamError> {
        let log_in = Box::pin(self.try_log_in(deadline));
        let logged_in =
            self.metrics.time_upstream(UpstreamOperation::Login, UpstreamError::label, log_in).await;
        // A login creates no token.
        logged_in.map_err(|error| UpstreamError { effect: Effect::None, ..error })
    }

    async fn try_log_in(&self, deadline: Instant) -> Result<credential::LoginCredential, UpstreamError> {
        let Credential::Login(login) = &self.credential else {
            return Err(self.error(LOG_IN, ErrorKind::NotDescribed, Effect::None));
        };
        let values = self.connection_values();
        let request = login.request(&values);
        let request = request.map_err(|error| self.error(LOG_IN, ErrorKind::Render(error), Effect::None))?;
        let call = self.call(LOG_IN, request, RetryPolicy::Always, deadline)?;
        let response = self.send(&call, &Headers::new()).await?;
        match login.read(&response.parts(), &values, Timestamp::now()) {
            Ok(Ok(logged_in)) => Ok(logged_in),
            Ok(Err(error)) => Err(self.error(LOG_IN, ErrorKind::Render(error), Effect::None)),
            Err(class) => Err(self.failed(LOG_IN, class, &response)),
        }
    }

    fn call(
        &self,
        action: &'static str,
        request: Request,
        retry: RetryPolicy,
        deadline: Instant,
    ) -> Result<UpstreamRequest, UpstreamError> {
        let url: Option<Url> = self.endpoint.join_target(&request.target);
        let url = url.ok_or_else(|| self.error(action, ErrorKind::InvalidRevocationPath, Effect::None))?;
        Ok(UpstreamRequest {
            action,
            method: request.method,
            url,
            headers: request.headers,
            body: request.body,
            retry,
            deadline,
        })
    }

    fn require_success(
        &self,
        action: &'static str,
        response: &UpstreamResponse,
        rules: StatusRules<'_>,
    ) -> Result<(), UpstreamError> {
        match response.parts().classify(rules) {
            ResponseClass::Success => Ok(()),
            other => Err(self.failed(action, other, response)),
        }
    }

    /// Returns the error of an unsuccessful response. If the response is unclear, the call may have had an effect.
    fn failed(
        &self,
        action: &'static str,
        class: ResponseClass,
        response: &UpstreamResponse,
    ) -> UpstreamError {
        let effect = match class {
            ResponseClass::Success | ResponseClass::Exists | ResponseClass::Unclear(_) => Effect::Possible,
            _ => response.effect,
        };
        let kind = match ErrorKind::from_class(class, response.status, &response.headers) {
            ErrorKind::Refused(status) if action == LOG_IN || action == PROBE => {
                ErrorKind::RefusedConnection(status)
            }
            ErrorKind::Malformed(reason) => self.unexpected(reason),
            kind => kind,
        };
        self.error(action, kind, effect)
    }

    /// Returns the kind of a response that is not as expected. Only the user of a description can have given a wrong place in it.
    fn unexpected(&self, reason: UnclearReason) -> ErrorKind {
        if self.api.is_default || !reason.is_missing_value() {
            return ErrorKind::Malformed(reason);
        }
        ErrorKind::NotAsDescribed(reason)
    }

    fn error(&self, action: &'static str, kind: ErrorKind, effect: Effect) -> UpstreamError {
        UpstreamError { action, endpoint: self.endpoint.to_string(), kind, effect }
    }
}

/// Converts a proxy. Returns `None` for an unsupported one, which reqwest would ignore.
fn to_reqwest_proxy(proxy: &ProxyUrl) -> Option<reqwest::Proxy> {
    reqwest::Proxy::all(proxy.expose_http_url()?.as_str()).ok()
}

impl UpstreamResponse {
    fn parts(&self) -> ResponseParts<'_> {
        ResponseParts { status: self.status, headers: &self.headers, body: &self.body }
    }
}
