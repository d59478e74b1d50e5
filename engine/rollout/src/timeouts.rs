//! Timeouts of waits for nodes.

use std::time::Duration;

/// Timeout of a failover, during which no node is active. It takes seconds.
pub(crate) const FAILOVER_TIMEOUT: Duration = Duration::from_secs(60);

/// Timeout of the restart of a node: its pod has to be scheduled, started and unsealed.
pub(crate) const NODE_RETURN_TIMEOUT: Duration = Duration::from_secs(300);
