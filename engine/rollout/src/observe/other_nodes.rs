//! Reads the nodes of a server whose plugin directories this machine cannot observe.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use vault_api::raft::{self, RaftState};
use vault_api::{ApiError, CallError, ha, leader};

use super::{ObserveError, Observer, call_error};
use crate::goal::OtherNodesPolicy;
use crate::observed::other_nodes::{
    Member, NodeList, OtherNodes, ServerLocation, authority, host, members, node_at, nodes_of_cluster,
};

const HA_STATUS_PATH: &str = "sys/ha-status";
const RAFT_CONFIGURATION_PATH: &str = "sys/storage/raft/configuration";

/// Which plugin directory is observed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ObservedDirectory {
    /// That of this machine.
    ThisMachine,
    /// None.
    None,
}

impl Observer<'_> {
    /// Reads the nodes from the server. A missing permission is reported as denied, unless the user has accepted unknown nodes with `other_nodes_policy`,
    /// or no `directory` is observed.
    pub(super) async fn other_nodes(
        &mut self,
        other_nodes_policy: Option<&OtherNodesPolicy>,
        directory: ObservedDirectory,
    ) -> Result<OtherNodes, ObserveError> {
        let address = self.client.address().to_owned();
        let leader = match self.client.send(&leader::Read).await {
            Ok(leader) => leader,
            Err(CallError::Api(_) | CallError::Sealed { .. }) => leader::Leader::default(),
            Err(source) => return Err(call_error("sys/leader", source)),
        };
        if !leader.ha_enabled {
            let server = server_location(&address, directory).await;
            let nodes = match server {
                ServerLocation::ThisMachine | ServerLocation::NotDetermined => Vec::new(),
                ServerLocation::OtherMachine => vec![node_at(&address)],
            };
            return Ok(OtherNodes::Found { server, nodes: NodeList::Named(nodes) });
        }
        let is_needed = directory == ObservedDirectory::ThisMachine
            && other_nodes_policy != Some(&OtherNodesPolicy::ThisNodeOnly);
        let alive = match self.client.send(&ha::ReadHaStatus).await {
            Ok(nodes) => nodes,
            Err(error) if self.is_list_unavailable(HA_STATUS_PATH, &error, is_needed) => Vec::new(),
            Err(source) => return Err(call_error(HA_STATUS_PATH, source)),
        };
        let configured = match self.client.send(&raft::ReadConfiguration).await {
            Ok(RaftState::Available(servers)) => servers,
            Ok(RaftState::PermissionDenied) => {
                self.record_denied(RAFT_CONFIGURATION_PATH, is_needed);
                BTreeMap::new()
            }
            Ok(RaftState::NotRaft | RaftState::NotReady) => BTreeMap::new(),
            Err(error) if self.is_list_unavailable(RAFT_CONFIGURATION_PATH, &error, is_needed) => {
                BTreeMap::new()
            }
            Err(source) => return Err(call_error(RAFT_CONFIGURATION_PATH, source)),
        };
        let members = members(alive, configured);
        let server = server_location(&address, directory).await;
        let own = match server {
            ServerLocation::ThisMachine => self.local_member(&members, leader.is_self).await,
            ServerLocation::OtherMachine | ServerLocation::NotDetermined => None,
        };
        Ok(nodes_of_cluster(&members, &address, server, own))
    }

    /// Whether the server does not return a list: it does not have the endpoint, or the token has no permission.
    fn is_list_unavailable(&mut self, path: &str, error: &CallError, is_needed: bool) -> bool {
        if error.api_error_is(ApiError::is_permission_denied) {
            self.record_denied(path, is_needed);
        }
        let is_not_offered = |error: &ApiError| {
            error.is_permission_denied() || error.is_unsupported_path() || error.is_absent()
        };
        error.api_error_is(is_not_offered) || matches!(error, CallError::Sealed { .. })
    }

    /// Records a path that this token has no permission for.
    fn record_denied(&mut self, path: &str, is_needed: bool) {
        if is_needed {
            self.denied.insert(path.to_owned());
        }
    }

    /// Returns the member on this machine that serves the server's address. There may be none, because the address may be a proxy to another
    /// machine.
    async fn local_member(&self, members: &[Member], is_active: bool) -> Option<usize> {
        // A single member needs no distinction.
        if members.len() < 2 {
            return members.first().map(|_| 0);
        }
        let address = authority(self.client.address());
        if let Some(index) = members.iter().position(|member| authority(&member.api_address) == address) {
            return Some(index);
        }
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut found = Vec::new();
        for (index, member) in members.iter().enumerate() {
            let is_here = member.hostname == name || is_local_address(&member.api_address).await;
            if is_here && member.is_active == is_active {
                found.push(index);
            }
        }
        match found[..] {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// Where the server at an address runs.
async fn server_location(address: &str, directory: ObservedDirectory) -> ServerLocation {
    match directory {
        ObservedDirectory::None => ServerLocation::NotDetermined,
        ObservedDirectory::ThisMachine if is_local_address(address).await => ServerLocation::ThisMachine,
        ObservedDirectory::ThisMachine => ServerLocation::OtherMachine,
    }
}

/// Whether a URL has an address of this machine: only those can be bound.
pub async fn is_local_address(url: &str) -> bool {
    let host = host(url);
    if host.is_empty() {
        return false;
    }
    let addresses: Vec<IpAddr> = match host.parse() {
        Ok(address) => vec![address],
        Err(_) => match tokio::net::lookup_host((host, 0)).await {
            Ok(found) => found.map(|found| found.ip()).collect(),
            Err(_) => Vec::new(),
        },
    };
    addresses.into_iter().any(|address| UdpSocket::bind(SocketAddr::new(address, 0)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_of_this_machine_is_recognized() {
        for (url, expected) in [
            ("http://127.0.0.1:8200", true),
            ("http://127.0.0.9:8200", true),
            ("http://localhost:8200", true),
            // Reserved for documentation (RFC 5737).
            ("https://192.0.2.1:8200", false),
            ("https://", false),
        ] {
            assert_eq!(is_local_address(url).await, expected, "{url}");
        }
    }
}
