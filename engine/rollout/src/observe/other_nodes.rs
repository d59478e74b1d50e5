//! Which nodes a server has beside the one whose plugin directory is on this machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use vault_api::raft::{self, RaftState};
use vault_api::{ApiError, CallError, ha, leader};

use super::{ObserveError, Observer, call_error};
use crate::goal::Placement;
use crate::observed::other_nodes::{Member, OtherNodes, Place, at, authority, host, members, of_several};

const HA_STATUS_PATH: &str = "sys/ha-status";
const RAFT_CONFIGURATION_PATH: &str = "sys/storage/raft/configuration";

/// Whose plugin directory is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookedAt {
    /// That of this machine.
    Directory,
    /// Nobody's.
    Nothing,
}

impl Observer<'_> {
    /// Asks the server for its nodes. With `placement` the caller has accepted what it cannot see, so that a missing permission stops
    /// nothing; nor does it where no directory is `looked_at`.
    pub(super) async fn other_nodes(
        &mut self,
        placement: Option<&Placement>,
        looked_at: LookedAt,
    ) -> Result<OtherNodes, ObserveError> {
        let address = self.client.address().to_owned();
        let leader = match self.client.send(&leader::Read).await {
            Ok(leader) => leader,
            Err(CallError::Api(_) | CallError::Sealed { .. }) => leader::Leader::default(),
            Err(source) => return Err(call_error("sys/leader", source)),
        };
        if !leader.ha_enabled {
            return Ok(match looked_at {
                LookedAt::Nothing => OtherNodes::BesideActive(Vec::new()),
                LookedAt::Directory if is_local_address(&address).await => OtherNodes::Local(Vec::new()),
                LookedAt::Directory => OtherNodes::Remote(vec![at(&address)]),
            });
        }
        let is_needed = looked_at == LookedAt::Directory && placement != Some(&Placement::ThisNodeOnly);
        let heard = match self.client.send(&ha::ReadHaStatus).await {
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
        let members = members(heard, configured);
        let place = match looked_at {
            LookedAt::Nothing => Place::NotLookedAt,
            LookedAt::Directory if is_local_address(&address).await => {
                Place::Here(self.local_member(&members, leader.is_self).await)
            }
            LookedAt::Directory => Place::Elsewhere,
        };
        Ok(of_several(&members, &address, place))
    }

    /// Whether the server does not show a list: one without raft has no such thing, and a token may not be allowed to read it.
    fn is_list_unavailable(&mut self, path: &str, error: &CallError, is_needed: bool) -> bool {
        if error.api_error_is(ApiError::is_permission_denied) {
            self.record_denied(path, is_needed);
        }
        let is_not_offered = |error: &ApiError| {
            error.is_permission_denied() || error.is_unsupported_path() || error.is_absent()
        };
        error.api_error_is(is_not_offered) || matches!(error, CallError::Sealed { .. })
    }

    /// Notes a list that this token may not read.
    fn record_denied(&mut self, path: &str, is_needed: bool) {
        if is_needed {
            self.denied.insert(path.to_owned());
        }
    }

    /// The member that answers at the server's address, if it is one of this machine: behind that address there may be a proxy that
    /// leads to another machine.
    async fn local_member(&self, members: &[Member], is_active: bool) -> Option<usize> {
        // Of one there is no other, wherever it is.
        if members.len() < 2 {
            return members.first().map(|_| 0);
        }
        let address = authority(self.client.address());
        if let Some(at) = members.iter().position(|member| authority(&member.api_address) == address) {
            return Some(at);
        }
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut found = Vec::new();
        for (at, member) in members.iter().enumerate() {
            let is_here = member.hostname == name || is_local_address(&member.api_address).await;
            if is_here && member.is_active == is_active {
                found.push(at);
            }
        }
        match found[..] {
            [only] => Some(only),
            _ => None,
        }
    }
}

/// Whether a URL leads to this machine: only an address of its own can be listened at.
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
    async fn an_address_of_another_machine_is_told_from_one_of_this() {
        for (url, expected) in [
            ("http://127.0.0.1:8200", true),
            ("http://127.0.0.9:8200", true),
            ("http://localhost:8200", true),
            // Of documentation (RFC 5737): of nobody.
            ("https://192.0.2.1:8200", false),
            ("https://", false),
        ] {
            assert_eq!(is_local_address(url).await, expected, "{url}");
        }
    }
}
