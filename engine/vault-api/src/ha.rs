//! The nodes of a cluster, as its active node knows them.

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Repeat, ShowsToken};

/// `GET sys/leader`: needs no token.
#[derive(Clone, Copy, Debug)]
pub struct ReadLeader;

/// What `sys/leader` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Leader {
    /// Whether other nodes can take over.
    pub ha_enabled: bool,
    /// Whether the node that answers is the active one.
    pub is_self: bool,
}

/// `GET sys/ha-status`: the nodes that the active one has heard of in the last seconds.
#[derive(Clone, Copy, Debug)]
pub struct ReadStatus;

/// A node of `sys/ha-status`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HaNode {
    /// Name of its machine.
    pub hostname: String,
    /// URL of its API.
    pub api_address: String,
    /// URL by which other nodes reach it.
    pub cluster_address: String,
    /// Whether it serves.
    pub active_node: bool,
}

/// `GET sys/storage/raft/configuration`: every node of a raft cluster, also those that are down.
#[derive(Clone, Copy, Debug)]
pub struct ReadRaftConfiguration;

/// A node of a raft cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RaftServer {
    /// Its id.
    pub node_id: String,
    /// Host and port by which other nodes reach it.
    pub address: String,
}

#[derive(Deserialize)]
struct StatusBody {
    #[serde(default, deserialize_with = "endpoint::null_is_empty")]
    nodes: Vec<HaNode>,
}

#[derive(Deserialize)]
struct RaftBody {
    config: RaftConfig,
}

#[derive(Deserialize)]
struct RaftConfig {
    #[serde(default, deserialize_with = "endpoint::null_is_empty")]
    servers: Vec<RaftServer>,
}

impl Endpoint for ReadLeader {
    type Response = Leader;
    const REPEAT: Repeat = Repeat::Safe;
    const SHOWS_TOKEN: ShowsToken = ShowsToken::No;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/leader")
    }

    fn response(reply: Response<Bytes>) -> Result<Leader, ApiError> {
        endpoint::json(&endpoint::accepted(reply)?)
    }
}

impl Endpoint for ReadStatus {
    type Response = Vec<HaNode>;
    const REPEAT: Repeat = Repeat::Safe;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/ha-status")
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<HaNode>, ApiError> {
        endpoint::data::<StatusBody>(reply).map(|body| body.nodes)
    }
}

impl Endpoint for ReadRaftConfiguration {
    type Response = Vec<RaftServer>;
    const REPEAT: Repeat = Repeat::Safe;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/storage/raft/configuration")
    }

    fn response(reply: Response<Bytes>) -> Result<Vec<RaftServer>, ApiError> {
        endpoint::data::<RaftBody>(reply).map(|body| body.config.servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::reply;

    #[test]
    fn the_nodes_of_both_lists_are_read() {
        let body = r#"{"data":{"nodes":[{"active_node":true,"api_address":"https://10.0.0.1:8200",
            "cluster_address":"https://10.0.0.1:8201","hostname":"a","last_echo":null,"version":"1.21.4"}]}}"#;
        let nodes = ReadStatus::response(reply(200, body)).expect("an answer");
        assert_eq!((nodes[0].hostname.as_str(), nodes[0].active_node), ("a", true));
        let body = r#"{"data":{"config":{"index":0,"servers":[{"address":"10.0.0.1:8201","leader":true,
            "node_id":"one","protocol_version":"3","voter":true}]}}}"#;
        let servers = ReadRaftConfiguration::response(reply(200, body)).expect("an answer");
        assert_eq!((servers[0].node_id.as_str(), servers[0].address.as_str()), ("one", "10.0.0.1:8201"));
    }

    #[test]
    fn a_server_that_stands_alone_says_so() {
        let alone = ReadLeader::response(reply(200, r#"{"ha_enabled":false,"is_self":false}"#));
        assert!(!alone.expect("an answer").ha_enabled);
    }
}
