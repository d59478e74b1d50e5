//! The nodes of a cluster, as its active node sees them.

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency, RequestScope};

/// `GET sys/ha-status`: the nodes from which the active node has received a heartbeat in the last seconds.
#[derive(Clone, Copy, Debug)]
pub struct ReadHaStatus;

/// A node of `sys/ha-status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HaNode {
    /// Host name of its machine.
    pub hostname: String,
    /// URL of its API.
    pub api_address: String,
    /// URL for requests between nodes.
    pub cluster_address: String,
    /// Whether it is the active node.
    pub active_node: bool,
}

#[derive(Deserialize)]
struct StatusBody {
    #[serde(default, deserialize_with = "endpoint::null_as_default")]
    nodes: Vec<HaNode>,
}

impl Endpoint for ReadHaStatus {
    type Response = Vec<HaNode>;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;
    const SCOPE: RequestScope = RequestScope::Server;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/ha-status")
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<HaNode>, ApiError> {
        endpoint::data::<StatusBody>(reply).map(|body| body.nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::reply;

    #[test]
    fn the_nodes_with_a_recent_heartbeat_are_parsed() {
        let body = r#"{"data":{"nodes":[{"active_node":true,"api_address":"https://10.0.0.1:8200",
            "cluster_address":"https://10.0.0.1:8201","hostname":"a","last_echo":null,"version":"1.21.4"}]}}"#;
        let nodes = ReadHaStatus::response(reply(200, body)).expect("an answer");
        assert_eq!((nodes[0].hostname.as_str(), nodes[0].active_node), ("a", true));
    }
}
