//! State of the token service: its tokens, the received requests, the pending faults.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method};

/// One of the operations of a token service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// `POST /tokens`
    Mint,
    /// `POST /tokens/{id}/renew`
    Renew,
    /// `DELETE /tokens/{id}`
    Revoke,
}

/// What goes wrong with a request. Unless noted otherwise, the operation is not executed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// This status, with a JSON error.
    Status(u16),
    /// This status and `Retry-After` in whole seconds.
    StatusWithRetryAfter(u16, Duration),
    /// This status and `Retry-After` as a date, this far from now.
    StatusWithRetryDate(u16, Duration),
    /// The correct response, this much later.
    Delayed(Duration),
    /// The operation is executed; the correct response is withheld until [`Upstream::heal`](super::Upstream::heal).
    Withheld,
    /// The operation is executed; the response is a 200 with truncated JSON.
    BrokenJson,
    /// The operation is executed; the response is a 200 of two mebibytes.
    OversizedResponse,
    /// The operation is executed; this is the `expires_at` of the response.
    ExpiresAt(String),
    /// A 307 to `/elsewhere` of the same service.
    Redirect,
    /// The connection closes without a response.
    DropConnection(DropMoment),
    /// The 404 of a proxy: an HTML page.
    HtmlNotFound,
    /// The 404 of the service: a JSON error.
    JsonNotFound,
}

/// When a connection breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropMoment {
    /// Before the operation.
    BeforeWork,
    /// After the operation, so that only the response is lost.
    AfterWork,
}

/// A token that the service issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedToken {
    /// Id to revoke and renew it by.
    pub id: String,
    /// The credential.
    pub token: String,
    /// `name` of the request.
    pub name: String,
    /// `permissions` of the request.
    pub permissions: Vec<String>,
    /// Lifetime last requested, at mint or renewal.
    pub ttl: Duration,
    /// Number of renewals.
    pub renewals: usize,
    /// Whether it was revoked.
    pub revoked: bool,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// Its operation; `None` for an unknown path.
    pub operation: Option<Operation>,
    /// HTTP method.
    pub method: Method,
    /// Path without the query.
    pub path: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The body, whole.
    pub body: Bytes,
}

/// Whether the service has a renew endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Renewal {
    Supported,
    Absent,
}

/// Whether responses contain `expires_at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    Included,
    Omitted,
}

pub(super) struct UpstreamState {
    pub(super) api_key: String,
    pub(super) renewal: Renewal,
    pub(super) expiry: Expiry,
    pub(super) issued: Vec<IssuedToken>,
    pub(super) requests: Vec<RecordedRequest>,
    pub(super) faults: FaultQueue,
    /// How often the faults were removed.
    pub(super) heals: usize,
    /// Number of withheld responses.
    pub(super) withheld: usize,
    /// Number of characters of a token beyond those that make it unique.
    pub(super) padding: usize,
    pub(super) sequential_ids: bool,
    /// The body of each `Idempotency-Key`, and the index of its token.
    pub(super) idempotent_responses: HashMap<String, (Bytes, usize)>,
}

impl UpstreamState {
    pub(super) fn new(api_key: String, renewal: Renewal, expiry: Expiry) -> UpstreamState {
        UpstreamState {
            api_key,
            renewal,
            expiry,
            issued: Vec::new(),
            requests: Vec::new(),
            faults: FaultQueue::default(),
            heals: 0,
            withheld: 0,
            padding: 0,
            sequential_ids: false,
            idempotent_responses: HashMap::new(),
        }
    }
}

/// Pending faults, in the order in which they were added.
#[derive(Default)]
pub(super) struct FaultQueue {
    waiting: Vec<(Operation, usize, Fault)>,
}

impl FaultQueue {
    pub(super) fn add(&mut self, operation: Operation, count: usize, fault: Fault) {
        self.waiting.push((operation, count, fault));
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
    }

    /// Removes and returns the fault of this request.
    pub(super) fn take(&mut self, operation: Operation) -> Option<Fault> {
        self.waiting.retain(|(_, count, _)| *count > 0);
        let (_, count, fault) = self.waiting.iter_mut().find(|(waiting, _, _)| *waiting == operation)?;
        *count -= 1;
        Some(fault.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_used_up_in_order_and_by_their_own_operation() {
        let mut faults = FaultQueue::default();
        faults.add(Operation::Mint, 2, Fault::Status(503));
        faults.add(Operation::Revoke, 0, Fault::Redirect);
        faults.add(Operation::Mint, 1, Fault::BrokenJson);

        assert_eq!(faults.take(Operation::Revoke), None);
        assert_eq!(faults.take(Operation::Mint), Some(Fault::Status(503)));
        assert_eq!(faults.take(Operation::Mint), Some(Fault::Status(503)));
        assert_eq!(faults.take(Operation::Mint), Some(Fault::BrokenJson));
        assert_eq!(faults.take(Operation::Mint), None);
    }
}
