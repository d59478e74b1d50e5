//! Sends a request and tries again where that cannot do harm.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use reqwest::Url;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

use super::Upstream;
use super::error::{Effect, Trouble, UpstreamError};

const MAX_ATTEMPTS: u32 = 5;

/// First pause before another attempt; doubled each time, half of it random so that many callers spread.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// What a service says of one token is a few hundred bytes; more is not read into memory.
const MAX_BODY: usize = 1 << 20;

/// One request.
pub(super) struct Call {
    pub(super) action: &'static str,
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) header: Option<(HeaderName, HeaderValue)>,
    /// JSON.
    pub(super) body: Option<Vec<u8>>,
}

impl Call {
    pub(super) fn new(action: &'static str, method: Method, url: Url) -> Call {
        Call { action, method, url, header: None, body: None }
    }
}

/// What the service answered.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
    /// What the request, with those sent before it, may have done.
    pub(super) effect: Effect,
}

impl Upstream {
    /// Sends a call, again after failed connections, 429 (not before `Retry-After`) and 502 to 504. All calls bear
    /// repetition: a mint has its idempotency key.
    pub(super) async fn send(&self, call: &Call) -> Result<Reply, UpstreamError> {
        let deadline = Instant::now() + self.patience;
        let mut effect = Effect::None;
        let mut attempt = 0;
        loop {
            let outcome = timeout_at(deadline, self.attempt(call)).await;
            let mut outcome = outcome.unwrap_or(Err((Trouble::TimedOut, Effect::Possible)));
            // What an earlier attempt may have done, a later refusal does not undo.
            let now = match &mut outcome {
                Ok(reply) => &mut reply.effect,
                Err((_, effect)) => effect,
            };
            effect = effect.max(*now);
            *now = effect;

            let pause = pause_after(&outcome).map(|asked| asked.max(backoff(attempt)));
            attempt += 1;
            match pause {
                Some(pause) if attempt < MAX_ATTEMPTS && Instant::now() + pause < deadline => {
                    sleep(pause).await;
                }
                _ => return outcome.map_err(|(trouble, effect)| self.failed(call.action, trouble, effect)),
            }
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Reply, (Trouble, Effect)> {
        let mut request = self.http.request(call.method.clone(), call.url.clone());
        if let Some((name, value)) = &call.header {
            request = request.header(name, value);
        }
        if let Some(body) = &call.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let mut response = request.send().await.map_err(|error| Trouble::of_exchange(&error))?;
        let status = response.status();
        let headers = std::mem::take(response.headers_mut());
        let effect = Effect::of_status(status);
        let mut body = Zeroizing::new(Vec::new());
        loop {
            let chunk =
                response.chunk().await.map_err(|error| (Trouble::of_exchange(&error).0, Effect::Possible))?;
            let Some(chunk) = chunk else { return Ok(Reply { status, headers, body, effect }) };
            if body.len() + chunk.len() > MAX_BODY {
                return Err((Trouble::TooLarge, Effect::Possible));
            }
            body.extend_from_slice(&chunk);
        }
    }
}

/// The least pause before the call may be sent again, if it may.
fn pause_after(outcome: &Result<Reply, (Trouble, Effect)>) -> Option<Duration> {
    match outcome {
        Ok(reply) => matches!(reply.status.as_u16(), 429 | 502..=504)
            .then(|| retry_after(&reply.headers).unwrap_or(Duration::ZERO)),
        Err((Trouble::NoConnection(_), _)) => Some(Duration::ZERO),
        Err(_) => None,
    }
}

/// What the service asks to wait. A date, which the header may also hold, counts as not said.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn backoff(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(attempt)).mul_f64(rand::random_range(0.5..=1.0))
}
