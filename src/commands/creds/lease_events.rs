//! What happens to a credential, said to people and to programs. No value of it is here.

use lease_keeper::{Event, IssueReason};
use rollout::error_chain;
use serde::Serialize;

use crate::ui::Report;

/// One event.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum LeaseEvent {
    LoggedIn { lease_duration_seconds: u64 },
    LoginRenewed { lease_duration_seconds: u64 },
    Issued { path: String, lease_id: String, lease_duration_seconds: u64, reason: IssueReason },
    Renewed { lease_id: String, lease_duration_seconds: u64 },
    Retrying { operation: &'static str, error: String },
    Revoked { path: String },
}

impl LeaseEvent {
    /// `None` for the event that ends everything, which is an error of the command.
    pub(super) fn from_event(event: &Event, path: &str) -> Option<LeaseEvent> {
        Some(match event {
            Event::LoggedIn { ttl: lasts } => {
                LeaseEvent::LoggedIn { lease_duration_seconds: lasts.as_secs() }
            }
            Event::LoginRenewed { ttl: lasts } => {
                LeaseEvent::LoginRenewed { lease_duration_seconds: lasts.as_secs() }
            }
            Event::Issued { credential: _, lease_id, ttl: lasts, reason, warnings: _ } => {
                LeaseEvent::Issued {
                    path: path.to_owned(),
                    lease_id: lease_id.clone(),
                    lease_duration_seconds: lasts.as_secs(),
                    reason: *reason,
                }
            }
            Event::Renewed { lease_id, ttl: lasts } => {
                LeaseEvent::Renewed { lease_id: lease_id.clone(), lease_duration_seconds: lasts.as_secs() }
            }
            Event::RetryableError { operation, error } => {
                LeaseEvent::Retrying { operation, error: error_chain(error) }
            }
            Event::Failed { error: _ } => return None,
        })
    }
}

impl Report for LeaseEvent {
    fn render(&self) -> String {
        match self {
            LeaseEvent::LoggedIn { lease_duration_seconds: 0 } => "logged in\n".to_owned(),
            LeaseEvent::LoggedIn { lease_duration_seconds } => {
                format!("logged in for {lease_duration_seconds}s\n")
            }
            LeaseEvent::LoginRenewed { lease_duration_seconds } => {
                format!("renewed the token for {lease_duration_seconds}s\n")
            }
            LeaseEvent::Issued { path, lease_id, .. } if lease_id.is_empty() => {
                format!("got {path}, which has no lease: it is neither renewed nor revoked\n")
            }
            LeaseEvent::Issued { path, lease_id, lease_duration_seconds, reason: why } => {
                let because = match why {
                    IssueReason::First => "",
                    IssueReason::EndOfLease => ", as the lease before comes to its end",
                    IssueReason::NotRenewed => ", as the lease before could not be renewed",
                    IssueReason::Refused => ", as the server does not renew the lease before",
                    IssueReason::EndOfLogin => ", as the token before comes to its end",
                };
                format!("got {path} for {lease_duration_seconds}s{because} (lease {lease_id})\n")
            }
            LeaseEvent::Renewed { lease_id, lease_duration_seconds } => {
                format!("renewed {lease_id} for {lease_duration_seconds}s\n")
            }
            LeaseEvent::Retrying { operation, error } => {
                format!("could not {operation}: {error}; trying again\n")
            }
            LeaseEvent::Revoked { path } => format!("revoked {path}\n"),
        }
    }
}
