//! Sends a request and tries again where that cannot do harm.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode};
use reqwest::Url;
use reqwest::header::CONTENT_TYPE;
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

use super::Upstream;
use super::answer::MAX_ANSWER;
use super::credential::Headers;
use super::error::{Effect, ErrorKind, UpstreamError};
use super::request::RequestBody;
use super::retry_after::retry_after;

const MAX_ATTEMPTS: u32 = 5;

/// First pause before another attempt; doubled each time, half of it random so that many callers spread.
const INITIAL_BACKOFF: Duration = Duration::from_millis(200);

/// What a service says of one token is a few hundred bytes; more is not read into memory.
const MAX_BODY_SIZE: usize = MAX_ANSWER;

/// One request.
pub(super) struct UpstreamRequest {
    pub(super) action: &'static str,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Headers,
    pub(super) body: Option<RequestBody>,
    /// Whether it may be sent again when it may have had an effect.
    pub(super) retry_after_effect: bool,
    /// When the last attempt ends.
    pub(super) deadline: Instant,
}

/// What the service answered.
pub(super) struct UpstreamReply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
    /// What the request, with those sent before it, may have done.
    pub(super) effect: Effect,
}

impl Upstream {
    /// Sends a call, and sends it again after failed connections, 429 (not before `Retry-After`) and, if it may be repeated, 502 to 504. A
    /// mint may where the service knows idempotency keys.
    pub(super) async fn send(
        &self,
        call: &UpstreamRequest,
        credential: &Headers,
    ) -> Result<UpstreamReply, UpstreamError> {
        let deadline = call.deadline;
        let mut effect = Effect::None;
        let mut attempt = 0;
        loop {
            let outcome = timeout_at(deadline, self.send_once(call, credential)).await;
            let mut outcome = outcome.unwrap_or(Err((ErrorKind::TimedOut, Effect::Possible)));
            // What an earlier attempt may have done, a later refusal does not undo.
            let now = match &mut outcome {
                Ok(reply) => &mut reply.effect,
                Err((_, effect)) => effect,
            };
            effect = effect.max(*now);
            *now = effect;

            let may_repeat = effect == Effect::None || call.retry_after_effect;
            let pause = retry_delay(&outcome).filter(|_| may_repeat).map(|asked| asked.max(backoff(attempt)));
            attempt += 1;
            match pause {
                Some(pause)
                    if attempt < MAX_ATTEMPTS
                        && pause < deadline.saturating_duration_since(Instant::now()) =>
                {
                    sleep(pause).await;
                    self.metrics.count_retry();
                }
                _ => {
                    return outcome.map_err(|(trouble, effect)| self.error(call.action, trouble, effect));
                }
            }
        }
    }

    async fn send_once(
        &self,
        call: &UpstreamRequest,
        credential: &Headers,
    ) -> Result<UpstreamReply, (ErrorKind, Effect)> {
        let mut request = self.http.request(call.method.clone(), call.url.clone());
        for (name, value) in credential.iter().chain(&call.headers) {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            // Copied, as a connection keeps its bytes until they are sent.
            request = request.header(CONTENT_TYPE, body.kind.content_type()).body(body.bytes.to_vec());
        }
        let mut response = request.send().await.map_err(|error| ErrorKind::from_reqwest(&error))?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let effect = Effect::from_status(status);
        let mut body = Zeroizing::new(Vec::new());
        loop {
            let chunk = response
                .chunk()
                .await
                .map_err(|error| (ErrorKind::from_reqwest(&error).0, Effect::Possible))?;
            let Some(chunk) = chunk else { return Ok(UpstreamReply { status, headers, body, effect }) };
            if body.len() + chunk.len() > MAX_BODY_SIZE {
                return Err((ErrorKind::TooLarge, Effect::Possible));
            }
            body.extend_from_slice(&chunk);
        }
    }
}

/// The least pause before the call may be sent again, if it may.
fn retry_delay(outcome: &Result<UpstreamReply, (ErrorKind, Effect)>) -> Option<Duration> {
    match outcome {
        Ok(reply) => matches!(reply.status.as_u16(), 429 | 502..=504)
            .then(|| retry_after(&reply.headers, SystemTime::now()).unwrap_or(Duration::ZERO)),
        Err((ErrorKind::NoConnection(_), _)) => Some(Duration::ZERO),
        Err(_) => None,
    }
}

fn backoff(attempt: u32) -> Duration {
    INITIAL_BACKOFF.saturating_mul(2_u32.saturating_pow(attempt)).mul_f64(rand::random_range(0.5..=1.0))
}
