//! Errors of the token service. They contain neither the key, nor a token, nor the body of the response.

use std::error::Error as StdError;
use std::time::{Duration, SystemTime};

use http::header::LOCATION;
use http::{HeaderMap, StatusCode};
use reqwest::Url;
use vault_plugin::logical;

use super::response::{ResponseClass, UnclearReason};
use super::retry_after::retry_after;
use super::template::RenderError;
use crate::telemetry::UpstreamErrorLabel;

/// A failed call.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} at {endpoint}: {kind}")]
pub(crate) struct UpstreamError {
    pub(super) action: &'static str,
    pub(super) endpoint: String,
    pub(super) kind: ErrorKind,
    pub(super) effect: Effect,
}

/// The possible effect of a failed call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Effect {
    /// The call had no effect.
    None,
    /// The call may have had an effect.
    Possible,
}

/// The kind of error. The message contains the fix.
#[derive(Debug, thiserror::Error)]
pub(super) enum ErrorKind {
    #[error("ca_cert holds no certificate in PEM")]
    NoCaCertificate,
    #[error("TLS cannot be set up ({0}); if the system has no CA certificates, set ca_cert")]
    Tls(String),
    #[error(
        "HTTP_PROXY or HTTPS_PROXY in the environment of the plugin is not the address of an HTTP proxy, such as http://proxy.example.com:3128"
    )]
    Proxy,
    #[error("no connection ({0}); check api_endpoint and whether the service runs")]
    NoConnection(String),
    #[error(
        "its certificate is not trusted ({0}); set ca_cert to the CA that signed it, or check api_endpoint"
    )]
    Certificate(String),
    #[error("no TLS ({0}); check whether api_endpoint must begin with http://")]
    NotTls(String),
    #[error("no response in time; check the service, or set a longer request_timeout")]
    TimedOut,
    #[error("the connection broke ({0})")]
    ConnectionLost(String),
    #[error("the response is longer than 1 MiB; check that api_endpoint is the token service")]
    TooLarge,
    #[error("unexpected response ({0}); check that api_endpoint is the token service")]
    Malformed(UnclearReason),
    /// A value is not where the description of the user says.
    #[error(
        "unexpected response ({0}); check api_endpoint, and the place of this value in the description of the API"
    )]
    NotAsDescribed(UnclearReason),
    #[error(
        "the response contains an error although its status is a success; check the role and the logs of the service"
    )]
    ErrorInside,
    #[error("the name or the id of the token already exists (status {0})")]
    Exists(StatusCode),
    #[error("the request cannot be rendered: {0}")]
    Render(#[from] RenderError),
    #[error("a search found the name of the token with another id; nothing was revoked")]
    OtherId,
    #[error("the list of tokens has more than {0} pages")]
    TooManyPages(u32),
    #[error(
        "the service reports that the token does not exist, but rejects the credential in another call: {0}"
    )]
    UnconfirmedGone(Box<UpstreamError>),
    #[error("the description of the API has no such call")]
    NotDescribed,
    #[error("it redirects to {0}; redirects are not followed with the key. Set api_endpoint to the target")]
    Redirect(String),
    #[error("the key is refused (status {0}); set a valid api_key with the permissions for this")]
    Unauthorized(StatusCode),
    /// Some services return no account if they do not accept the key.
    #[error("the response contains no account, so the key was probably not accepted; set a valid api_key")]
    NoAccount,
    #[error("too many requests (status 429){0}")]
    TooManyRequests(RetryAfter),
    #[error("not found (status 404); check that api_endpoint is the token service and that it can do this")]
    NotFound,
    #[error("status {0} comes from something before the service, such as a proxy; check api_endpoint")]
    NotFromService(StatusCode),
    #[error("the path that revokes the token is not below api_endpoint")]
    InvalidRevocationPath,
    #[error("the service refused the request (status {0}); check the role's permissions and ttl")]
    Refused(StatusCode),
    /// The request of a login or a probe, which contains nothing of a role.
    #[error("the service refused the connection (status {0}); check api_key and the parameters of config")]
    RefusedConnection(StatusCode),
    #[error("the service failed (status {0}); see its logs")]
    Failed(StatusCode),
}

/// The delay that the service requests.
#[derive(Debug)]
pub(super) struct RetryAfter(Option<Duration>);

impl std::fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(wait) => write!(f, "; it asks to wait {}s", wait.as_secs()),
            None => f.write_str("; try again later"),
        }
    }
}

impl UpstreamError {
    /// Returns whether the call had no effect.
    pub(crate) fn had_no_effect(&self) -> bool {
        self.effect == Effect::None
    }

    /// Returns whether the API has rejected the key.
    pub(crate) fn is_unauthorized(&self) -> bool {
        matches!(self.kind, ErrorKind::Unauthorized(_) | ErrorKind::NoAccount)
    }

    /// Returns whether the API has understood and rejected the request, so that a repeated one is rejected too.
    pub(crate) fn is_rejection(&self) -> bool {
        self.is_unauthorized()
            || matches!(self.kind, ErrorKind::Refused(_) | ErrorKind::NotFound | ErrorKind::Render(_))
    }

    /// Returns the label under which the error is counted.
    pub(crate) fn label(&self) -> UpstreamErrorLabel {
        match &self.kind {
            ErrorKind::NoCaCertificate
            | ErrorKind::Tls(_)
            | ErrorKind::Certificate(_)
            | ErrorKind::NotTls(_) => UpstreamErrorLabel::Tls,
            ErrorKind::Proxy | ErrorKind::NoConnection(_) => UpstreamErrorLabel::NoConnection,
            ErrorKind::TimedOut => UpstreamErrorLabel::Timeout,
            ErrorKind::ConnectionLost(_) => UpstreamErrorLabel::ConnectionLost,
            ErrorKind::Unauthorized(_) | ErrorKind::NoAccount => UpstreamErrorLabel::Unauthorized,
            ErrorKind::TooManyRequests(_) => UpstreamErrorLabel::TooManyRequests,
            ErrorKind::Refused(_) | ErrorKind::RefusedConnection(_) | ErrorKind::Render(_) => {
                UpstreamErrorLabel::Refused
            }
            ErrorKind::TooLarge
            | ErrorKind::Malformed(_)
            | ErrorKind::NotAsDescribed(_)
            | ErrorKind::ErrorInside
            | ErrorKind::Exists(_)
            | ErrorKind::OtherId
            | ErrorKind::TooManyPages(_)
            | ErrorKind::UnconfirmedGone(_)
            | ErrorKind::NotDescribed
            | ErrorKind::Redirect(_)
            | ErrorKind::NotFound
            | ErrorKind::NotFromService(_)
            | ErrorKind::InvalidRevocationPath => UpstreamErrorLabel::UnexpectedResponse,
            ErrorKind::Failed(_) => UpstreamErrorLabel::Failed,
        }
    }
}

impl UpstreamError {
    /// Converts the error of a mint. A request that the service considers invalid was derived from the role, and is status 400.
    pub(crate) fn into_role_error(self) -> logical::Error {
        match self.kind {
            ErrorKind::Refused(StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY)
            | ErrorKind::Render(_) => logical::Error::Invalid(self.to_string()),
            _ => self.into(),
        }
    }
}

impl From<UpstreamError> for logical::Error {
    /// Keeps the status of a transient error, so that clients retry.
    fn from(error: UpstreamError) -> logical::Error {
        let message = error.to_string();
        match error.kind {
            ErrorKind::TooManyRequests(_) => logical::Error::Coded { status: 429, message },
            ErrorKind::Failed(status @ (StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE)) => {
                logical::Error::Coded { status: status.as_u16(), message }
            }
            _ => logical::Error::internal(message),
        }
    }
}

impl Effect {
    /// Returns the possible effect of a request with this status. A rejection has none. After a 5xx or a request timeout, it may have one.
    pub(super) fn from_status(status: StatusCode) -> Effect {
        let refused = status.is_client_error() && status != StatusCode::REQUEST_TIMEOUT;
        if refused || status.is_redirection() { Effect::None } else { Effect::Possible }
    }
}

impl ErrorKind {
    /// Returns the kind of an unsuccessful response.
    pub(super) fn from_class(class: ResponseClass, status: StatusCode, headers: &HeaderMap) -> ErrorKind {
        match class {
            ResponseClass::Exists => ErrorKind::Exists(status),
            ResponseClass::Unclear(UnclearReason::ErrorInside(_)) => ErrorKind::ErrorInside,
            ResponseClass::Unclear(UnclearReason::TooLong) => ErrorKind::TooLarge,
            ResponseClass::Unclear(UnclearReason::NotOfApi(status)) => ErrorKind::NotFromService(status),
            ResponseClass::Unclear(
                reason @ (UnclearReason::NotJson
                | UnclearReason::NotObject
                | UnclearReason::Missing(_)
                | UnclearReason::MissingValue(_)),
            ) => ErrorKind::Malformed(reason),
            ResponseClass::Success
            | ResponseClass::Gone
            | ResponseClass::Refused(_)
            | ResponseClass::Unauthorized(_)
            | ResponseClass::Throttled
            | ResponseClass::Redirected
            | ResponseClass::NotFound
            | ResponseClass::Unclear(UnclearReason::Status(_)) => ErrorKind::from_response(status, headers),
        }
    }

    /// Returns the kind of a response other than 2xx.
    fn from_response(status: StatusCode, headers: &HeaderMap) -> ErrorKind {
        match status {
            status if status.is_redirection() => ErrorKind::Redirect(location_host(headers)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ErrorKind::Unauthorized(status),
            StatusCode::NOT_FOUND => ErrorKind::NotFound,
            StatusCode::TOO_MANY_REQUESTS => {
                ErrorKind::TooManyRequests(RetryAfter(retry_after(headers, SystemTime::now())))
            }
            status if status.is_client_error() => ErrorKind::Refused(status),
            status => ErrorKind::Failed(status),
        }
    }

    /// Returns the kind of an error without a response, and whether the request may have arrived.
    pub(super) fn from_reqwest(error: reqwest::Error) -> (ErrorKind, Effect) {
        // A path or a query can contain a token.
        let error = &error.without_url();
        let cause = root_cause(error);
        let unsent = error.is_connect();
        let effect = if unsent { Effect::None } else { Effect::Possible };
        let kind = match find_tls_error(error) {
            Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
                ErrorKind::Certificate(cause)
            }
            Some(_) if unsent => ErrorKind::NotTls(cause),
            _ if error.is_timeout() => ErrorKind::TimedOut,
            _ if unsent => ErrorKind::NoConnection(cause),
            _ => ErrorKind::ConnectionLost(cause),
        };
        (kind, effect)
    }
}

/// Returns the innermost cause, which is the most specific. Errors of the transport contain no header and no body.
pub(super) fn root_cause(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

/// Returns the TLS error in a chain. The source of an [`std::io::Error`] is that of its inner error, so the inner error is checked too.
fn find_tls_error<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
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

/// Returns the host and port of a redirect. The rest of the address may contain secrets.
fn location_host(headers: &HeaderMap) -> String {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    match location.map(Url::parse) {
        Some(Ok(url)) => match (url.host_str(), url.port()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => "an address without a host".to_owned(),
        },
        Some(Err(_)) => "another path of the same host".to_owned(),
        None => "nowhere".to_owned(),
    }
}
