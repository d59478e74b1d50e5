//! Errors that disappear when another node becomes active.

use vault_api::{CallError, TransportErrorKind};

/// Messages of a standby while no node is active, of Vault and OpenBao.
pub(crate) const NO_ACTIVE_NODE_ERRORS: [&str; 2] =
    ["active cluster node not found", "local node not active"];

/// Messages of raft from a node that has just lost the leadership, which Vault returns.
const LOST_LEADERSHIP: [&str; 2] = ["node is not the leader", "leadership lost while committing log"];

/// Whether a call may succeed when another node is active.
pub fn is_transient(error: &CallError) -> bool {
    match error {
        CallError::Sealed { .. } => true,
        CallError::Api(answer) => answer.status.is_server_error(),
        CallError::Transport { kind, .. } => {
            matches!(
                kind,
                TransportErrorKind::NoConnection
                    | TransportErrorKind::ConnectionLost
                    | TransportErrorKind::TimedOut
                    | TransportErrorKind::Standby
            )
        }
        _ => false,
    }
}

/// Whether a call failed because its node is no longer active. The node may have executed the request.
pub(crate) fn is_node_loss(call: &CallError) -> bool {
    match call {
        CallError::Sealed { .. } => true,
        CallError::Api(answer) => {
            LOST_LEADERSHIP.iter().chain(&NO_ACTIVE_NODE_ERRORS).any(|message| answer.has_message(message))
        }
        CallError::Transport { kind, .. } => {
            matches!(
                kind,
                TransportErrorKind::NoConnection
                    | TransportErrorKind::ConnectionLost
                    | TransportErrorKind::Standby
            )
        }
        _ => false,
    }
}
