//! `orphans/`: tokens that may exist at an API without a lease, because the response to their creation was lost, and keys of unfinished
//! rotations.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vault_plugin::framework::{Context, Data, Field, ListResponse, NoFields, Path, WAL_PREFIX};
use vault_plugin::logical::{Error, Operation};

use crate::TokenEngine;
use crate::role_name::{self, RoleName};
use crate::rotation::{ROTATION_KIND, RotationEntry};
use crate::telemetry::{MeasuredOperation, instrument};
use crate::wal_entry::{MINT_KIND, WalEntry, WalState};

pub(crate) fn list_path() -> Path<TokenEngine> {
    Path::new("orphans/?")
        .help(
            "List tokens whose mint has an unknown result.",
            "Lists the ids of the write-ahead log entries of mints whose result is unknown. Their tokens may exist at the service \
             without a lease. The host rolls the entries back periodically. An entry that no rollback can close needs manual intervention.",
        )
        .on(Operation::List, "List the orphans.", instrument(MeasuredOperation::OrphansList, list))
}

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new(format!("orphans/{}", role_name::PATTERN))
        .help(
            "Manage a token whose mint has an unknown result.",
            "Shows the service where the token may exist, its name and its latest expiry. A delete closes the entry. Delete it after \
             the token is revoked at the service, or if it does not exist there.",
        )
        .field("name", Field::string().required().describe("Id of the write-ahead log entry."))
        .on(Operation::Read, "Show an orphan.", instrument(MeasuredOperation::OrphansRead, read))
        .on(Operation::Delete, "Close an orphan that is revoked.", instrument(MeasuredOperation::OrphansDelete, delete))
}

#[derive(Deserialize)]
struct OrphanRequest {
    name: RoleName,
}

/// A stored write-ahead log entry.
#[derive(Deserialize)]
struct StoredWalEntry {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
    created_at: i64,
}

/// The response to a read. It contains no secret.
#[derive(Serialize)]
struct OrphanResponse {
    token_name: String,
    api_endpoint: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    account: String,
    state: &'static str,
    planned_at: Option<String>,
    /// The latest time at which the token expires. Null if it never expires.
    ends_by: Option<String>,
    /// The connection whose key is rotated, if the token is such a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<String>,
}

async fn list(context: Context<TokenEngine>, _: NoFields) -> Result<ListResponse, Error> {
    let mut ids = Vec::new();
    for id in context.storage().list(WAL_PREFIX).await? {
        if load(&context, &id).await?.is_some() {
            ids.push(id);
        }
    }
    Ok(ListResponse(ids))
}

async fn read(
    context: Context<TokenEngine>,
    request: OrphanRequest,
) -> Result<Option<Data<OrphanResponse>>, Error> {
    let entry = load(&context, &request.name.to_string()).await?;
    Ok(entry.map(|entry| Data(entry.into())))
}

/// An entry whose token or key may be live.
enum Orphan {
    Token(Box<WalEntry>),
    /// The new key of a rotation, or the old one.
    Key(Box<RotationEntry>),
}

impl Orphan {
    fn name(&self) -> &str {
        match self {
            Orphan::Token(entry) => &entry.request.name,
            Orphan::Key(entry) => &entry.name,
        }
    }
}

impl From<Orphan> for OrphanResponse {
    fn from(orphan: Orphan) -> OrphanResponse {
        let to_text = |at: Timestamp| at.to_string();
        match orphan {
            Orphan::Token(entry) => OrphanResponse {
                api_endpoint: entry.api_endpoint.to_string(),
                state: match entry.state {
                    WalState::Planned => "unknown",
                    WalState::Minted { .. } => "not revoked",
                    WalState::Unrecognized => "not found",
                },
                planned_at: entry.planned_at().map(to_text),
                ends_by: entry.latest_expiry().map(to_text),
                token_name: entry.request.name,
                account: entry.account,
                connection: None,
            },
            Orphan::Key(entry) => OrphanResponse {
                api_endpoint: entry.old.api_endpoint.to_string(),
                state: entry.state.label(),
                planned_at: Some(to_text(entry.planned_at())),
                ends_by: entry.latest_expiry().map(to_text),
                token_name: entry.name,
                account: entry.old_key.account.unwrap_or_default(),
                connection: Some(entry.connection),
            },
        }
    }
}

async fn delete(context: Context<TokenEngine>, request: OrphanRequest) -> Result<(), Error> {
    let id = request.name.to_string();
    match load(&context, &id).await? {
        Some(entry) => {
            context.logger().warn(format!(
                "the write-ahead log entry of token {:?} was deleted by request",
                entry.name()
            ));
            context.wal_delete(&id).await
        }
        None => Ok(()),
    }
}

/// Returns the entry of a mint or a rotation, unless its request may still run.
async fn load(context: &Context<TokenEngine>, id: &str) -> Result<Option<Orphan>, Error> {
    let record: Option<StoredWalEntry> = context.storage().read(&format!("{WAL_PREFIX}{id}")).await?;
    let Some(record) = record else { return Ok(None) };
    let age = Timestamp::now().as_second().saturating_sub(record.created_at);
    if age < i64::try_from(crate::ROLLBACK_MIN_AGE.as_secs()).unwrap_or(i64::MAX) {
        return Ok(None);
    }
    let orphan = match &*record.kind {
        MINT_KIND => serde_json::from_value(record.data).map(Orphan::Token),
        ROTATION_KIND => serde_json::from_value(record.data).map(Orphan::Key),
        _ => return Ok(None),
    };
    orphan
        .map(Some)
        .map_err(|error| Error::internal(format!("cannot read the write-ahead log entry {id}: {error}")))
}
