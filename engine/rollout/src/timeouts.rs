//! Timeouts of waits for nodes.

use std::time::Duration;

/// Timeout of a failover, during which no node is active. It takes seconds.
pub(crate) const FAILOVER_TIMEOUT: Duration = Duration::from_secs(60);

/// Timeout of a step-down until another node is active; servers abort their elections after about ten seconds.
pub(crate) const STEP_DOWN_TIMEOUT: Duration = Duration::from_secs(60);

/// Timeout of an observation during an election. With Vault's defaults, raft detects the loss of a leader within ten seconds, and elects another
/// one within ten more.
pub(crate) const OBSERVE_ELECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Timeout of the restart of a node: its pod has to be scheduled, started and unsealed.
pub(crate) const NODE_RETURN_TIMEOUT: Duration = Duration::from_secs(300);
