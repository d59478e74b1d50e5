//! Trying again what may work in a moment.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

/// How often something is tried, and how long the first pause is; each further one is twice as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// In all.
    pub attempts: usize,
    /// Between the first two.
    pub initial_backoff: Duration,
}

/// No pause is longer: a registry that limits requests counts by the minute.
const MAX_BACKOFF: Duration = Duration::from_secs(30);

impl Default for RetryPolicy {
    /// About a minute in all.
    fn default() -> Self {
        Self { attempts: 7, initial_backoff: Duration::from_secs(1) }
    }
}

impl RetryPolicy {
    /// The pauses between the attempts. Up to half of each is random, so that callers that failed together do not return together.
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
