//! Which nodes a server has beside the one whose plugin directory is on this machine.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use vault_api::raft::{self, RaftState};
use vault_api::{ApiError, CallError, ha, leader};

use super::{ObserveError, Observer, call};
use crate::goal::Placement;
use crate::observed::others::{Member, OtherNodes, Place, at, authority, host, members, of_several};

const STATUS: &str = "sys/ha-status";
const RAFT_CONFIGURATION: &str = "sys/storage/raft/configuration";

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
            Err(source) => return Err(call("sys/leader", source)),
        };
        if !leader.ha_enabled {
            return Ok(match looked_at {
                LookedAt::Nothing => OtherNodes::BesideActive(Vec::new()),
                LookedAt::Directory if is_of_this_machine(&address).await => OtherNodes::Beside(Vec::new()),
                LookedAt::Directory => OtherNodes::Elsewhere(vec![at(&address)]),
            });
        }
        let is_needed = looked_at == LookedAt::Directory && placement != Some(&Placement::ThisNodeOnly);
        let heard = match self.client.send(&ha::ReadStatus).await {
            Ok(nodes) => nodes,
            Err(error) if self.is_unread(STATUS, &error, is_needed) => Vec::new(),
            Err(source) => return Err(call(STATUS, source)),
        };
        let configured = match self.client.send(&raft::ReadConfiguration).await {
            Ok(RaftState::Shown(servers)) => servers,
            Ok(RaftState::NotPermitted) => {
                self.miss(RAFT_CONFIGURATION, is_needed);
                BTreeMap::new()
            }
            Ok(RaftState::NotUsed | RaftState::NoState) => BTreeMap::new(),
            Err(error) if self.is_unread(RAFT_CONFIGURATION, &error, is_needed) => BTreeMap::new(),
            Err(source) => return Err(call(RAFT_CONFIGURATION, source)),
        };
        let members = members(heard, configured);
        let place = match looked_at {
            LookedAt::Nothing => Place::NotLookedAt,
            LookedAt::Directory if is_of_this_machine(&address).await => {
                Place::Here(self.of_this_machine(&members, leader.is_self).await)
            }
            LookedAt::Directory => Place::Elsewhere,
        };
        Ok(of_several(&members, &address, place))
    }

    /// Whether the server does not show a list: one without raft has no such thing, and a token may not be allowed to read it.
    fn is_unread(&mut self, path: &str, error: &CallError, is_needed: bool) -> bool {
        if error.is(ApiError::is_permission_denied) {
            self.miss(path, is_needed);
        }
        let is_not_offered = |error: &ApiError| {
            error.is_permission_denied() || error.is_unsupported_path() || error.is_absent()
        };
        error.is(is_not_offered) || matches!(error, CallError::Sealed { .. })
    }

    /// Notes a list that this token may not read.
    fn miss(&mut self, path: &str, is_needed: bool) {
        if is_needed {
            self.denied.insert(path.to_owned());
        }
    }

    /// The member that answers at the server's address, if it is one of this machine: behind that address there may be a proxy that
    /// leads to another machine.
    async fn of_this_machine(&self, members: &[Member], is_active: bool) -> Option<usize> {
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
            let is_here = member.hostname == name || is_of_this_machine(&member.api_address).await;
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
pub async fn is_of_this_machine(url: &str) -> bool {
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
            assert_eq!(is_of_this_machine(url).await, expected, "{url}");
        }
    }
}
