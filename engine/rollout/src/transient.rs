//! Failures of Vault that pass when another node has taken over.

use vault_api::{CallError, TransportErrorKind};

/// What a standby answers while no node is active (Vault's and OpenBao's words).
pub(crate) const NO_ACTIVE_NODE_ERRORS: [&str; 2] =
    ["active cluster node not found", "local node not active"];

/// What a node answers that has lost the leadership and does not know it yet (raft's words, which Vault passes on).
const LOST_LEADERSHIP: [&str; 2] = ["node is not the leader", "leadership lost while committing log"];

/// Whether a call may have failed on a node that is about to be replaced by another.
pub fn is_transient(error: &CallError) -> bool {
    match error {
        CallError::Sealed { .. } => true,
        CallError::Api(answer) => answer.status.is_server_error(),
        CallError::Transport { kind: trouble, .. } => {
            matches!(
                trouble,
                TransportErrorKind::NoConnection
                    | TransportErrorKind::ConnectionLost
                    | TransportErrorKind::TimedOut
                    | TransportErrorKind::Standby
            )
        }
        _ => false,
    }
}

/// Whether a call failed on a node that another one takes over from. It may have been carried out.
pub(crate) fn is_node_loss(call: &CallError) -> bool {
    match call {
        CallError::Sealed { .. } => true,
        CallError::Api(answer) => {
            LOST_LEADERSHIP.iter().chain(&NO_ACTIVE_NODE_ERRORS).any(|words| answer.has_message(words))
        }
        CallError::Transport { kind: trouble, .. } => {
            matches!(
                trouble,
                TransportErrorKind::NoConnection
                    | TransportErrorKind::ConnectionLost
                    | TransportErrorKind::Standby
            )
        }
        _ => false,
    }
}
