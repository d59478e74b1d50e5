//! The leader of a cluster, and the Raft index of a node.

use bytes::Bytes;
use http::{Request, Response};
use serde::Deserialize;

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency, RequestScope};

/// `GET sys/leader`. Needs no token, and each node responds for itself.
#[derive(Clone, Copy, Debug)]
pub struct Read;

/// The response of `sys/leader`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Leader {
    /// Whether high availability is enabled, so that another node can become active.
    pub ha_enabled: bool,
    /// Whether this node is the leader.
    pub is_self: bool,
    /// Index of the last Raft entry that this node has applied; `None` if its storage is not Raft.
    pub raft_applied_index: Option<u64>,
}

impl Endpoint for Read {
    type Response = Leader;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;
    const SCOPE: RequestScope = RequestScope::Public;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/leader")
    }

    fn response(reply: Response<Bytes>) -> Result<Leader, ApiError> {
        endpoint::parse_json(&endpoint::error_for_status(reply)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::reply;

    #[test]
    fn a_single_server_has_no_high_availability() {
        let alone = Read::response(reply(200, r#"{"ha_enabled":false,"is_self":false}"#));
        assert!(!alone.expect("an answer").ha_enabled);
    }

    #[test]
    fn only_raft_has_an_index() {
        let of = |body| Read::response(reply(200, body)).expect("an answer");
        let raft = r#"{"ha_enabled":true,"is_self":true,"leader_address":"http://10.0.0.1:8200",
            "raft_committed_index":41,"raft_applied_index":40}"#;
        assert_eq!(of(raft), Leader { ha_enabled: true, is_self: true, raft_applied_index: Some(40) });
        let other = r#"{"ha_enabled":false,"is_self":false,"leader_address":""}"#;
        assert_eq!(of(other), Leader { ha_enabled: false, is_self: false, raft_applied_index: None });
    }
}
