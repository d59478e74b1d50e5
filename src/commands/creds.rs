//! `creds`: credentials of any secrets engine, and their leases.

mod delivery;
mod exec;
mod exec_child;
mod lease_events;
mod login;
mod session;
mod signals;
mod watch;

use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::{Map, Value};
use vault_api::{leases, logical};

pub use self::exec::{ExecArgs, run as exec};
pub use self::watch::{WatchArgs, run as watch};

use crate::context::Context;
use crate::duration;
use crate::error::CommandError;
use crate::ui::{Report, Ui};

/// Subcommands of `creds`.
#[derive(Debug, Subcommand)]
pub enum CredsCommand {
    /// Get a credential
    Get(GetArgs),
    /// Renew a lease
    Renew(RenewArgs),
    /// Revoke a lease, and wait until it is revoked
    Revoke(RevokeArgs),
    /// Run a command with a credential, which is revoked when it exits
    Exec(Box<ExecArgs>),
    /// Write a credential to files, and keep it valid until interrupted
    Watch(WatchArgs),
}

/// Arguments of `creds get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// Path with the mount, such as custom/creds/developer
    path: String,
    /// Print the raw value of one field
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
}

/// Arguments of `creds renew`.
#[derive(Debug, Args)]
pub struct RenewArgs {
    /// Id of the lease
    lease_id: String,
    /// Requested lease extension
    ///
    /// It counts from now. The server may grant less.
    #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
    increment: Option<Duration>,
}

/// Arguments of `creds revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Id of the lease
    lease_id: String,
}

/// A credential.
#[derive(Serialize)]
pub struct CredentialReport {
    path: String,
    data: Map<String, Value>,
    lease_id: String,
    lease_duration_seconds: u64,
    renewable: bool,
    #[serde(skip)]
    field: Option<String>,
}

/// A renewed lease.
#[derive(Debug, Serialize)]
pub struct RenewReport {
    lease_id: String,
    lease_duration_seconds: u64,
    renewable: bool,
}

/// A revoked lease.
#[derive(Debug, Serialize)]
pub struct RevokeReport {
    lease_id: String,
    revoked: bool,
}

/// Gets a credential.
///
/// # Errors
/// If the server refuses, the path returns nothing, or there is no such field.
pub async fn get(args: GetArgs, context: &Context, ui: &mut Ui) -> Result<CredentialReport, CommandError> {
    let GetArgs { path, field } = args;
    let client = context.client()?;
    let reply = client
        .send(&logical::Read { path: path.clone() })
        .await
        .map_err(|error| CommandError::failed(format!("could not read {path}")).caused_by(error))?
        .ok_or_else(|| {
            CommandError::failed(format!("nothing found at {path}"))
                .hint("The path begins with the mount, as for `vault read`: custom/creds/developer.")
        })?;
    reply.warnings.iter().for_each(|warning| ui.warn(warning));
    let data = reply.data.0;
    let field = match field {
        Some(name) => match data.get(&name).map(raw_value) {
            Some(value) => Some(value),
            None => {
                let names: Vec<&str> = data.keys().map(String::as_str).collect();
                let mut error = CommandError::failed(format!("{path} has no field {name}"))
                    .hint(format!("It has: {}.", names.join(", ")));
                if !reply.lease_id.is_empty() {
                    let revoke = leases::Revoke { lease_id: reply.lease_id.clone() };
                    error = error.hint(match client.send(&revoke).await {
                        Ok(_) => "The issued credential was revoked.".to_owned(),
                        Err(failed) => format!("The lease {} could not be revoked: {failed}", reply.lease_id),
                    });
                }
                return Err(error);
            }
        },
        None => None,
    };
    Ok(CredentialReport {
        path,
        data,
        lease_id: reply.lease_id,
        lease_duration_seconds: reply.lease_duration.as_secs(),
        renewable: reply.renewable,
        field,
    })
}

/// Renews a lease.
///
/// # Errors
/// If the server refuses.
pub async fn renew(args: RenewArgs, context: &Context, ui: &mut Ui) -> Result<RenewReport, CommandError> {
    let RenewArgs { lease_id, increment } = args;
    let renewed = context
        .client()?
        .send(&leases::Renew { lease_id: lease_id.clone(), increment })
        .await
        .map_err(|error| CommandError::failed(format!("could not renew {lease_id}")).caused_by(error))?;
    renewed.warnings.iter().for_each(|warning| ui.warn(warning));
    Ok(RenewReport {
        lease_id: renewed.lease_id,
        lease_duration_seconds: renewed.lease_duration.as_secs(),
        renewable: renewed.renewable,
    })
}

/// Revokes a lease.
///
/// # Errors
/// If the server refuses, or the plugin cannot revoke the secret.
pub async fn revoke(args: RevokeArgs, context: &Context) -> Result<RevokeReport, CommandError> {
    let RevokeArgs { lease_id } = args;
    context
        .client()?
        .send(&leases::Revoke { lease_id: lease_id.clone() })
        .await
        .map_err(|error| CommandError::failed(format!("could not revoke {lease_id}")).caused_by(error))?;
    Ok(RevokeReport { lease_id, revoked: true })
}

impl Report for CredentialReport {
    fn render(&self) -> String {
        if let Some(field) = &self.field {
            return field.clone();
        }
        let mut rows: Vec<(&str, String)> =
            self.data.iter().map(|(key, value)| (key.as_str(), raw_value(value))).collect();
        if !self.lease_id.is_empty() {
            rows.push(("lease_id", self.lease_id.clone()));
            rows.push(("lease_duration", format!("{}s", self.lease_duration_seconds)));
            rows.push(("lease_renewable", self.renewable.to_string()));
        }
        let width = rows.iter().map(|(key, _)| key.len()).max().unwrap_or_default();
        rows.iter().fold(String::new(), |mut text, (key, value)| {
            let _ = writeln!(text, "{key:width$}  {value}");
            text
        })
    }

    fn is_raw(&self) -> bool {
        self.field.is_some()
    }
}

impl Report for RenewReport {
    fn render(&self) -> String {
        format!("Renewed {} for {}s\n", self.lease_id, self.lease_duration_seconds)
    }
}

impl Report for RevokeReport {
    fn render(&self) -> String {
        format!("Revoked {}\n", self.lease_id)
    }
}

fn raw_value(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
