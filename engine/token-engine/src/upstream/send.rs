//! Sends a request, and retries it if that is safe.

use std::time::{Duration, SystemTime};

use backon::{BackoffBuilder as _, ExponentialBuilder};
use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

use super::Upstream;
use super::credential::Headers;
use super::error::{Effect, ErrorKind, UpstreamError};
use super::request::RequestBody;
use super::response::MAX_RESPONSE_BYTES;
use super::retry_after::retry_after;

/// The delays before four retries. They begin with 100 ms and double each time. A random factor of up to two keeps concurrent callers from
/// retrying at the same time.
const BACKOFF: ExponentialBuilder =
    ExponentialBuilder::new().with_min_delay(Duration::from_millis(100)).with_max_times(4).with_jitter();

/// When a request may be retried.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryPolicy {
    /// Also if an earlier attempt may have had an effect.
    Always,
    /// Only if no earlier attempt can have had an effect.
    IfNoEffect,
}

/// A request with its retry policy and its deadline.
pub(super) struct UpstreamRequest {
    pub(super) action: &'static str,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Headers,
    pub(super) body: Option<RequestBody>,
    pub(super) retry: RetryPolicy,
    /// The time at which the last attempt times out.
    pub(super) deadline: Instant,
}

/// A response of the service.
pub(super) struct UpstreamResponse {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
    /// The possible effect of the request and its earlier attempts.
    pub(super) effect: Effect,
}

impl Upstream {
    /// Sends a request. Retries it after failed connections, after 429 (not before `Retry-After`), and after 502 to 504 if its retry policy
    /// allows that. A mint is retried after a possible effect only if the service supports idempotency keys.
    pub(super) async fn send(
        &self,
        call: &UpstreamRequest,
        credential: &Headers,
    ) -> Result<UpstreamResponse, UpstreamError> {
        let deadline = call.deadline;
        let mut effect = Effect::None;
        let mut pauses = BACKOFF.build();
        loop {
            let outcome = timeout_at(deadline, self.send_once(call, credential)).await;
            let mut outcome = outcome.unwrap_or(Err((ErrorKind::TimedOut, Effect::Possible)));
            // A later rejection does not undo the effect of an earlier attempt.
            let now = match &mut outcome {
                Ok(response) => &mut response.effect,
                Err((_, effect)) => effect,
            };
            effect = effect.max(*now);
            *now = effect;

            let may_retry = effect == Effect::None || call.retry == RetryPolicy::Always;
            let minimum = retry_delay(&outcome).filter(|_| may_retry);
            let pause = minimum.and_then(|minimum| Some(pauses.next()?.max(minimum)));
            match pause {
                Some(pause) if pause < deadline.saturating_duration_since(Instant::now()) => {
                    sleep(pause).await;
                    self.metrics.count_retry();
                }
                _ => {
                    return outcome.map_err(|(kind, effect)| self.error(call.action, kind, effect));
                }
            }
        }
    }

    async fn send_once(
        &self,
        call: &UpstreamRequest,
        credential: &Headers,
    ) -> Result<UpstreamResponse, (ErrorKind, Effect)> {
        let mut request = self.http.request(call.method.clone(), call.url.clone());
        for (name, value) in credential.iter().chain(&call.headers) {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            // Copied, because reqwest takes ownership of the body.
            request = request.header(CONTENT_TYPE, body.kind.content_type()).body(body.bytes.to_vec());
        }
        let mut response = request.send().await.map_err(ErrorKind::from_reqwest)?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let effect = Effect::from_status(status);
        let mut body = Zeroizing::new(Vec::new());
        loop {
            let chunk = response
                .chunk()
                .await
                .map_err(|error| (ErrorKind::from_reqwest(error).0, Effect::Possible))?;
            let Some(chunk) = chunk else { return Ok(UpstreamResponse { status, headers, body, effect }) };
            if body.len() + chunk.len() > MAX_RESPONSE_BYTES {
                return Err((ErrorKind::TooLarge, Effect::Possible));
            }
            body.extend_from_slice(&chunk);
        }
    }
}

/// Returns the minimum delay before a retry, or `None` if the call must not be retried.
fn retry_delay(outcome: &Result<UpstreamResponse, (ErrorKind, Effect)>) -> Option<Duration> {
    match outcome {
        Ok(response) => matches!(response.status.as_u16(), 429 | 502..=504)
            .then(|| retry_after(&response.headers, SystemTime::now()).unwrap_or(Duration::ZERO)),
        Err((ErrorKind::NoConnection(_), _)) => Some(Duration::ZERO),
        Err(_) => None,
    }
}
