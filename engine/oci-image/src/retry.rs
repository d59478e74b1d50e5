//! Trying again what may work in a moment.

use std::time::Duration;

use rand::RngExt;

/// How often something is tried, and how long the first pause is; each further one is twice as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// In all.
    pub attempts: u32,
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
    /// The pause after an attempt that is counted from 1; `None` when it was the last. At random by up to a half, so that not all
    /// who were sent away together come back together.
    pub(crate) fn backoff_after(self, attempt: u32) -> Option<Duration> {
        if attempt >= self.attempts {
            return None;
        }
        let whole = self.initial_backoff.saturating_mul(1 << (attempt - 1).min(16)).min(MAX_BACKOFF);
        Some(whole.mul_f64(rand::rng().random_range(0.5..=1.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let patience = RetryPolicy { attempts: 4, initial_backoff: Duration::from_secs(1) };
        let pauses: Vec<Option<Duration>> = (1..=4).map(|attempt| patience.backoff_after(attempt)).collect();
        for (pause, longest) in pauses.iter().zip([1, 2, 4]) {
            let pause = pause.expect("not the last");
            let longest = Duration::from_secs(longest);
            assert!(pause >= longest / 2 && pause <= longest, "{pause:?}");
        }
        assert_eq!(pauses[3], None);
    }
}
