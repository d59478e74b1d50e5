//! The servers of integrated storage (Raft), as the active node sees them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency, RequestScope};

/// `GET sys/storage/raft/autopilot/state`.
#[derive(Clone, Copy, Debug)]
pub struct ReadAutopilot;

/// `GET sys/storage/raft/configuration`: all servers, including those that are down.
#[derive(Clone, Copy, Debug)]
pub struct ReadConfiguration;

/// What is known about the Raft servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RaftState {
    /// The servers by ID.
    Available(BTreeMap<String, RaftServer>),
    /// Autopilot is disabled. An autopilot that has not collected any state yet is [`Available`](Self::Available) without servers.
    NotReady,
    /// The token has no permission to read it.
    PermissionDenied,
    /// The storage is not Raft.
    NotRaft,
}

/// A Raft server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RaftServer {
    /// Host and port for requests between nodes.
    pub address: String,
    /// Whether it has a vote.
    pub suffrage: Suffrage,
    /// Whether autopilot considers it healthy: in contact, with a log close to the leader's. `None` if only the configuration is known.
    pub healthy: Option<bool>,
}

/// Whether a server has a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Suffrage {
    /// It has a vote.
    Voter,
    /// It has no vote yet: it has joined, and is promoted once it has been stable for some time.
    NonVoter,
    /// It has no vote by configuration.
    PermanentNonVoter,
}

#[derive(Deserialize)]
struct AutopilotBody {
    #[serde(default, deserialize_with = "endpoint::null_as_default")]
    servers: BTreeMap<String, AutopilotServer>,
}

#[derive(Deserialize)]
struct AutopilotServer {
    #[serde(default)]
    address: String,
    status: String,
    #[serde(default)]
    healthy: bool,
    #[serde(default)]
    node_type: String,
}

#[derive(Deserialize)]
struct ConfigurationBody {
    config: Configuration,
}

#[derive(Deserialize)]
struct Configuration {
    #[serde(deserialize_with = "endpoint::null_as_default")]
    servers: Vec<ConfiguredServer>,
}

#[derive(Deserialize)]
struct ConfiguredServer {
    node_id: String,
    address: String,
    voter: bool,
}

/// The error message of Vault on a server with another storage.
const NOT_IN_USE: &str = "raft storage is not in use";

/// Node types that have or will get a vote. Vault Enterprise and OpenBao have further types for servers without a vote.
const VOTING_TYPES: [&str; 2] = ["", "voter"];

impl Endpoint for ReadAutopilot {
    type Response = RaftState;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;
    const SCOPE: RequestScope = RequestScope::Server;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/storage/raft/autopilot/state")
    }

    fn response(reply: Response<Bytes>) -> Result<RaftState, ApiError> {
        if let Some(state) = unavailable_state(&reply) {
            return Ok(state);
        }
        let AutopilotBody { servers } = endpoint::data(reply)?;
        let server = |server: AutopilotServer| RaftServer {
            address: server.address,
            suffrage: match &*server.status {
                "leader" | "voter" => Suffrage::Voter,
                _ if VOTING_TYPES.contains(&&*server.node_type) => Suffrage::NonVoter,
                _ => Suffrage::PermanentNonVoter,
            },
            healthy: Some(server.healthy),
        };
        Ok(RaftState::Available(servers.into_iter().map(|(id, info)| (id, server(info))).collect()))
    }
}

impl Endpoint for ReadConfiguration {
    type Response = RaftState;
    const IDEMPOTENCY: Idempotency = Idempotency::Idempotent;
    const SCOPE: RequestScope = RequestScope::Server;

    fn request(&self) -> Request<Bytes> {
        endpoint::get("sys/storage/raft/configuration")
    }

    fn response(reply: Response<Bytes>) -> Result<RaftState, ApiError> {
        if let Some(state) = unavailable_state(&reply) {
            return Ok(state);
        }
        let ConfigurationBody { config } = endpoint::data(reply)?;
        let server = |server: ConfiguredServer| {
            let suffrage = if server.voter { Suffrage::Voter } else { Suffrage::NonVoter };
            (server.node_id, RaftServer { address: server.address, suffrage, healthy: None })
        };
        Ok(RaftState::Available(config.servers.into_iter().map(server).collect()))
    }
}

/// Returns the state for a reply without servers, if it is not an error.
fn unavailable_state(reply: &Response<Bytes>) -> Option<RaftState> {
    if reply.status().is_success() {
        return (reply.status().as_u16() == 204).then_some(RaftState::NotReady);
    }
    let error = ApiError::from_reply(reply);
    if error.is_invalid_token() {
        None
    } else if error.is_permission_denied() {
        Some(RaftState::PermissionDenied)
    } else if error.is_unsupported_path() || error.has_message(NOT_IN_USE) {
        Some(RaftState::NotRaft)
    } else {
        error.is_absent().then_some(RaftState::NotReady)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::tests::{reply, request_line};

    #[test]
    fn a_server_has_a_vote_now_later_or_never() {
        let body = r#"{"data":{"healthy":false,"failure_tolerance":0,"leader":"a","voters":["a","b"],"servers":{
            "a":{"id":"a","status":"leader","healthy":true,"node_type":"voter","last_index":40},
            "b":{"id":"b","status":"voter","healthy":false,"node_type":"voter"},
            "c":{"id":"c","status":"non-voter","healthy":true,"node_type":"voter"},
            "d":{"id":"d","status":"non-voter","healthy":true,"node_type":"non-voter"}}}}"#;
        let RaftState::Available(servers) = ReadAutopilot::response(reply(200, body)).expect("a state")
        else {
            panic!("expected the servers");
        };
        let states: Vec<_> = servers.values().map(|server| (server.suffrage, server.healthy)).collect();
        assert_eq!(
            states,
            [
                (Suffrage::Voter, Some(true)),
                (Suffrage::Voter, Some(false)),
                (Suffrage::NonVoter, Some(true)),
                (Suffrage::PermanentNonVoter, Some(true)),
            ]
        );
        assert_eq!(request_line(&ReadAutopilot.request()), "GET /v1/sys/storage/raft/autopilot/state");
    }

    #[test]
    fn the_configuration_says_which_servers_have_a_vote() {
        let body = r#"{"data":{"config":{"index":0,"servers":[
            {"address":"10.0.0.1:8201","leader":true,"node_id":"a","protocol_version":"3","voter":true},
            {"address":"10.0.0.2:8201","leader":false,"node_id":"b","protocol_version":"3","voter":false}]}}}"#;
        let RaftState::Available(servers) = ReadConfiguration::response(reply(200, body)).expect("a state")
        else {
            panic!("expected the servers");
        };
        let server =
            |address: &str, suffrage| RaftServer { address: address.into(), suffrage, healthy: None };
        assert_eq!(servers["a"], server("10.0.0.1:8201", Suffrage::Voter));
        assert_eq!(servers["b"], server("10.0.0.2:8201", Suffrage::NonVoter));
    }

    /// OpenBao refuses these requests in a namespace: "operation unavailable in namespaces".
    #[test]
    fn the_requests_are_sent_without_a_namespace() {
        assert_eq!(ReadAutopilot::SCOPE, RequestScope::Server);
        assert_eq!(ReadConfiguration::SCOPE, RequestScope::Server);
    }

    #[test]
    fn a_reply_without_servers_has_a_reason() {
        let of = |status, body| ReadAutopilot::response(reply(status, body));
        let denied = r#"{"errors":["1 error occurred:\n\t* permission denied\n\n"]}"#;
        assert_eq!(of(403, denied).expect("a state"), RaftState::PermissionDenied);
        assert_eq!(of(404, r#"{"errors":["unsupported path"]}"#).expect("a state"), RaftState::NotRaft);
        assert_eq!(
            of(400, r#"{"errors":["raft storage is not in use"]}"#).expect("a state"),
            RaftState::NotRaft
        );
        assert_eq!(of(404, r#"{"errors":[]}"#).expect("a state"), RaftState::NotReady);
        assert!(of(500, r#"{"errors":["internal error"]}"#).is_err());
    }
}
