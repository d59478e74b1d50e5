//! What happens to a credential, said to people and to programs. No value of it is here.

use lease_keeper::{Event, Why};
use serde::Serialize;

use crate::ui::Report;

/// One event.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Told {
    LoggedIn { lease_duration_seconds: u64 },
    LoginRenewed { lease_duration_seconds: u64 },
    Issued { path: String, lease_id: String, lease_duration_seconds: u64, why: Why },
    Renewed { lease_id: String, lease_duration_seconds: u64 },
    Trouble { what: &'static str, error: String },
    Revoked { path: String },
}

impl Told {
    /// `None` for the event that ends everything, which is an error of the command.
    pub(super) fn of(event: &Event, path: &str) -> Option<Told> {
        Some(match event {
            Event::LoggedIn { lasts } => Told::LoggedIn { lease_duration_seconds: lasts.as_secs() },
            Event::LoginRenewed { lasts } => Told::LoginRenewed { lease_duration_seconds: lasts.as_secs() },
            Event::Issued { credential: _, lease_id, lasts, why, warnings: _ } => Told::Issued {
                path: path.to_owned(),
                lease_id: lease_id.clone(),
                lease_duration_seconds: lasts.as_secs(),
                why: *why,
            },
            Event::Renewed { lease_id, lasts } => {
                Told::Renewed { lease_id: lease_id.clone(), lease_duration_seconds: lasts.as_secs() }
            }
            Event::Trouble { what, error } => Told::Trouble { what, error: causes(error) },
            Event::Failed { error: _ } => return None,
        })
    }
}

impl Report for Told {
    fn render(&self) -> String {
        match self {
            Told::LoggedIn { lease_duration_seconds: 0 } => "logged in\n".to_owned(),
            Told::LoggedIn { lease_duration_seconds } => format!("logged in for {lease_duration_seconds}s\n"),
            Told::LoginRenewed { lease_duration_seconds } => {
                format!("renewed the token for {lease_duration_seconds}s\n")
            }
            Told::Issued { path, lease_id, .. } if lease_id.is_empty() => {
                format!("got {path}, which has no lease: it is neither renewed nor revoked\n")
            }
            Told::Issued { path, lease_id, lease_duration_seconds, why } => {
                let because = match why {
                    Why::First => "",
                    Why::EndOfLease => ", as the lease before comes to its end",
                    Why::NotRenewed => ", as the lease before could not be renewed",
                    Why::Refused => ", as the server does not renew the lease before",
                    Why::EndOfLogin => ", as the token before comes to its end",
                };
                format!("got {path} for {lease_duration_seconds}s{because} (lease {lease_id})\n")
            }
            Told::Renewed { lease_id, lease_duration_seconds } => {
                format!("renewed {lease_id} for {lease_duration_seconds}s\n")
            }
            Told::Trouble { what, error } => format!("could not {what}: {error}; trying again\n"),
            Told::Revoked { path } => format!("revoked {path}\n"),
        }
    }
}

/// An error with its causes, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}
