//! The servers of raft, where a goal may restart nodes or make them active.

use vault_api::health::Product;
use vault_api::raft::{self, RaftServer, RaftState, Suffrage};

use super::{ObserveError, Observer};
use crate::goal::{Goal, Rehearsal};
use crate::observed::Raft;

/// Whether the servers of raft are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum AskRaft {
    Yes,
    No,
}

/// Standbys of Vault run nothing, and are not restarted.
pub(super) fn asks_raft(goal: &Goal, product: Product) -> bool {
    let rehearses = matches!(goal, Goal::Upgrade(upgrade) if upgrade.rehearsal == Rehearsal::EveryNode);
    rehearses || (product == Product::OpenBao && goal.moves_nodes())
}

impl Observer<'_> {
    /// The servers of raft. A token that may not see them goes without.
    pub(super) async fn raft(&mut self) -> Result<Raft, ObserveError> {
        let mut state = self.ask("sys/storage/raft/autopilot/state", &raft::ReadAutopilot).await?;
        if let Some(RaftState::NoState) = state {
            state = self.ask("sys/storage/raft/configuration", &raft::ReadConfiguration).await?;
            state = state.map(without_autopilot);
        }
        Ok(match state {
            Some(RaftState::Shown(servers)) => Raft::Servers(servers),
            Some(RaftState::NotUsed) => Raft::NotUsed,
            Some(RaftState::NotPermitted | RaftState::NoState) => Raft::NotShown,
            None => Raft::NotAsked,
        })
    }
}

/// The servers of a configuration where autopilot is off. Only autopilot gives a server its vote later (OpenBao's
/// `retry_join_as_non_voter`, and every server that joins without one), so whoever has none now keeps none.
fn without_autopilot(state: RaftState) -> RaftState {
    let RaftState::Shown(servers) = state else { return state };
    let kept = |server: RaftServer| match server.suffrage {
        Suffrage::NonVoter => RaftServer { suffrage: Suffrage::PermanentNonVoter, ..server },
        Suffrage::Voter | Suffrage::PermanentNonVoter => server,
    };
    RaftState::Shown(servers.into_iter().map(|(id, server)| (id, kept(server))).collect())
}
