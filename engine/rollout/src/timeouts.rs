//! How long a run waits for nodes, and how often it looks meanwhile.

use std::time::Duration;

/// Limit of a failover, during which no node is active: it takes seconds.
pub(crate) const FAILOVER_TIMEOUT: Duration = Duration::from_secs(60);

/// Limit for the return of a node: its pod has to be scheduled, started and unsealed.
pub(crate) const NODE_RETURN_TIMEOUT: Duration = Duration::from_secs(300);

/// Interval between two looks at what is waited for.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(500);
