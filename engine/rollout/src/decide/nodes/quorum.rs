//! Whether raft keeps its quorum while a node restarts.

use vault_api::raft::{RaftServer, Suffrage};

use super::raft_is_hidden;
use crate::goal::{Goal, QuorumLoss};
use crate::observed::deployment::NodeName;
use crate::observed::{Observed, Raft};
use crate::refusal::Refusal;
use crate::step::Step;

/// Refuses to restart a raft voter without which the others are not a majority, unless the user accepts that writes fail until it is back.
pub(super) fn refuse_losing_quorum(observed: &Observed, goal: &Goal, step: &Step) -> Option<Refusal> {
    let Step::RestartNode { node, .. } = step else { return None };
    if goal.restart_consent().quorum_loss == QuorumLoss::Allow {
        return None;
    }
    let voters = voter_count(observed, node)?;
    let majority = voters / 2 + 1;
    (voters > 1 && voters - 1 < majority).then(|| Refusal::LosesQuorum { voters }.on_node(node))
}

/// The number of voters, if `node` is one of them and the storage is raft. Includes servers that are about to join or to get their vote, because
/// a restart waits for them. If the servers are not shown, every node counts.
fn voter_count(observed: &Observed, node: &NodeName) -> Option<usize> {
    let nodes = observed.deployment.as_ref()?.nodes.len();
    let Raft::Servers(servers) = &observed.raft else {
        return raft_is_hidden(observed).then_some(nodes);
    };
    let never_votes = |server: &RaftServer| server.suffrage == Suffrage::PermanentNonVoter;
    if servers.iter().any(|(id, server)| never_votes(server) && is_same_node(node, id, server)) {
        return None;
    }
    let voters = servers.values().filter(|server| !never_votes(server)).count();
    Some(voters + nodes.saturating_sub(servers.len()))
}

/// Whether a raft server is that of a node, by its id or by the host name of a pod.
fn is_same_node(node: &NodeName, id: &str, server: &RaftServer) -> bool {
    let host = server.address.split(['.', ':']).next().unwrap_or_default();
    [id, host].contains(&node.as_str())
}
