//! A token API over HTTP: mint, renew, revoke, find and probe, as its description says.

mod answer;
mod api;
mod credential;
mod description;
mod error;
mod presets;
mod request;
mod retry_after;
mod revocation;
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

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use self::answer::expiries;
pub(crate) use self::answer::{ExpiryError, Minted};
pub(crate) use self::api::{Api, LatestEnd};
pub(crate) use self::description::{
    Description, Find, Node, Parameter, PermissionUse, Place, Recovery, Renew, Revoke, coerce_given,
    complete, is_empty,
};
pub(crate) use self::error::UpstreamError;
pub(crate) use self::presets::{DEFAULT_PRESET, all_presets, find_preset};
pub(crate) use self::revocation::{Look, RecoveryPlan, Revocation, bind_renewal, deserialize_token_id};
pub(crate) use self::values::{Lifetime, Parameters, Values};

use self::answer::{
    Answer, Doubt, FindOutcome, Meanings, MintOutcome, Verdict, read_find, read_mint, read_renewed,
    read_value, read_values,
};
use self::credential::{Credential, Headers};
use self::description::{Before, Call, Gone, Mint, Pages};
use self::error::{Effect, ErrorKind};
use self::request::Request;
use self::send::{UpstreamReply, UpstreamRequest};
use self::template::ValueSource;
use crate::endpoint::Endpoint;
use crate::telemetry::{Metrics, UpstreamOperation as Measured};

/// Time for retries beyond the first request of a call: with the longest timeout, a call ends after 75 seconds.
const RETRY_ALLOWANCE: Duration = Duration::from_secs(15);

/// A search reads no more pages than this. It is asked for one token.
const MAX_PAGES: u32 = 100;

const MINT: &str = "mint a token";
const RENEW: &str = "renew a token";
const REVOKE: &str = "revoke a token";
const FIND: &str = "look for a token";
const PROBE: &str = "check the connection";
const LOG_IN: &str = "log in";

/// A client of one token API. An operation takes no longer than one request timeout and 15 seconds, with its retries and its login.
pub(crate) struct Upstream {
    http: reqwest::Client,
    endpoint: Endpoint,
    pub(crate) api: Api,
    api_key: Sensitive,
    credential: Credential,
    /// The account as the API names it, once it was asked.
    account: OnceCell<String>,
    /// How long an operation may take with all its retries.
    total_timeout: Duration,
    metrics: Arc<Metrics>,
}

/// How an API is reached, and with which credential.
#[derive(Clone, Copy)]
pub(crate) struct Connection<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) api_key: &'a Sensitive,
    /// Authorities to trust instead of the system's, in PEM; empty for the system's.
    pub(crate) ca_cert: &'a str,
    pub(crate) tls_skip_verify: bool,
    /// How long one request may take.
    pub(crate) request_timeout: Duration,
}

/// A mint that is about to be sent.
pub(crate) struct MintCall<'a> {
    pub(crate) mint: &'a Mint,
    pub(crate) before: Option<&'a Before>,
    pub(crate) values: Values<'a>,
    /// The bytes that were announced, of a mint that is repeated.
    pub(crate) body: Option<&'a str>,
    /// Whether it is sent again when it may have had an effect.
    pub(crate) repeat: bool,
}

/// A token that the API has created, with the values of the call before the mint.
pub(crate) struct MintResponse {
    pub(crate) minted: Minted,
    pub(crate) before: BTreeMap<String, String>,
}

/// The result of a search.
pub(crate) enum Search {
    /// Identifiers of the tokens with this name; `None` for one without.
    Found(Vec<Option<String>>),
    Absent,
}

impl Upstream {
    /// Sets up TLS and the credential; connects to nothing yet.
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
            // Otherwise reqwest reads the environment by other rules.
            None => http.no_proxy(),
        };
        if !connection.ca_cert.trim().is_empty() {
            let authorities = reqwest::Certificate::from_pem_bundle(connection.ca_cert.as_bytes());
            let authorities = authorities.ok().filter(|certificates| !certificates.is_empty());
            http = http.tls_certs_only(authorities.ok_or_else(|| failed(ErrorKind::NoCaCertificate))?);
        } else if connection.tls_skip_verify || !connection.endpoint.is_https() {
            // Trusts nobody, instead of failing where the system has no authorities; redirects are not followed.
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
    pub(crate) async fn mint(&self, call: &MintCall<'_>) -> Result<MintResponse, UpstreamError> {
        self.metrics.time_upstream(Measured::Mint, UpstreamError::label, self.try_mint(call)).await
    }

    /// The body of a mint with these values, to be announced; `None` if it has none.
    pub(crate) fn mint_body(&self, values: &Values<'_>) -> Result<Option<String>, UpstreamError> {
        let request = self.render(MINT, self.api.description.mint.call(), values)?;
        // Both kinds of bodies are text.
        Ok(request.body.map(|body| String::from_utf8_lossy(&body.bytes).into_owned()))
    }

    /// Lets a token live for `lifetime`, and returns when it ends as the API says it.
    pub(crate) async fn renew(
        &self,
        renew: &Renew,
        id: &str,
        lifetime: Lifetime,
    ) -> Result<Result<Option<Timestamp>, ExpiryError>, UpstreamError> {
        self.metrics
            .time_upstream(Measured::Renew, UpstreamError::label, self.try_renew(renew, id, lifetime))
            .await
    }

    /// Revokes a token of this API. One that is gone already is as good as revoked, if it is the API that says so.
    pub(crate) async fn revoke(&self, revocation: &Revocation) -> Result<(), UpstreamError> {
        self.metrics.time_upstream(Measured::Revoke, UpstreamError::label, self.try_revoke(revocation)).await
    }

    /// Looks for tokens with exactly this name.
    pub(crate) async fn find(&self, find: &Find, name: &str) -> Result<Search, UpstreamError> {
        self.metrics.time_upstream(Measured::Find, UpstreamError::label, self.try_find(find, name)).await
    }

    /// Checks the connection without creating anything, and returns the account if the API names it; `None` if no such call is described.
    pub(crate) async fn probe(&self) -> Result<Option<String>, UpstreamError> {
        self.metrics.time_upstream(Measured::Probe, UpstreamError::label, self.try_probe()).await
    }

    /// The account as the API names it; `None` if it names none. It is asked once.
    pub(crate) async fn account(&self) -> Result<Option<&str>, UpstreamError> {
        if self.api.description.probe.as_ref().is_none_or(|probe| probe.account.is_none()) {
            return Ok(None);
        }
        let account = self.account.get_or_try_init(async || Ok(self.probe().await?.unwrap_or_default()));
        account.await.map(|account| Some(&**account))
    }

    /// Whether [`account`](Self::account) needs no call.
    pub(crate) fn knows_account(&self) -> bool {
        self.account.initialized()
            || self.api.description.probe.as_ref().is_none_or(|probe| probe.account.is_none())
    }

    async fn try_mint(&self, call: &MintCall<'_>) -> Result<MintResponse, UpstreamError> {
        let deadline = Instant::now() + self.total_timeout;
        let values = Values { api_key: Some(self.api_key.expose()), ..call.values };
        let Some(before) = call.before else {
            let minted = self.mint_with(call, &values, deadline).await?;
            return Ok(MintResponse { minted, before: BTreeMap::new() });
        };
        let described = before.call();
        let reply = self.exchange(MINT, described, &values, Repeat::WithoutEffect, deadline).await?;
        let meanings = before.call().as_ref().map(Meanings::of).unwrap_or_default();
        self.require_success(MINT, &reply, meanings)?;
        let read = read_values(&before.values.0, &reply.answer(), &values);
        let before = read.map_err(|doubt| self.error(MINT, ErrorKind::Malformed(doubt), Effect::Possible))?;
        let minted = self.mint_with(call, &Values { before: Some(&before), ..values }, deadline).await;
        // The call before it has created something.
        let minted = minted.map_err(|error| UpstreamError { effect: Effect::Possible, ..error })?;
        Ok(MintResponse { minted, before })
    }

    async fn mint_with(
        &self,
        call: &MintCall<'_>,
        values: &Values<'_>,
        deadline: Instant,
    ) -> Result<Minted, UpstreamError> {
        let mut request = self.render(MINT, call.mint.call(), values)?;
        if let (Some(body), Some(announced)) = (&mut request.body, call.body) {
            body.bytes = announced.as_bytes().to_vec().into();
        }
        let repeat = if call.repeat { Repeat::Always } else { Repeat::WithoutEffect };
        let reply = self.send_with_credential(MINT, request, repeat, deadline).await?;
        match read_mint(call.mint, &reply.answer(), values, Timestamp::now()) {
            MintOutcome::Minted(minted) => Ok(minted),
            MintOutcome::Other(verdict) => Err(self.failed(MINT, verdict, &reply)),
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
        let reply = self.exchange(RENEW, renew.call(), &values, Repeat::Always, deadline).await?;
        let meanings = renew.call().as_ref().map(Meanings::of).unwrap_or_default();
        self.require_success(RENEW, &reply, meanings)?;
        let read = read_renewed(renew.expires.as_ref(), &reply.answer(), Timestamp::now());
        read.map_err(|doubt| self.error(RENEW, ErrorKind::Malformed(doubt), Effect::Possible))
    }

    async fn try_revoke(&self, revocation: &Revocation) -> Result<(), UpstreamError> {
        let deadline = Instant::now() + self.total_timeout;
        if let Some(look) = &revocation.look {
            match self.try_find(&look.find, &look.name).await? {
                Search::Absent => return Ok(()),
                Search::Found(ids) if ids.iter().flatten().any(|id| *id == revocation.id) => {}
                Search::Found(_) => return Err(self.error(REVOKE, ErrorKind::OtherId, Effect::None)),
            }
        }
        let default_gone = Gone::of_default_contract();
        let (request, meanings) = match &revocation.call {
            Some(revoke) => {
                let call = revoke.call();
                let meanings = call.as_ref().map(Meanings::of).unwrap_or_default();
                let request = self.render(REVOKE, call, &Values::default())?;
                (request, Meanings { gone: revoke.gone.as_ref(), ..meanings })
            }
            None => {
                // The path of the default description has no query.
                if revocation.path.contains('?') {
                    return Err(self.error(REVOKE, ErrorKind::InvalidRevocationPath, Effect::None));
                }
                let target = format!("/{}", revocation.path);
                let request = Request { method: Method::DELETE, target, headers: Vec::new(), body: None };
                (request, Meanings { gone: Some(&default_gone), ..Meanings::default() })
            }
        };
        let reply = self.send_with_credential(REVOKE, request, Repeat::Always, deadline).await?;
        match reply.answer().verdict(meanings) {
            Verdict::Success => Ok(()),
            Verdict::Gone => self.confirm_gone().await,
            other => Err(self.failed(REVOKE, other, &reply)),
        }
    }

    /// Some APIs answer 404 to a credential that is not allowed to see a token. So "gone" counts only if the credential works otherwise.
    async fn confirm_gone(&self) -> Result<(), UpstreamError> {
        let confirmed = self.try_probe().await;
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
            let reply = self.send_with_credential(FIND, request, Repeat::Always, deadline).await?;
            let items = match read_find(find, &reply.answer(), name) {
                FindOutcome::Found(ids) => {
                    found.extend(ids);
                    None
                }
                FindOutcome::Absent { items } => Some(items),
                FindOutcome::Other(verdict) => return Err(self.failed(FIND, verdict, &reply)),
            };
            if find.pages.is_none() || items == Some(0) {
                return Ok(if found.is_empty() { Search::Absent } else { Search::Found(found) });
            }
        }
        Err(self.error(FIND, ErrorKind::TooManyPages(MAX_PAGES), Effect::None))
    }

    async fn try_probe(&self) -> Result<Option<String>, UpstreamError> {
        let Some(probe) = &self.api.description.probe else { return Ok(None) };
        let deadline = Instant::now() + self.total_timeout;
        let values = self.connection_values();
        let reply = self.exchange(PROBE, probe.call(), &values, Repeat::Always, deadline).await?;
        let meanings = probe.call().as_ref().map(Meanings::of).unwrap_or_default();
        self.require_success(PROBE, &reply, meanings)?;
        let Some(account) = &probe.account else { return Ok(None) };
        let read = read_value(account, &reply.answer(), &values);
        let account = read.map_err(|doubt| {
            let kind = match doubt {
                Doubt::Missing(_) => ErrorKind::NoAccount,
                doubt => ErrorKind::Malformed(doubt),
            };
            self.error(PROBE, kind, Effect::None)
        })?;
        Ok(Some(account.expose().to_owned()))
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
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<UpstreamReply, UpstreamError> {
        let request = self.render(action, call, values)?;
        self.send_with_credential(action, request, repeat, deadline).await
    }

    /// Sends a request with the credential. A credential of a login that is refused (401) is obtained again, once.
    async fn send_with_credential(
        &self,
        action: &'static str,
        request: Request,
        repeat: Repeat,
        deadline: Instant,
    ) -> Result<UpstreamReply, UpstreamError> {
        let call = self.call(action, request, repeat, deadline)?;
        let login = match &self.credential {
            Credential::Headers(headers) => return self.send(&call, headers).await,
            Credential::Login(login) => login,
        };
        let credential = login.get_or_log_in(Timestamp::now(), self.log_in(deadline)).await?;
        let reply = self.send(&call, &credential.headers).await?;
        if reply.status != http::StatusCode::UNAUTHORIZED {
            return Ok(reply);
        }
        login.forget(&credential).await;
        let effect = reply.effect;
        let credential = login.get_or_log_in(Timestamp::now(), self.log_in(deadline)).await;
        let credential =
            credential.map_err(|error| UpstreamError { effect: error.effect.max(effect), ..error })?;
        let reply = self.send(&call, &credential.headers).await;
        reply
            .map(|reply| UpstreamReply { effect: reply.effect.max(effect), ..reply })
            .map_err(|error| UpstreamError { effect: error.effect.max(effect), ..error })
    }

    async fn log_in(&self, deadline: Instant) -> Result<credential::LoggedIn, UpstreamError> {
        let log_in = self.try_log_in(deadline);
        let logged_in = self.metrics.time_upstream(Measured::Login, UpstreamError::label, log_in).await;
        // The login itself creates no token.
        logged_in.map_err(|error| UpstreamError { effect: Effect::None, ..error })
    }

    async fn try_log_in(&self, deadline: Instant) -> Result<credential::LoggedIn, UpstreamError> {
        let Credential::Login(login) = &self.credential else {
            return Err(self.error(LOG_IN, ErrorKind::NotDescribed, Effect::None));
        };
        let values = self.connection_values();
        let request = login.request(&values);
        let request = request.map_err(|error| self.error(LOG_IN, ErrorKind::Render(error), Effect::None))?;
        let call = self.call(LOG_IN, request, Repeat::Always, deadline)?;
        let reply = self.send(&call, &Headers::new()).await?;
        match login.read(&reply.answer(), &values, Timestamp::now()) {
            Ok(Ok(logged_in)) => Ok(logged_in),
            Ok(Err(error)) => Err(self.error(LOG_IN, ErrorKind::Render(error), Effect::None)),
            Err(verdict) => Err(self.failed(LOG_IN, verdict, &reply)),
        }
    }

    fn call(
        &self,
        action: &'static str,
        request: Request,
        repeat: Repeat,
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
            retry_after_effect: repeat == Repeat::Always,
            deadline,
        })
    }

    fn require_success(
        &self,
        action: &'static str,
        reply: &UpstreamReply,
        meanings: Meanings<'_>,
    ) -> Result<(), UpstreamError> {
        match reply.answer().verdict(meanings) {
            Verdict::Success => Ok(()),
            other => Err(self.failed(action, other, reply)),
        }
    }

    /// The error of an answer that is no success. Where it proves nothing, the call may have had its effect.
    fn failed(&self, action: &'static str, verdict: Verdict, reply: &UpstreamReply) -> UpstreamError {
        let effect = match verdict {
            Verdict::Success | Verdict::Exists | Verdict::Unclear(_) => Effect::Possible,
            _ => reply.effect,
        };
        self.error(action, ErrorKind::from_verdict(verdict, reply.status, &reply.headers), effect)
    }

    fn error(&self, action: &'static str, kind: ErrorKind, effect: Effect) -> UpstreamError {
        UpstreamError { action, endpoint: self.endpoint.to_string(), kind, effect }
    }
}

/// Converts a proxy. Returns `None` for one that is not supported: reqwest would ignore it.
fn to_reqwest_proxy(proxy: &ProxyUrl) -> Option<reqwest::Proxy> {
    reqwest::Proxy::all(proxy.expose_http_url()?.as_str()).ok()
}

impl UpstreamReply {
    fn answer(&self) -> Answer<'_> {
        Answer { status: self.status, headers: &self.headers, body: &self.body }
    }
}

/// When a request may be sent again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeat {
    Always,
    /// Only if it certainly had no effect.
    WithoutEffect,
}
