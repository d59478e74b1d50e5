//! The delay between failed attempts.

use std::time::Duration;

/// The delay after the first failure. It doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_secs(60);

/// Counts consecutive failures.
#[derive(Clone, Copy, Default)]
pub(crate) struct FailureCount(u32);

impl FailureCount {
    /// Counts a failure, and returns the delay before the next attempt, at most `max`.
    pub(crate) fn record(&mut self, max: Duration) -> Duration {
        let delay = FIRST_DELAY.saturating_mul(2_u32.saturating_pow(self.0)).min(max);
        self.0 = self.0.saturating_add(1);
        delay
    }
}
