//! The servers of raft, where a goal may restart nodes or make them active.

use vault_api::health::Product;
use vault_api::raft::{self, RaftServer, RaftState, Suffrage};

use super::{ObserveError, Observer};
use crate::goal::{FailoverTest, Goal};
use crate::observed::Raft;

/// Whether the servers of raft are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RaftQuery {
    Yes,
    No,
}

/// Standbys of Vault run nothing, and are not restarted.
pub(super) fn needs_raft_servers(goal: &Goal, product: Product) -> bool {
    let rehearses =
        matches!(goal, Goal::Upgrade(upgrade) if upgrade.failover_test == FailoverTest::EveryNode);
    rehearses || (product == Product::OpenBao && goal.may_restart_nodes())
}

impl Observer<'_> {
    /// The servers of raft. A token that may not see them goes without.
    pub(super) async fn raft(&mut self) -> Result<Raft, ObserveError> {
        let mut state = self.request("sys/storage/raft/autopilot/state", &raft::ReadAutopilot).await?;
        if let Some(RaftState::NotReady) = state {
            state = self.request("sys/storage/raft/configuration", &raft::ReadConfiguration).await?;
            state = state.map(without_autopilot);
        }
        Ok(match state {
            Some(RaftState::Available(servers)) => Raft::Servers(servers),
            Some(RaftState::NotRaft) => Raft::NotUsed,
            Some(RaftState::PermissionDenied | RaftState::NotReady) => Raft::NotShown,
            None => Raft::NotAsked,
        })
    }
}

/// The servers of a configuration where autopilot is off. Only autopilot gives a server its vote later (OpenBao's
/// `retry_join_as_non_voter`, and every server that joins without one), so whoever has none now keeps none.
fn without_autopilot(state: RaftState) -> RaftState {
    let RaftState::Available(servers) = state else { return state };
    let kept = |server: RaftServer| match server.suffrage {
        Suffrage::NonVoter => RaftServer { suffrage: Suffrage::PermanentNonVoter, ..server },
        Suffrage::Voter | Suffrage::PermanentNonVoter => server,
    };
    RaftState::Available(servers.into_iter().map(|(id, server)| (id, kept(server))).collect())
}
