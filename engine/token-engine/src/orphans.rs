//! `orphans/`: tokens that may exist at an API without a lease, because the response to their creation was lost, and keys of unfinished
//! rotations.

mod gauge;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vault_plugin::framework::{Context, Data, Field, ListWithInfo, NoFields, Path, ResponseDoc, WAL_PREFIX};
use vault_plugin::logical::{Error, Operation, Request, Response};

pub(crate) use self::gauge::{OrphanAges, OrphanSummary};

use crate::TokenEngine;
use crate::config;
use crate::endpoint::Endpoint;
use crate::events::{self, SendEvents, event};
use crate::role_name::{self, RoleName};
use crate::rotation::{ROTATION_KIND, RotationEntry};
use crate::telemetry::{MeasuredOperation, instrument};
use crate::wal_entry::{MINT_KIND, WalEntry, WalState};

pub(crate) fn list_path() -> Path<TokenEngine> {
    Path::new("orphans/?")
        .help(
            "List the tokens whose mint has an unknown result.",
            "Lists the ids of the write-ahead log entries of mints whose result is unknown, and of unfinished rotations of keys. Their tokens \
             may exist at the service without a lease. The host rolls the entries back every minute. An entry that no rollback can close needs a person.",
        )
        .on(Operation::List, "List the orphans.", instrument(MeasuredOperation::OrphansList, list))
        .response(
            ResponseDoc::new(200, "The ids of the orphans. Without orphans the host responds with 404.")
                .field("keys", Field::strings().describe("Ids of the write-ahead log entries."))
                .field("key_info", Field::map().describe("What a read of each orphan shows, by its id.")),
        )
}

pub(crate) fn path() -> Path<TokenEngine> {
    Path::new(format!("orphans/{}", role_name::PATTERN))
        .help(
            "Manage a token whose mint has an unknown result.",
            "Shows the service where the token may exist, its name and its latest expiry. A delete closes the entry without any proof: \
             the engine forgets the token. So delete it only after the token is revoked at the service, or if it does not exist there. \
             The log names the caller.",
        )
        .field("name", Field::string().required().describe("Specifies the id of the write-ahead log entry."))
        .on(Operation::Read, "Show an orphan.", instrument(MeasuredOperation::OrphansRead, read))
        .response(
            ResponseDoc::new(200, "The token that may exist.")
                .field("token_name", Field::string().describe("Name of the token at the service."))
                .field("api_endpoint", Field::string().describe("URL of the service."))
                .field("account", Field::string().describe("Account of the token. Omitted if it is not set."))
                .field(
                    "state",
                    Field::string()
                        .allowed(["unknown", "not revoked", "not found", "not proven", "old key not revoked"])
                        .describe(
                            "What is known. unknown: it may have been created. not revoked: it was created, and its revocation has failed. \
                             not found: the service does not recognize its request. not proven: the key of a rotation was created and is \
                             not used yet. old key not revoked: the connection has the new key of a rotation.",
                        ),
                )
                .field("planned_at", Field::time().describe("Time of the request. Null if it is not known."))
                .field(
                    "ends_by",
                    Field::time().describe("Latest time at which the token expires. Null if it never expires."),
                )
                .field(
                    "connection",
                    Field::string().describe("Connection whose key is rotated. Omitted for a token."),
                ),
        )
        .on(Operation::Delete, "Close an orphan that is revoked.", instrument(MeasuredOperation::OrphansDelete, delete))
        .response(ResponseDoc::new(204, "There is no such orphan."))
        .response(ResponseDoc::new(200, "The orphan is closed. A warning names its token."))
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

/// What a list shows of an orphan.
#[derive(Serialize)]
#[serde(untagged)]
enum ListedOrphan {
    Readable(OrphanResponse),
    Unreadable { state: &'static str },
}

/// An entry whose token or key may be live.
enum Orphan {
    Token(Box<WalEntry>),
    /// The new key of a rotation, or the old one.
    Key(Box<RotationEntry>),
}

impl Orphan {
    fn endpoint(&self) -> &Endpoint {
        match self {
            Orphan::Token(entry) => &entry.api_endpoint,
            Orphan::Key(entry) => &entry.old.api_endpoint,
        }
    }
}

impl StoredWalEntry {
    fn parse(self, id: &str) -> Result<Orphan, Error> {
        let orphan = match &*self.kind {
            ROTATION_KIND => serde_json::from_value(self.data).map(Orphan::Key),
            _ => serde_json::from_value(self.data).map(Orphan::Token),
        };
        orphan
            .map_err(|error| Error::internal(format!("cannot read the write-ahead log entry {id}: {error}")))
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

async fn list(context: Context<TokenEngine>, _: NoFields) -> Result<ListWithInfo<ListedOrphan>, Error> {
    let mut orphans = Vec::new();
    for id in context.storage().list(WAL_PREFIX).await? {
        if let Some(record) = load_record(&context, &id).await? {
            // One unreadable entry must not hide the others.
            let entry = record.parse(&id);
            let listed = entry.map_or(ListedOrphan::Unreadable { state: "unreadable" }, |entry| {
                ListedOrphan::Readable(entry.into())
            });
            orphans.push((id, listed));
        }
    }
    Ok(ListWithInfo(orphans))
}

async fn read(
    context: Context<TokenEngine>,
    request: OrphanRequest,
) -> Result<Option<Data<OrphanResponse>>, Error> {
    let id = request.name.to_string();
    let entry = load_record(&context, &id).await?.map(|record| record.parse(&id)).transpose()?;
    Ok(entry.map(|entry| Data(entry.into())))
}

/// Closes an entry on the word of a person. The log line and the event remain as its record.
async fn delete(context: Context<TokenEngine>, request: OrphanRequest) -> Result<Option<Response>, Error> {
    let id = request.name.to_string();
    let Some(record) = load_record(&context, &id).await? else { return Ok(None) };
    context.wal_delete(&id).await?;
    let (token, name, send_events) = match record.parse(&id) {
        Ok(orphan) => {
            let send_events = config::send_events_of(context.storage(), orphan.endpoint()).await;
            let OrphanResponse { token_name: name, api_endpoint, ends_by, .. } = orphan.into();
            let until = ends_by.unwrap_or_else(|| "it is revoked".to_owned());
            let token = format!(
                "token {name:?} at {api_endpoint} is no longer tracked; if it was created, it may be live until {until}"
            );
            // The entry is deleted already, so a failure of this read is ignored.
            (token, Some(name), send_events.unwrap_or_default())
        }
        Err(error) => (format!("a token is no longer tracked ({error})"), None, SendEvents::default()),
    };
    events::send(&context, send_events, || {
        let deleted = event(&context, "orphan-delete", format!("orphans/{id}")).with("modified", "true");
        name.into_iter().fold(deleted, |deleted, name| deleted.with("token_name", name))
    });
    context.logger().warn(format!(
        "the write-ahead log entry {id} was deleted by {}: {token}",
        caller(context.request())
    ));
    Ok(Some(Response { warnings: vec![token], ..Response::default() }))
}

/// Describes the sender of a request. The id of the request finds it in the audit log of the host.
fn caller(request: &Request) -> String {
    let mut caller = format!("{:?}", request.display_name);
    if !request.entity_id.is_empty() {
        caller.push_str(&format!(" (entity {})", request.entity_id));
    }
    if let Some(connection) = &request.connection {
        caller.push_str(&format!(" from {}", connection.remote_addr));
    }
    caller.push_str(&format!(" in request {}", request.id));
    caller
}

/// Returns the entry of a mint or a rotation, unless its request may still run.
async fn load_record(context: &Context<TokenEngine>, id: &str) -> Result<Option<StoredWalEntry>, Error> {
    let record: Option<StoredWalEntry> = context.storage().read(&format!("{WAL_PREFIX}{id}")).await?;
    let min_age = i64::try_from(crate::ROLLBACK_MIN_AGE.as_secs()).unwrap_or(i64::MAX);
    let now = Timestamp::now().as_second();
    Ok(record.filter(|record| {
        [MINT_KIND, ROTATION_KIND].contains(&&*record.kind)
            && now.saturating_sub(record.created_at) >= min_age
    }))
}
