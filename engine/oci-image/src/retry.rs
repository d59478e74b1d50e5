//! Retries with exponential backoff.

use std::time::Duration;

use rand::RngExt;

/// Number of attempts and first pause. Each further pause is twice as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Total number of attempts.
    pub attempts: u32,
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
    /// Returns the pause after an attempt, counted from 1, or `None` after the last one. Up to half of the pause is random, so that
    /// many clients do not retry together.
    pub(crate) fn backoff_after(self, attempt: u32) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let full = self.initial_backoff.saturating_mul(1 << (attempt - 1).min(16)).min(MAX_BACKOFF);
        Some(full.mul_f64(rand::rng().random_range(0.5..=1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_last_attempt() {
        let policy = RetryPolicy { attempts: 4, initial_backoff: Duration::from_secs(1) };
        let pauses: Vec<Option<Duration>> = (1..=4).map(|attempt| policy.backoff_after(attempt)).collect();
        for (pause, longest) in pauses.iter().zip([1, 2, 4]) {
            let pause = pause.expect("not the last");
            let longest = Duration::from_secs(longest);
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
        }
        assert_eq!(pauses[3], None);
    }
}
