//! `orphans/`: tokens that may live at an API without a lease, because the answer to their creation was lost.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vault_plugin::framework::{Context, Data, Field, ListResponse, NoFields, Path};
use vault_plugin::logical::{Error, Operation};

use crate::TokenEngine;
use crate::role_name::{self, RoleName};
use crate::telemetry::{MeasuredOperation, instrument};
use crate::wal_entry::{MINT_KIND, WalEntry, WalState};

/// Where write-ahead entries are stored.
const WAL_PREFIX: &str = "wal/";

pub(crate) fn list_path() -> Path<TokenEngine> {
    Path::new("orphans/?")
        .help(
            "List tokens that could not be settled.",
            "Lists mints whose result is unknown, by the identifiers of their write-ahead entries: tokens that may live at the service \
             without a lease. The host rolls them back by itself; what stays here for long needs a person.",
        )
        .on(Operation::List, "List the orphans.", instrument(MeasuredOperation::OrphansList, list))
}

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new(format!("orphans/{}", role_name::PATTERN))
        .help(
            "Manage a token that could not be settled.",
            "Shows where the token may live, under which name and until when. A delete closes the entry: do it once the token is \
             revoked at the service, or certainly does not exist.",
        )
        .field("name", Field::string().required().describe("Identifier of the write-ahead entry."))
        .on(Operation::Read, "Show an orphan.", instrument(MeasuredOperation::OrphansRead, read))
        .on(Operation::Delete, "Close an orphan that is revoked.", instrument(MeasuredOperation::OrphansDelete, delete))
}

#[derive(Deserialize)]
struct OrphanRequest {
    name: RoleName,
}

/// A stored write-ahead entry.
#[derive(Deserialize)]
struct StoredWalEntry {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
    created_at: i64,
}

/// What a read shows. Nothing in it is secret.
#[derive(Serialize)]
struct OrphanResponse {
    token_name: String,
    api_endpoint: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    account: String,
    state: &'static str,
    planned_at: Option<String>,
    /// When the token ends at the latest; null if only a revocation ends it.
    ends_by: Option<String>,
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
    let shown = |at: Timestamp| at.to_string();
    Ok(entry.map(|entry| {
        Data(OrphanResponse {
            api_endpoint: entry.api_endpoint.to_string(),
            state: match entry.state {
                WalState::Planned => "unknown",
                WalState::Minted { .. } => "not revoked",
                WalState::Unrecognized => "not found",
            },
            planned_at: entry.planned_at().map(shown),
            ends_by: entry.latest_expiry().map(shown),
            token_name: entry.request.name,
            account: entry.account,
        })
    }))
}

async fn delete(context: Context<TokenEngine>, request: OrphanRequest) -> Result<(), Error> {
    let id = request.name.to_string();
    match load(&context, &id).await? {
        Some(entry) => {
            context
                .logger()
                .warn(format!("the entry of token {:?} was closed by request", entry.request.name));
            context.wal_delete(&id).await
        }
        None => Ok(()),
    }
}

/// The entry, if it is one of a mint that is not under way any more.
async fn load(context: &Context<TokenEngine>, id: &str) -> Result<Option<WalEntry>, Error> {
    let record: Option<StoredWalEntry> = context.storage().read(&format!("{WAL_PREFIX}{id}")).await?;
    let Some(record) = record.filter(|record| record.kind == MINT_KIND) else { return Ok(None) };
    let age = Timestamp::now().as_second().saturating_sub(record.created_at);
    if age < i64::try_from(crate::ROLLBACK_MIN_AGE.as_secs()).unwrap_or(i64::MAX) {
        return Ok(None);
    }
    let entry = serde_json::from_value(record.data);
    entry
        .map(Some)
        .map_err(|error| Error::internal(format!("the write-ahead entry {id} cannot be read: {error}")))
}
