//! How long a run waits for nodes, and how often it looks meanwhile.

use std::time::Duration;

use tokio::time::Instant;

/// Limit of a failover, during which no node is active: it takes seconds.
pub(crate) const FAILOVER_TIMEOUT: Duration = Duration::from_secs(60);

/// Limit for the return of a node: its pod has to be scheduled, started and unsealed.
pub(crate) const NODE_RETURN_TIMEOUT: Duration = Duration::from_secs(300);

/// Interval between two looks at what is waited for.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(500);

/// A wait that looks again and again until its timeout has passed.
#[derive(Debug)]
pub struct Poll {
    deadline: Instant,
    interval: Duration,
}

impl Poll {
    /// Starts a wait that looks every [`POLL_INTERVAL`].
    pub fn new(timeout: Duration) -> Self {
        Self::every(POLL_INTERVAL, timeout)
    }

    /// Starts a wait with an interval of its own.
    pub fn every(interval: Duration, timeout: Duration) -> Self {
        Self { deadline: Instant::now() + timeout, interval }
    }

    /// Whether the timeout has passed.
    pub fn timed_out(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Sleeps until the next look.
    pub async fn pause(&self) {
        tokio::time::sleep(self.interval).await;
    }
}
