//! Nodes whose plugin directories this machine cannot observe.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use vault_api::ha::HaNode;
use vault_api::raft::RaftServer;

/// The nodes whose plugin directories the deployment does not show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OtherNodes {
    /// Not asked for, or the deployment shows every node.
    #[default]
    NotAsked,
    /// The nodes of the server's cluster, seen from the plugin directory that is observed.
    Found {
        /// Location of the server.
        server: ServerLocation,
        /// The nodes, except one on this machine.
        nodes: NodeList,
    },
}

/// Where the server runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerLocation {
    /// On this machine, whose plugin directory is observed. The node on it is not listed.
    ThisMachine,
    /// On another machine. All nodes are listed.
    OtherMachine,
    /// Not determined, because no plugin directory is observed. The active node is not listed.
    NotDetermined,
}

/// The other nodes of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeList {
    /// The server lists them.
    Named(Vec<OtherNode>),
    /// The server is one of several nodes, and does not list the others.
    Unnamed,
}

/// A node whose plugin directory this machine cannot observe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherNode {
    /// A name that no other node has.
    pub name: String,
    /// All its names that no other node has: host name, addresses, raft id.
    pub names: BTreeSet<String>,
}

impl OtherNodes {
    /// The listed nodes.
    pub fn nodes(&self) -> &[OtherNode] {
        match self {
            Self::Found { nodes: NodeList::Named(nodes), .. } => nodes,
            Self::NotAsked | Self::Found { nodes: NodeList::Unnamed, .. } => &[],
        }
    }

    /// Removes the nodes that the user has confirmed. A name that several nodes have matches none of them.
    #[must_use]
    pub fn without(self, names: &[String]) -> Self {
        let Self::Found { server, nodes } = self else { return self };
        let nodes = match (server, nodes) {
            (_, NodeList::Named(nodes)) => {
                let is_named =
                    |node: &OtherNode| names.iter().any(|name| is_unique_name_of(name, node, &nodes));
                NodeList::Named(nodes.iter().filter(|node| !is_named(node)).cloned().collect())
            }
            // The user knows the nodes that the server does not list.
            (ServerLocation::ThisMachine, NodeList::Unnamed) if !names.is_empty() => {
                NodeList::Named(Vec::new())
            }
            (_, NodeList::Unnamed) => NodeList::Unnamed,
        };
        Self::Found { server, nodes }
    }
}

fn is_unique_name_of(name: &str, node: &OtherNode, all: &[OtherNode]) -> bool {
    node.names.contains(name) && all.iter().filter(|other| other.names.contains(name)).count() == 1
}

/// A node of a cluster, which may be the one on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Member {
    /// In order of preference.
    names: Vec<String>,
    pub(crate) hostname: String,
    pub(crate) api_address: String,
    pub(crate) is_active: bool,
}

/// Combines the nodes that send heartbeats to the active one with those of the raft configuration.
pub(crate) fn members(alive: Vec<HaNode>, configured: BTreeMap<String, RaftServer>) -> Vec<Member> {
    let mut configured: BTreeMap<String, String> =
        configured.into_iter().map(|(id, server)| (server.address, id)).collect();
    let to_member = |node: HaNode| {
        let HaNode { hostname, api_address, cluster_address, active_node } = node;
        let id = configured.remove(authority(&cluster_address)).unwrap_or_default();
        let names = non_empty_names([hostname.clone(), id, authority(&api_address).to_owned()]);
        Member { names, hostname, api_address, is_active: active_node }
    };
    let mut members: Vec<Member> = alive.into_iter().map(to_member).collect();
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

/// All members except the one on this machine, each with a unique name.
pub(crate) fn other_nodes(members: &[Member], own: Option<usize>) -> Vec<OtherNode> {
    let is_unique = |name: &&String| members.iter().filter(|member| member.names.contains(name)).count() == 1;
    let others = members.iter().enumerate().filter(|(index, _)| Some(*index) != own);
    let other = |(_, member): (usize, &Member)| {
        let name = member.names.iter().find(is_unique).or(member.names.first())?.clone();
        // A name that another node has too identifies none.
        let names = member.names.iter().filter(is_unique).cloned().collect();
        Some(OtherNode { name, names })
    };
    others.filter_map(other).collect()
}

/// The other nodes of a server with high availability. `own` is the member on this machine, if it is known.
pub(crate) fn nodes_of_cluster(
    members: &[Member],
    address: &str,
    server: ServerLocation,
    own: Option<usize>,
) -> OtherNodes {
    let active = || members.iter().position(|member| member.is_active);
    let nodes = match (server, members.is_empty()) {
        // Its address is a name of one node at least.
        (ServerLocation::OtherMachine, true) => NodeList::Named(vec![node_at(address)]),
        (ServerLocation::ThisMachine | ServerLocation::NotDetermined, true) => NodeList::Unnamed,
        (ServerLocation::ThisMachine, false) => NodeList::Named(other_nodes(members, own)),
        (ServerLocation::OtherMachine, false) => NodeList::Named(other_nodes(members, None)),
        (ServerLocation::NotDetermined, false) => NodeList::Named(other_nodes(members, active())),
    };
    OtherNodes::Found { server, nodes }
}

/// A node of which only the server's address is known.
pub(crate) fn node_at(address: &str) -> OtherNode {
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

    fn alive(hostname: &str, address: &str, active_node: bool) -> HaNode {
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

    fn on_this_machine(nodes: Vec<OtherNode>) -> OtherNodes {
        OtherNodes::Found { server: ServerLocation::ThisMachine, nodes: NodeList::Named(nodes) }
    }

    fn shown(nodes: &[OtherNode]) -> Vec<&str> {
        nodes.iter().map(|node| node.name.as_str()).collect()
    }

    #[test]
    fn a_node_that_is_down_is_listed() {
        let members = members(
            vec![alive("a", "10.0.0.1", true), alive("b", "10.0.0.2", false)],
            [configured("1", "10.0.0.1"), configured("2", "10.0.0.2"), configured("3", "10.0.0.3")].into(),
        );
        let nodes = other_nodes(&members, Some(0));
        assert_eq!(shown(&nodes), ["b", "3"]);
        let nodes = on_this_machine(nodes).without(&["2".into()]);
        assert_eq!(shown(nodes.nodes()), ["3"]);
        assert_eq!(nodes.without(&["10.0.0.3:8201".into()]).nodes(), []);
    }

    #[test]
    fn a_name_that_two_nodes_have_names_neither() {
        let members = members(
            vec![
                alive("host", "10.0.0.1", true),
                alive("host", "10.0.0.2", false),
                alive("host", "10.0.0.3", false),
            ],
            BTreeMap::new(),
        );
        let nodes = other_nodes(&members, Some(0));
        assert_eq!(shown(&nodes), ["10.0.0.2:8200", "10.0.0.3:8200"]);
        let nodes = on_this_machine(nodes);
        assert_eq!(nodes.clone().without(&["host".into()]), nodes);
        assert_eq!(other_nodes(&members[..2], Some(0)).len(), 1);
    }

    #[test]
    fn a_server_that_lists_no_nodes_is_not_taken_for_a_single_node() {
        let nodes = |server| nodes_of_cluster(&[], "https://vault.example:8200", server, None);
        for server in [ServerLocation::ThisMachine, ServerLocation::NotDetermined] {
            assert_eq!(nodes(server), OtherNodes::Found { server, nodes: NodeList::Unnamed });
        }
        assert_eq!(shown(nodes(ServerLocation::OtherMachine).nodes()), ["vault.example"]);
    }

    #[test]
    fn without_a_plugin_directory_every_node_except_the_active_one_is_listed() {
        let members = members(
            vec![alive("a", "10.0.0.1", false), alive("b", "10.0.0.2", true), alive("c", "10.0.0.3", false)],
            BTreeMap::new(),
        );
        let others =
            nodes_of_cluster(&members, "https://vault.example:8200", ServerLocation::NotDetermined, None);
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
