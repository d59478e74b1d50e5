//! Reads the raft servers, for goals that may restart nodes or make them active.

use vault_api::health::Product;
use vault_api::raft::{self, RaftServer, RaftState, Suffrage};

use super::{ObserveError, Observer};
use crate::goal::{FailoverTest, Goal};
use crate::observed::Raft;

/// Whether the raft servers are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RaftQuery {
    Yes,
    No,
}

/// Whether a goal needs the raft servers. Standbys of Vault run no plugins, and are not restarted.
pub(super) fn needs_raft_servers(goal: &Goal, product: Product) -> bool {
    let tests_failover =
        matches!(goal, Goal::Upgrade(upgrade) if upgrade.failover_test == FailoverTest::EveryNode);
    tests_failover || (product == Product::OpenBao && goal.may_restart_nodes())
}

impl Observer<'_> {
    /// Reads the raft servers, if the token has permission.
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

/// The servers of a configuration without autopilot. Only autopilot promotes a non-voter (with OpenBao's `retry_join_as_non_voter`, and every
/// server that joins as one), so without it a non-voter never gets a vote.
fn without_autopilot(state: RaftState) -> RaftState {
    let RaftState::Available(servers) = state else { return state };
    let permanent = |server: RaftServer| match server.suffrage {
        Suffrage::NonVoter => RaftServer { suffrage: Suffrage::PermanentNonVoter, ..server },
        Suffrage::Voter | Suffrage::PermanentNonVoter => server,
    };
    RaftState::Available(servers.into_iter().map(|(id, server)| (id, permanent(server))).collect())
}
