//! Sends endpoints to a server. This is the only module that uses the network.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::client_config::{ClientConfig, ClientError, RedirectPolicy, TlsVerification};
use crate::endpoint::encode_path;
use crate::{CallError, Endpoint, Idempotency, Proxies, RequestScope, SecretString, TransportErrorKind};

/// A client of one server. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    route: Route,
    /// The HTTP clients for redirects that change the scheme or the route.
    redirect_clients: Arc<RedirectClients>,
    address: String,
    base: Url,
    headers: HeaderMap,
    /// Encoded path of a child namespace with a trailing slash, before the path of each request.
    child_namespace: String,
    max_retries: usize,
    redirects: RedirectPolicy,
}

/// The pauses before retries. They begin with 125 ms, double each time, and are up to twice as long at random, so that many clients do not
/// retry together.
const BACKOFF: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(125))
    .with_max_delay(Duration::from_millis(2500))
    .with_jitter();

/// The longest pause, even if the server requests a longer one.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// The most redirects to follow. A standby redirects to the active node; further hops mean that the nodes disagree.
const MAX_REDIRECTS: u32 = 3;

impl Client {
    /// Reads the files that `config` names and sets up TLS. Does not connect yet.
    pub fn new(config: &ClientConfig) -> Result<Self, ClientError> {
        let mut base = parse_address(&config.address)?;
        if let Some(proxy) = config.proxies.explicit_address() {
            // `reqwest` would ignore an invalid proxy and connect directly.
            parse_address(proxy.expose()).map_err(|_| ClientError::Proxy)?;
        }
        let mut headers = default_headers(config)?;
        let mut alias = None;
        if let Some(server_name) = &config.tls_server_name {
            alias = base.host_str().map(str::to_owned);
            headers.insert(http::header::HOST, host_header(&base)?);
            base.set_host(Some(server_name))
                .map_err(|_| ClientError::InvalidHeaderValue { what: "TLS server name" })?;
        }
        let needs_no_roots = base.scheme() == "http" || config.verification == TlsVerification::Skip;
        let trust = if needs_no_roots { TrustedRoots::Configured } else { TrustedRoots::ConfiguredOrSystem };
        let route = Route::for_url(&config.proxies, &base, alias.as_deref());
        let http = http_client_builder(config, alias.clone(), trust, route)?.build();
        let http = http.map_err(|error| ClientError::Tls(Box::new(error)))?;
        let redirect_clients = Arc::new(RedirectClients {
            config: config.clone(),
            connect_host: alias,
            clients: Default::default(),
        });
        let address = config.address.trim_end_matches('/').to_owned();
        let ClientConfig { max_retries, redirects, .. } = *config;
        let child_namespace = String::new();
        Ok(Self {
            http,
            route,
            redirect_clients,
            address,
            base,
            headers,
            child_namespace,
            max_retries,
            redirects,
        })
    }

    /// The configured address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The timeout of one request.
    pub fn timeout(&self) -> Duration {
        self.redirect_clients.config.timeout
    }

    /// The namespace of the requests.
    pub fn namespace(&self) -> Option<&str> {
        self.headers.get(NAMESPACE).and_then(|value| value.to_str().ok())
    }

    /// Returns a client of the same server with another token.
    pub fn with_token(&self, token: &SecretString) -> Result<Self, ClientError> {
        let mut other = self.clone();
        other.headers.insert(TOKEN, token_header(token)?);
        Ok(other)
    }

    /// Returns a client of a child namespace, whose path is relative to the namespace of this client. An empty path is that namespace itself.
    #[must_use]
    pub fn in_namespace(&self, child: &str) -> Self {
        let mut other = self.clone();
        if !child.is_empty() {
            other.child_namespace.push_str(&encode_path(child.trim_matches('/')));
            other.child_namespace.push('/');
        }
        other
    }

    /// Sends one endpoint and parses the reply.
    ///
    /// Retries what is safe to retry: a failed connection, a redirect that is not followed, and the statuses 412 and 429. An
    /// [idempotent](Idempotency::Idempotent) endpoint is also retried on 502, 503 (unless sealed), 504 and a lost connection, after
    /// which the server may have processed the request.
    pub async fn send<E: Endpoint>(&self, endpoint: &E) -> Result<E::Response, CallError> {
        let request = endpoint.request();
        let mut pauses = BACKOFF.with_max_times(self.max_retries).build();
        loop {
            let outcome = self.send_once(&request, E::SCOPE).await;
            let least = match &outcome {
                Ok(reply) => retry_delay(reply, E::IDEMPOTENCY),
                Err(CallError::Transport {
                    kind: TransportErrorKind::NoConnection | TransportErrorKind::Standby,
                    ..
                }) => Some(Duration::ZERO),
                Err(CallError::Transport { kind: TransportErrorKind::ConnectionLost, .. })
                    if E::IDEMPOTENCY == Idempotency::Idempotent =>
                {
                    Some(Duration::ZERO)
                }
                Err(_) => None,
            };
            match least.and_then(|least| Some(pauses.next()?.max(least).min(MAX_BACKOFF))) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return self.parse_response::<E>(&request, outcome?),
            }
        }
    }

    fn parse_response<E: Endpoint>(
        &self,
        request: &Request<Bytes>,
        reply: Response<Bytes>,
    ) -> Result<E::Response, CallError> {
        E::response(reply).map_err(|error| {
            let error = error.with_request(request.method().clone(), &self.path(request, E::SCOPE));
            if error.is_sealed() {
                CallError::Sealed { address: self.address.clone(), source: Box::new(error) }
            } else {
                CallError::Api(error)
            }
        })
    }

    /// Sends the request once and follows redirects.
    async fn send_once(
        &self,
        request: &Request<Bytes>,
        scope: RequestScope,
    ) -> Result<Response<Bytes>, CallError> {
        let mut url = self.url(request, &self.path(request, scope));
        let mut headers = self.headers.clone();
        if scope == RequestScope::Public {
            headers.remove(TOKEN);
        }
        if scope != RequestScope::Namespace {
            headers.remove(NAMESPACE);
        }
        headers.extend(request.headers().clone());
        for _ in 0..=MAX_REDIRECTS {
            let reply = self.exchange(request.method(), url.clone(), headers.clone(), request.body()).await?;
            let Some(location) = redirect_location(&reply) else { return Ok(reply) };
            if self.redirects == RedirectPolicy::Refuse {
                return Err(self.transport_error(TransportErrorKind::Standby));
            }
            let next = next_hop(&url, location).map_err(|kind| self.transport_error(kind))?;
            headers.remove(http::header::HOST);
            url = next;
        }
        Err(self.transport_error(TransportErrorKind::RedirectLoop))
    }

    async fn exchange(
        &self,
        method: &Method,
        url: Url,
        headers: HeaderMap,
        body: &Bytes,
    ) -> Result<Response<Bytes>, CallError> {
        let is_at_base = url.host() == self.base.host();
        let alias = self.redirect_clients.connect_host.as_deref().filter(|_| is_at_base);
        let route = Route::for_url(&self.redirect_clients.config.proxies, &url, alias);
        let http = if url.scheme() == self.base.scheme() && route == self.route {
            &self.http
        } else {
            self.redirect_clients.client_for(url.scheme(), route).unwrap_or(&self.http)
        };
        let sent = http.request(method.clone(), url).headers(headers).body(body.clone()).send().await;
        let mut response = sent.map_err(|error| self.request_error(error))?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let body = response.bytes().await.map_err(|error| self.request_error(error))?;
        let mut reply = Response::new(body);
        *reply.status_mut() = status;
        *reply.headers_mut() = headers;
        Ok(reply)
    }

    /// The path of a request, in the child namespace.
    fn path(&self, request: &Request<Bytes>, scope: RequestScope) -> String {
        let path = request.uri().path();
        match path.strip_prefix(API_PREFIX) {
            Some(path) if scope == RequestScope::Namespace => {
                format!("{API_PREFIX}{}{path}", self.child_namespace)
            }
            _ => path.to_owned(),
        }
    }

    fn url(&self, request: &Request<Bytes>, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.set_query(request.uri().query());
        url
    }

    fn transport_error(&self, kind: TransportErrorKind) -> CallError {
        CallError::Transport { address: self.address.clone(), kind, cause: None }
    }

    fn request_error(&self, error: reqwest::Error) -> CallError {
        let kind = classify_error(&error);
        CallError::Transport { address: self.address.clone(), kind, cause: root_cause(&error) }
    }
}

/// Prefix of the path of every request.
const API_PREFIX: &str = "/v1/";

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// Resolves every name to `host`: the connection goes to `host`, and the TLS handshake uses the other name.
struct FixedHostResolver {
    host: String,
}

impl Resolve for FixedHostResolver {
    fn resolve(&self, _name: Name) -> Resolving {
        let host = self.host.trim_matches(['[', ']']).to_owned();
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn parse_address(text: &str) -> Result<Url, ClientError> {
    let invalid = || ClientError::Address { address: text.to_owned() };
    let url = Url::parse(text.trim()).map_err(|_| invalid())?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(invalid());
    }
    Ok(url)
}

fn host_header(url: &Url) -> Result<HeaderValue, ClientError> {
    let host = url.host_str().unwrap_or_default();
    let text = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    HeaderValue::from_str(&text).map_err(|_| ClientError::InvalidHeaderValue { what: "address" })
}

fn default_headers(config: &ClientConfig) -> Result<HeaderMap, ClientError> {
    let mut headers = HeaderMap::new();
    // Vault Agent and Vault Proxy with `require_request_header` reject a request without it, as protection against request forgery.
    headers.insert(REQUEST, HeaderValue::from_static("true"));
    if let Some(token) = &config.token {
        headers.insert(TOKEN, token_header(token)?);
    }
    if let Some(namespace) = config.namespace.as_deref().filter(|namespace| !namespace.is_empty()) {
        let value = HeaderValue::from_str(namespace)
            .map_err(|_| ClientError::InvalidHeaderValue { what: "namespace" })?;
        headers.insert(NAMESPACE, value);
    }
    Ok(headers)
}

fn token_header(token: &SecretString) -> Result<HeaderValue, ClientError> {
    let mut value = HeaderValue::from_str(token.expose())
        .map_err(|_| ClientError::InvalidHeaderValue { what: "token" })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The certificate authorities that TLS trusts.
#[derive(Clone, Copy, PartialEq)]
enum TrustedRoots {
    /// Those of the configuration.
    Configured,
    /// Those of the configuration, or of the system if it names none. A system may have hundreds to read; an image may have none.
    ConfiguredOrSystem,
}

/// The way to a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    /// Without a proxy.
    Direct,
    /// Through the configured proxy for the scheme.
    Proxied,
}

impl Route {
    /// `alias` is the host of the connection, if that differs from the host of the URL.
    fn for_url(proxies: &Proxies, url: &Url, alias: Option<&str>) -> Self {
        let host = alias.or(url.host_str()).unwrap_or_default();
        match proxies.proxy_for(url.scheme(), host, url.port()) {
            Some(_) => Self::Proxied,
            None => Self::Direct,
        }
    }
}

/// HTTP clients for the targets of redirects, created on demand. The first client cannot serve another scheme or route.
#[derive(Debug)]
struct RedirectClients {
    config: ClientConfig,
    connect_host: Option<String>,
    clients: [OnceLock<Option<reqwest::Client>>; 4],
}

impl RedirectClients {
    /// Returns `None` if TLS cannot be set up, for example without any certificate authority.
    fn client_for(&self, scheme: &str, route: Route) -> Option<&reqwest::Client> {
        let (trust, index) = match (scheme, route) {
            ("http", Route::Direct) => (TrustedRoots::Configured, 0),
            ("http", Route::Proxied) => (TrustedRoots::Configured, 1),
            (_, Route::Direct) => (TrustedRoots::ConfiguredOrSystem, 2),
            (_, Route::Proxied) => (TrustedRoots::ConfiguredOrSystem, 3),
        };
        let build =
            || http_client_builder(&self.config, self.connect_host.clone(), trust, route).ok()?.build().ok();
        self.clients[index].get_or_init(build).as_ref()
    }
}

fn http_client_builder(
    config: &ClientConfig,
    alias: Option<String>,
    trust: TrustedRoots,
    route: Route,
) -> Result<reqwest::ClientBuilder, ClientError> {
    let mut http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .timeout(config.timeout)
        // Otherwise `reqwest` reads the proxy variables itself, with the rules of curl.
        .no_proxy();
    if route == Route::Proxied {
        let proxies = config.proxies.clone();
        let proxy_for_url = move |url: &Url| Some(proxies.for_scheme(url.scheme())?.expose().to_owned());
        http = http.proxy(reqwest::Proxy::custom(proxy_for_url));
    }
    let authorities = root_certificates(config)?;
    if trust == TrustedRoots::Configured || !authorities.is_empty() {
        http = http.tls_certs_only(authorities);
    }
    if let Some(identity) = client_identity(config)? {
        http = http.identity(identity);
    }
    if config.verification == TlsVerification::Skip {
        http = http.tls_danger_accept_invalid_certs(true);
    }
    if let Some(host) = alias {
        http = http.dns_resolver(FixedHostResolver { host });
    }
    Ok(http)
}

fn root_certificates(config: &ClientConfig) -> Result<Vec<reqwest::Certificate>, ClientError> {
    if let Some(path) = &config.ca_cert {
        return load_certificates(path);
    }
    let Some(directory) = &config.ca_path else { return Ok(Vec::new()) };
    let unreadable = |source| ClientError::File { path: directory.clone(), source };
    let mut certificates = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.is_file() {
            certificates.extend(load_certificates(&path)?);
        }
    }
    if certificates.is_empty() {
        return Err(ClientError::Pem { path: directory.clone(), what: "certificate", source: None });
    }
    Ok(certificates)
}

fn load_certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, ClientError> {
    let invalid = |source| ClientError::Pem { path: path.to_owned(), what: "certificate", source };
    let certificates = reqwest::Certificate::from_pem_bundle(&read_file(path)?)
        .map_err(|error| invalid(Some(Box::new(error) as Box<dyn Error + Send + Sync>)))?;
    if certificates.is_empty() { Err(invalid(None)) } else { Ok(certificates) }
}

fn client_identity(config: &ClientConfig) -> Result<Option<reqwest::Identity>, ClientError> {
    let (certificate, key) = match (&config.client_cert, &config.client_key) {
        (None, None) => return Ok(None),
        (Some(certificate), Some(key)) => (certificate, key),
        _ => return Err(ClientError::IncompleteClientIdentity),
    };
    let mut pem = zeroize::Zeroizing::new(read_file(certificate)?);
    pem.push(b'\n');
    pem.extend_from_slice(&zeroize::Zeroizing::new(read_file(key)?));
    let identity = reqwest::Identity::from_pem(&pem).map_err(|error| ClientError::Pem {
        path: certificate.clone(),
        what: "certificate and key",
        source: Some(Box::new(error)),
    })?;
    Ok(Some(identity))
}

fn read_file(path: &Path) -> Result<Vec<u8>, ClientError> {
    std::fs::read(path).map_err(|source| ClientError::File { path: path.to_owned(), source })
}

fn redirect_location(reply: &Response<Bytes>) -> Option<&HeaderValue> {
    let moved = matches!(reply.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    moved.then(|| reply.headers().get(LOCATION)).flatten()
}

/// Returns the target of a redirect. The token is sent to it, so a redirect from https to http is refused.
fn next_hop(from: &Url, location: &HeaderValue) -> Result<Url, TransportErrorKind> {
    let next = location.to_str().ok().and_then(|location| from.join(location).ok());
    let next = next.ok_or(TransportErrorKind::RedirectLoop)?;
    if next.scheme() == from.scheme() || next.scheme() == "https" {
        Ok(next)
    } else {
        Err(TransportErrorKind::InsecureRedirect)
    }
}

/// Returns the minimum pause before a retry, or `None` if the request must not be retried.
fn retry_delay(reply: &Response<Bytes>, idempotency: Idempotency) -> Option<Duration> {
    let may_retry = match reply.status() {
        StatusCode::PRECONDITION_FAILED | StatusCode::TOO_MANY_REQUESTS => true,
        StatusCode::SERVICE_UNAVAILABLE => {
            idempotency == Idempotency::Idempotent && !crate::ApiError::from_reply(reply).is_sealed()
        }
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => idempotency == Idempotency::Idempotent,
        _ => false,
    };
    let requested = reply.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    may_retry.then(|| requested.map_or(Duration::ZERO, Duration::from_secs))
}

fn classify_error(error: &reqwest::Error) -> TransportErrorKind {
    if let Some(tls) = find_tls_error(error) {
        return match tls {
            rustls::Error::InvalidMessage(_) => TransportErrorKind::NotTls,
            rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::AlertReceived(_) => TransportErrorKind::Certificate,
            _ => TransportErrorKind::NotTls,
        };
    }
    match () {
        () if error.is_timeout() => TransportErrorKind::TimedOut,
        () if error.is_connect() => TransportErrorKind::NoConnection,
        () => TransportErrorKind::ConnectionLost,
    }
}

/// Returns the last cause of the error, if it has any. The error itself contains the URL, and so may contain secrets.
fn root_cause(error: &reqwest::Error) -> Option<String> {
    std::iter::successors(error.source(), |cause| (*cause).source()).last().map(ToString::to_string)
}

/// Finds the TLS error in a chain. [`std::io::Error`] skips its inner error in `source`, so the inner error is checked too.
fn find_tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(tls) = cause.downcast_ref() {
            return Some(tls);
        }
        next = match cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => cause.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::reply;

    fn client(address: &str) -> Client {
        Client::new(&ClientConfig::new(address)).expect("a client")
    }

    #[test]
    fn a_path_in_the_address_is_kept() {
        let request = crate::endpoint::get("sys/health?standbycode=200");
        let client = client("https://example.com/vault/");
        let url = client.url(&request, &client.path(&request, RequestScope::Public));
        assert_eq!(url.as_str(), "https://example.com/vault/v1/sys/health?standbycode=200");
    }

    #[test]
    fn a_child_namespace_is_part_of_the_path() {
        let request = crate::endpoint::get("sys/mounts?a=b");
        let parent = client("https://example.com/vault/");
        let url = |client: &Client, scope| client.url(&request, &client.path(&request, scope)).to_string();
        for (child, expected) in [
            ("", "https://example.com/vault/v1/sys/mounts?a=b"),
            ("team/", "https://example.com/vault/v1/team/sys/mounts?a=b"),
            ("a b/sub", "https://example.com/vault/v1/a%20b/sub/sys/mounts?a=b"),
        ] {
            assert_eq!(url(&parent.in_namespace(child), RequestScope::Namespace), expected);
        }
        let child = parent.in_namespace("team").in_namespace("sub");
        assert_eq!(
            url(&child, RequestScope::Namespace),
            "https://example.com/vault/v1/team/sub/sys/mounts?a=b"
        );
        assert_eq!(url(&child, RequestScope::Server), "https://example.com/vault/v1/sys/mounts?a=b");
    }

    #[test]
    fn encoded_paths_are_not_encoded_again() {
        let request = crate::endpoint::get(&encode_path("custom/a b%"));
        let client = client("http://h:8200");
        let url = client.url(&request, &client.path(&request, RequestScope::Namespace));
        assert_eq!(url.as_str(), "http://h:8200/v1/custom/a%20b%25");
    }

    #[test]
    fn an_invalid_setting_is_named_and_the_token_is_not_shown() {
        for address in ["", "vault:8200", "ftp://h", "https://"] {
            assert!(
                matches!(Client::new(&ClientConfig::new(address)), Err(ClientError::Address { .. })),
                "{address}"
            );
        }
        let mut config = ClientConfig::new("http://h");
        config.token = Some(SecretString::new("hunter2\n"));
        let error = Client::new(&config).expect_err("a line break cannot be sent");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
        config.token = Some(SecretString::new("hunter2"));
        for proxy in
            ["socks5://me:hunter2@proxy:1080", "http://me:hunter2@", "http://me:hunter2@1.2.3.999", ""]
        {
            config.proxies = Proxies::explicit(proxy);
            let error = Client::new(&config).expect_err("the proxy is invalid");
            assert!(matches!(error, ClientError::Proxy), "{error:?}");
            assert!(!format!("{error} {error:?}").contains("hunter2"));
        }
        config.proxies = Proxies::default();
        let client = Client::new(&config).expect("a client");
        assert!(!format!("{client:?} {config:?}").contains("hunter2"));
        config.client_cert = Some("c.pem".into());
        assert!(matches!(Client::new(&config), Err(ClientError::IncompleteClientIdentity)));
    }

    #[test]
    fn a_redirect_is_followed_but_never_out_of_tls() {
        let hop = |from: &str, location: &'static str| {
            let from = Url::parse(from).expect("an address");
            next_hop(&from, &HeaderValue::from_static(location)).map(String::from)
        };
        let active = "https://active:8200/v1/a";
        assert_eq!(hop("https://standby:8200/v1/a", active), Ok(active.to_owned()));
        assert_eq!(hop("http://standby:8200/v1/a", active), Ok(active.to_owned()));
        assert_eq!(hop("https://standby:8200/v1/a", "/v1/b"), Ok("https://standby:8200/v1/b".to_owned()));
        assert_eq!(
            hop("https://standby/v1/a", "http://active/v1/a"),
            Err(TransportErrorKind::InsecureRedirect)
        );
        assert_eq!(
            hop("http://standby/v1/a", "ftp://active/v1/a"),
            Err(TransportErrorKind::InsecureRedirect)
        );
        assert_eq!(hop("http://standby/v1/a", "http://"), Err(TransportErrorKind::RedirectLoop));
    }

    #[test]
    fn certificate_authorities_are_read_only_when_tls_needs_them() {
        let plain = client("http://standby:8200");
        let is_loaded = || plain.redirect_clients.clients.iter().any(|http| http.get().is_some());
        assert!(!is_loaded());
        // This is the target of a redirect. It fails on a system without certificate authorities.
        assert_eq!(
            plain.redirect_clients.client_for("https", Route::Direct).is_some(),
            Client::new(&ClientConfig::new("https://active:8200")).is_ok()
        );
        assert!(is_loaded());
    }

    #[test]
    fn a_proxy_is_chosen_by_the_host_of_the_connection() {
        let mut config = ClientConfig::new("https://127.0.0.1:8200");
        config.verification = TlsVerification::Skip;
        config.proxies = Proxies::from_env(&|name| match name {
            "HTTPS_PROXY" => Some("http://proxy:3128".to_owned()),
            "NO_PROXY" => Some("vault.example.com:8200".to_owned()),
            _ => None,
        });
        let route = |address: &str, server_name: Option<&str>| {
            let tls_server_name = server_name.map(str::to_owned);
            let config = ClientConfig { address: address.to_owned(), tls_server_name, ..config.clone() };
            Client::new(&config).expect("a client").route
        };
        assert_eq!(route("https://vault.example.com:8200", None), Route::Direct);
        assert_eq!(route("https://vault.example.com:8201", None), Route::Proxied);
        assert_eq!(route("http://vault.example.com:8201", None), Route::Direct);
        // The name that the certificate must have does not matter.
        assert_eq!(route("https://127.0.0.1:8200", Some("other.example.com")), Route::Direct);
        assert_eq!(route("https://other.example.com:8200", Some("vault.example.com")), Route::Proxied);
    }

    #[test]
    fn only_safe_requests_are_retried() {
        use Idempotency::{Idempotent, NotIdempotent};
        let sealed = r#"{"errors":["Vault is sealed"]}"#;
        let retries = |status, body, idempotency| retry_delay(&reply(status, body), idempotency).is_some();
        assert!(retries(412, "", NotIdempotent) && retries(429, "", NotIdempotent));
        assert!(retries(502, "", Idempotent) && retries(503, "", Idempotent) && retries(504, "", Idempotent));
        assert!(
            !retries(502, "", NotIdempotent)
                && !retries(503, "", NotIdempotent)
                && !retries(504, "", NotIdempotent)
        );
        assert!(
            !retries(503, sealed, Idempotent)
                && !retries(500, "", Idempotent)
                && !retries(400, "", Idempotent)
        );
    }

    #[test]
    fn pauses_grow_and_stay_bounded() {
        let pauses: Vec<Duration> = BACKOFF.with_max_times(30).build().collect();
        let between = |pause: Duration, least: u64, most: u64| {
            pause >= Duration::from_millis(least) && pause <= Duration::from_millis(most)
        };
        assert!(between(pauses[0], 125, 250) && between(pauses[1], 250, 500), "{pauses:?}");
        assert!(pauses[5..].iter().all(|pause| between(*pause, 2500, 5000)), "{pauses:?}");
        assert_eq!(pauses.len(), 30);
    }
}
