//! What is known about a pod between two observations.

use tokio::time::{Duration, Instant};

use super::executor::{FactsRequest, NodeExecutor};
use super::facts::{ContentCache, Facts};

/// What is read once from a pod.
#[derive(Clone, Debug)]
pub(super) struct PodCache {
    pub(super) executor: NodeExecutor,
    pub(super) contents: ContentCache,
    /// Owner of its plugins, if it differs from the user that copies them.
    pub(super) owner: Option<u32>,
    /// The last facts, until the node is changed.
    pub(super) cached_facts: Option<CachedFacts>,
}

/// Facts, with the request and the container that they are from.
#[derive(Clone, Debug)]
pub(super) struct CachedFacts {
    pub(super) at: Instant,
    pub(super) container: String,
    pub(super) request: FactsRequest,
    pub(super) facts: Facts,
}

/// How long facts are cached: changes by others must be noticed too.
pub(super) const FACTS_CACHE_TTL: Duration = Duration::from_secs(10);
