//! The servers of integrated storage, as the active node sees them.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Request, Response};
use serde::{Deserialize, Serialize};

use crate::ApiError;
use crate::endpoint::{self, Endpoint, Idempotency, RequestScope};

/// `GET sys/storage/raft/autopilot/state`.
#[derive(Clone, Copy, Debug)]
pub struct ReadAutopilot;

/// `GET sys/storage/raft/configuration`: which servers there are, also those that are down.
#[derive(Clone, Copy, Debug)]
pub struct ReadConfiguration;

/// What a server says of its raft servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RaftState {
    /// By their ids.
    Available(BTreeMap<String, RaftServer>),
    /// Autopilot is off. One that has not looked yet shows no servers.
    NotReady,
    /// This token may not see it.
    PermissionDenied,
    /// Its storage is not raft.
    NotRaft,
}

/// One server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RaftServer {
    /// Host and port by which other nodes reach it.
    pub address: String,
    /// Whether it votes.
    pub suffrage: Suffrage,
    /// Whether autopilot calls it healthy: in contact, and with its log close to the leader's. `None` where only the configuration is known.
    pub healthy: Option<bool>,
}

/// Whether a server votes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Suffrage {
    /// It does.
    Voter,
    /// Not yet: it has joined, and is promoted when it has been stable for a while.
    NonVoter,
    /// It is meant to have no vote.
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

/// What Vault answers on a server with another storage that has the path.
const NOT_IN_USE: &str = "raft storage is not in use";

/// Every server votes but those of these types: Vault Enterprise and OpenBao name what has no vote on purpose.
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
        Ok(RaftState::Available(servers.into_iter().map(|(id, it)| (id, server(it))).collect()))
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

/// The answers that are none of servers.
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
    fn a_server_votes_not_yet_or_never() {
        let body = r#"{"data":{"healthy":false,"failure_tolerance":0,"leader":"a","voters":["a","b"],"servers":{
            "a":{"id":"a","status":"leader","healthy":true,"node_type":"voter","last_index":40},
            "b":{"id":"b","status":"voter","healthy":false,"node_type":"voter"},
            "c":{"id":"c","status":"non-voter","healthy":true,"node_type":"voter"},
            "d":{"id":"d","status":"non-voter","healthy":true,"node_type":"non-voter"}}}}"#;
        let RaftState::Available(servers) = ReadAutopilot::response(reply(200, body)).expect("a state")
        else {
            panic!("not shown");
        };
        let seen: Vec<_> = servers.values().map(|it| (it.suffrage, it.healthy)).collect();
        assert_eq!(
            seen,
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
    fn the_configuration_names_who_votes() {
        let body = r#"{"data":{"config":{"index":0,"servers":[
            {"address":"10.0.0.1:8201","leader":true,"node_id":"a","protocol_version":"3","voter":true},
            {"address":"10.0.0.2:8201","leader":false,"node_id":"b","protocol_version":"3","voter":false}]}}}"#;
        let RaftState::Available(servers) = ReadConfiguration::response(reply(200, body)).expect("a state")
        else {
            panic!("not shown");
        };
        let server =
            |address: &str, suffrage| RaftServer { address: address.into(), suffrage, healthy: None };
        assert_eq!(servers["a"], server("10.0.0.1:8201", Suffrage::Voter));
        assert_eq!(servers["b"], server("10.0.0.2:8201", Suffrage::NonVoter));
    }

    /// OpenBao refuses to answer it in a namespace: "operation unavailable in namespaces".
    #[test]
    fn it_is_asked_of_the_whole_server() {
        assert_eq!(ReadAutopilot::SCOPE, RequestScope::Server);
        assert_eq!(ReadConfiguration::SCOPE, RequestScope::Server);
    }

    #[test]
    fn a_server_that_shows_none_says_why() {
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
