//! Retries with exponential backoff.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

/// Number of attempts and first pause. Each further pause is twice as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Total number of attempts.
    pub attempts: usize,
    /// Pause between the first two attempts.
    pub initial_backoff: Duration,
}

/// The longest pause. Registries limit requests per minute.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

impl Default for RetryPolicy {
    /// Retries for about a minute.
    fn default() -> Self {
        Self { attempts: 7, initial_backoff: Duration::from_secs(1) }
    }
}

impl RetryPolicy {
    /// Returns the pauses between the attempts. Up to half of each is random, so that many clients do not retry together.
    pub(crate) fn pauses(self) -> impl Iterator<Item = Duration> {
        ExponentialBuilder::new()
            .with_min_delay(self.initial_backoff / 2)
            .with_max_delay(MAX_BACKOFF / 2)
            .with_max_times(self.attempts.saturating_sub(1))
            .with_jitter()
            .build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let policy = RetryPolicy { attempts: 8, initial_backoff: Duration::from_secs(1) };
        let pauses: Vec<Duration> = policy.pauses().collect();
        assert_eq!(pauses.len(), 7);
        for (pause, longest) in pauses.into_iter().zip([1, 2, 4, 8, 16, 30, 30]) {
            let longest = Duration::from_secs(longest);
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
        }
    }
}
