//! Waiting for a condition with a timeout.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBackoff, ExponentialBuilder};
use tokio::time::Instant;

/// Default interval between two checks of a condition.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// A wait for a condition. The caller checks the condition, and calls [`Poll::pause`] until it holds or the wait has [timed
/// out](Poll::timed_out).
///
/// ```
/// # use std::time::Duration;
/// # use rollout::Poll;
/// # async fn wait(is_ready: impl AsyncFn() -> bool) -> bool {
/// let mut poll = Poll::every(Duration::from_millis(250), Duration::from_secs(60));
/// while !is_ready().await {
///     if poll.timed_out() {
///         return false;
///     }
///     poll.pause().await;
/// }
/// # true }
/// ```
#[derive(Debug)]
pub struct Poll {
    started: Instant,
    timeout: Duration,
    pauses: Pauses,
}

#[derive(Debug)]
enum Pauses {
    Fixed(Duration),
    Growing(ExponentialBackoff),
}

impl Poll {
    /// Starts a wait that checks every 500 ms.
    pub fn new(timeout: Duration) -> Self {
        Self::every(POLL_INTERVAL, timeout)
    }

    /// Starts a wait with a fixed interval.
    pub fn every(interval: Duration, timeout: Duration) -> Self {
        Self { started: Instant::now(), timeout, pauses: Pauses::Fixed(interval) }
    }

    /// Starts a wait whose pauses grow from `min` to `max`. Each is up to twice as long at random, so that many clients spread.
    pub fn with_backoff(min: Duration, max: Duration, timeout: Duration) -> Self {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(min)
            .with_max_delay(max)
            .with_jitter()
            .without_max_times()
            .build();
        Self { started: Instant::now(), timeout, pauses: Pauses::Growing(pauses) }
    }

    /// Whether the timeout has passed.
    pub fn timed_out(&self) -> bool {
        self.elapsed() >= self.timeout
    }

    /// Time since the start of the wait.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Sleeps until the next check.
    pub async fn pause(&mut self) {
        tokio::time::sleep(self.next_pause()).await;
    }

    /// As [`Poll::pause`], but ends early when `wake` does.
    pub async fn pause_unless(&mut self, wake: impl Future) {
        let _woken_or_elapsed = tokio::time::timeout(self.next_pause(), wake).await;
    }

    fn next_pause(&mut self) -> Duration {
        match &mut self.pauses {
            Pauses::Fixed(interval) => *interval,
            Pauses::Growing(pauses) => pauses.next().unwrap_or(POLL_INTERVAL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_within_their_bounds() {
        let (min, max) = (Duration::from_millis(50), Duration::from_secs(1));
        let mut poll = Poll::with_backoff(min, max, Duration::from_secs(5));
        let pauses: Vec<Duration> = (0..20).map(|_| poll.next_pause()).collect();
        assert!(pauses[0] >= min && pauses[0] <= min * 2, "{pauses:?}");
        assert!(pauses[10..].iter().all(|pause| *pause >= max && *pause <= max * 2), "{pauses:?}");
        let mut poll = Poll::every(min, Duration::ZERO);
        assert!(poll.timed_out() && poll.next_pause() == min);
    }
}
