//! The nodes of a server that this machine cannot look at.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use vault_api::ha::HaNode;
use vault_api::raft::RaftServer;

/// What is known of the nodes whose plugin directories the deployment does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherNodes {
    /// They were not asked for, or the deployment shows every node.
    #[default]
    NotAsked,
    /// The server runs on this machine, and these are its other nodes.
    Local(Vec<OtherNode>),
    /// The server runs on another machine, and these are all its nodes.
    Remote(Vec<OtherNode>),
    /// The server runs on this machine, and is one of several nodes that it does not name.
    Unnamed,
    /// No plugin directory is looked at, and these are the nodes beside the active one.
    BesideActive(Vec<OtherNode>),
    /// No plugin directory is looked at, and the server is one of several nodes that it does not name.
    UnnamedBesideActive,
}

/// A node that this machine cannot look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherNode {
    /// What no other node is called.
    pub name: String,
    /// Everything it is called: host name, addresses, raft id.
    pub names: BTreeSet<String>,
}

impl OtherNodes {
    /// All of them.
    pub fn nodes(&self) -> &[OtherNode] {
        match self {
            Self::NotAsked | Self::Unnamed | Self::UnnamedBesideActive => &[],
            Self::Local(nodes) | Self::Remote(nodes) | Self::BesideActive(nodes) => nodes,
        }
    }

    /// Without those that somebody vouches for. A name that several nodes have names none of them.
    #[must_use]
    pub fn without(self, names: &[String]) -> Self {
        let left = |nodes: Vec<OtherNode>| {
            let is_named = |node: &OtherNode| names.iter().any(|name| is_unique_name_of(name, node, &nodes));
            nodes.iter().filter(|node| !is_named(node)).cloned().collect()
        };
        match self {
            // Whoever names some knows what the server does not tell.
            Self::Unnamed if !names.is_empty() => Self::Local(Vec::new()),
            Self::NotAsked | Self::Unnamed | Self::UnnamedBesideActive => self,
            Self::Local(nodes) => Self::Local(left(nodes)),
            Self::Remote(nodes) => Self::Remote(left(nodes)),
            Self::BesideActive(nodes) => Self::BesideActive(left(nodes)),
        }
    }
}

fn is_unique_name_of(name: &str, node: &OtherNode, all: &[OtherNode]) -> bool {
    node.names.contains(name) && all.iter().filter(|other| other.names.contains(name)).count() == 1
}

/// A node of a cluster, before it is known which of them is this machine's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// In the order in which they are preferred.
    names: Vec<String>,
    pub(crate) hostname: String,
    pub(crate) api_address: String,
    pub(crate) is_active: bool,
}

/// The nodes that the active one hears of, and those of the raft configuration that it does not hear of now.
pub(crate) fn members(heard: Vec<HaNode>, configured: BTreeMap<String, RaftServer>) -> Vec<Member> {
    let mut configured: BTreeMap<String, String> =
        configured.into_iter().map(|(id, server)| (server.address, id)).collect();
    let of_heard = |node: HaNode| {
        let HaNode { hostname, api_address, cluster_address, active_node } = node;
        let id = configured.remove(authority(&cluster_address)).unwrap_or_default();
        let names = non_empty_names([hostname.clone(), id, authority(&api_address).to_owned()]);
        Member { names, hostname, api_address, is_active: active_node }
    };
    let mut members: Vec<Member> = heard.into_iter().map(of_heard).collect();
    members.extend(configured.into_iter().map(|(address, id)| Member {
        names: non_empty_names([id, address]),
        hostname: String::new(),
        api_address: String::new(),
        is_active: false,
    }));
    members
}

fn non_empty_names(names: impl IntoIterator<Item = String>) -> Vec<String> {
    names.into_iter().filter(|name| !name.is_empty()).collect()
}

/// All but the one at this place, each with a name of its own.
pub(crate) fn other_nodes(members: &[Member], here: Option<usize>) -> Vec<OtherNode> {
    let is_unique = |name: &&String| members.iter().filter(|member| member.names.contains(name)).count() == 1;
    let others = members.iter().enumerate().filter(|(at, _)| Some(*at) != here);
    let other = |(_, member): (usize, &Member)| {
        let name = member.names.iter().find(is_unique).or(member.names.first())?.clone();
        // What the node of this machine is called too says nothing.
        let names = member.names.iter().filter(is_unique).cloned().collect();
        Some(OtherNode { name, names })
    };
    others.filter_map(other).collect()
}

/// The nodes of a server of several, as it names them.
pub(crate) fn of_several(members: &[Member], address: &str, place: Place) -> OtherNodes {
    let active = || members.iter().position(|member| member.is_active);
    match (place, members.is_empty()) {
        (Place::Here(_), true) => OtherNodes::Unnamed,
        (Place::Here(here), false) => OtherNodes::Local(other_nodes(members, here)),
        // Whatever it is called, it is not of this machine.
        (Place::Elsewhere, true) => OtherNodes::Remote(vec![at(address)]),
        (Place::Elsewhere, false) => OtherNodes::Remote(other_nodes(members, None)),
        (Place::NotLookedAt, true) => OtherNodes::UnnamedBesideActive,
        (Place::NotLookedAt, false) => OtherNodes::BesideActive(other_nodes(members, active())),
    }
}

/// Where a server runs, for whoever looks at its plugin directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this machine, as the member at this place of the list, where that is known.
    Here(Option<usize>),
    /// On another one.
    Elsewhere,
    /// Nobody looks at its directory.
    NotLookedAt,
}

/// The one node that is known by the server's address alone.
pub(crate) fn at(address: &str) -> OtherNode {
    let name = host(address).to_owned();
    OtherNode { names: [name.clone(), authority(address).to_owned()].into(), name }
}

/// Host and port of a URL.
pub(crate) fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or_default()
}

/// Host of a URL, without its port and brackets.
pub(crate) fn host(url: &str) -> &str {
    let authority = authority(url);
    match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

#[cfg(test)]
mod tests {
    use vault_api::raft::Suffrage;

    use super::*;

    fn heard(hostname: &str, address: &str, active_node: bool) -> HaNode {
        HaNode {
            hostname: hostname.into(),
            api_address: format!("https://{address}:8200"),
            cluster_address: format!("https://{address}:8201"),
            active_node,
        }
    }

    fn configured(node_id: &str, address: &str) -> (String, RaftServer) {
        let address = format!("{address}:8201");
        (node_id.into(), RaftServer { address, suffrage: Suffrage::Voter, healthy: None })
    }

    fn shown(nodes: &[OtherNode]) -> Vec<&str> {
        nodes.iter().map(|node| node.name.as_str()).collect()
    }

    #[test]
    fn a_node_that_is_down_is_one_of_them() {
        let members = members(
            vec![heard("a", "10.0.0.1", true), heard("b", "10.0.0.2", false)],
            [configured("1", "10.0.0.1"), configured("2", "10.0.0.2"), configured("3", "10.0.0.3")].into(),
        );
        let nodes = other_nodes(&members, Some(0));
        assert_eq!(shown(&nodes), ["b", "3"]);
        let nodes = OtherNodes::Local(nodes).without(&["2".into()]);
        assert_eq!(shown(nodes.nodes()), ["3"]);
        assert_eq!(nodes.without(&["10.0.0.3:8201".into()]).nodes(), []);
    }

    #[test]
    fn a_name_that_two_nodes_have_names_neither() {
        let members = members(
            vec![
                heard("host", "10.0.0.1", true),
                heard("host", "10.0.0.2", false),
                heard("host", "10.0.0.3", false),
            ],
            BTreeMap::new(),
        );
        let nodes = other_nodes(&members, Some(0));
        assert_eq!(shown(&nodes), ["10.0.0.2:8200", "10.0.0.3:8200"]);
        let nodes = OtherNodes::Local(nodes);
        assert_eq!(nodes.clone().without(&["host".into()]), nodes);
        assert_eq!(other_nodes(&members[..2], Some(0)).len(), 1);
    }

    #[test]
    fn a_server_of_several_nodes_that_names_none_is_not_taken_for_one_that_stands_alone() {
        let of = |place| of_several(&[], "https://vault.example:8200", place);
        assert_eq!(of(Place::Here(None)), OtherNodes::Unnamed);
        assert_eq!(of(Place::NotLookedAt), OtherNodes::UnnamedBesideActive);
        let OtherNodes::Remote(nodes) = of(Place::Elsewhere) else { panic!("it is elsewhere") };
        assert_eq!(shown(&nodes), ["vault.example"]);
    }

    #[test]
    fn where_no_directory_is_looked_at_the_active_node_alone_proves_what_it_runs() {
        let members = members(
            vec![heard("a", "10.0.0.1", false), heard("b", "10.0.0.2", true), heard("c", "10.0.0.3", false)],
            BTreeMap::new(),
        );
        let others = of_several(&members, "https://vault.example:8200", Place::NotLookedAt);
        assert_eq!(shown(others.nodes()), ["a", "c"]);
        assert_eq!(shown(others.without(&["c".into()]).nodes()), ["a"]);
    }

    #[test]
    fn an_address_has_a_host() {
        for (url, expected) in [
            ("https://10.0.0.1:8200", "10.0.0.1"),
            ("https://[::1]:8200/", "::1"),
            ("http://vault.example", "vault.example"),
            ("https://vault:8200/v1", "vault"),
        ] {
            assert_eq!(host(url), expected, "{url}");
        }
    }
}
