//! The write-ahead log entry of a rotation.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use vault_plugin::framework::{Context, WAL_PREFIX};
use vault_plugin::logical::{Error, Sensitive};

use crate::TokenEngine;
use crate::config::Config;
use crate::sensitive::serialize_exposed;
use crate::upstream::{KeyInfo, NewKey, Parameters};

/// The kind of the write-ahead log entries of rotations.
pub(crate) const ROTATION_KIND: &str = "rotation";

/// A rotation. It contains all that is needed to complete or undo it, also if the connection is changed or deleted in the meantime.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct RotationEntry {
    /// The name of the connection.
    pub(crate) connection: String,
    /// Identifies the rotation in the connection.
    pub(crate) id: String,
    /// The connection before the rotation, with the old key.
    pub(crate) old: Config,
    /// What the API reports about the old key.
    pub(crate) old_key: KeyInfo,
    /// The unique name of the new key at the API.
    pub(crate) name: String,
    /// Unix time in seconds.
    planned_at: i64,
    /// The instance id of the engine that rotates.
    pub(crate) instance_id: String,
    pub(crate) state: RotationState,
}

/// The progress of a rotation.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RotationState {
    /// The API may have created the new key.
    Planned,
    /// The API has created the new key.
    Created(CreatedKey),
    /// The connection has the new key. The old one is not revoked yet.
    Promoted(CreatedKey),
}

/// A key that the API has created for a rotation.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct CreatedKey {
    #[serde(serialize_with = "serialize_exposed")]
    pub(crate) api_key: Sensitive,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
    /// Parameters of the connection that belong to the key.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub(crate) parameters: Parameters,
}

impl RotationState {
    /// Returns the state in the words of `orphans/`.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            RotationState::Planned => "unknown",
            RotationState::Created(_) => "not proven",
            RotationState::Promoted(_) => "old key not revoked",
        }
    }
}

impl From<NewKey> for CreatedKey {
    fn from(key: NewKey) -> CreatedKey {
        let text = |value: &Sensitive| Value::from(value.expose());
        CreatedKey {
            api_key: key.api_key,
            id: key.id,
            parameters: key.config.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
        }
    }
}

impl RotationEntry {
    /// Returns the entry of a rotation that begins now.
    pub(crate) fn new(
        connection: &str,
        old: Config,
        old_key: KeyInfo,
        name: String,
        instance_id: &str,
    ) -> RotationEntry {
        RotationEntry {
            connection: connection.to_owned(),
            id: uuid::Uuid::new_v4().to_string(),
            old,
            old_key,
            name,
            planned_at: Timestamp::now().as_second(),
            instance_id: instance_id.to_owned(),
            state: RotationState::Planned,
        }
    }

    /// Returns the owner of the keys, or an empty string.
    pub(crate) fn key_owner(&self) -> &str {
        self.old_key.owner.as_deref().unwrap_or_default()
    }

    /// Returns the time at which the rotation began.
    pub(crate) fn planned_at(&self) -> Timestamp {
        Timestamp::from_second(self.planned_at).unwrap_or(Timestamp::MIN)
    }

    /// Returns the time since the rotation began.
    pub(crate) fn age(&self, now: Timestamp) -> SignedDuration {
        now.duration_since(self.planned_at())
    }

    /// Returns the connection with the new key, if it exists.
    pub(crate) fn with_key(&self, key: &CreatedKey) -> Config {
        let mut config = self.old.clone();
        config.replace_key(key.api_key.clone(), &key.parameters);
        config
    }

    /// Returns whether the API has returned the present key, or has replaced it in place. Its revocation would revoke the new one too.
    pub(crate) fn is_in_place(&self, key: &CreatedKey) -> bool {
        key.api_key == self.old.api_key || (key.id.is_some() && key.id == self.old_key.id)
    }

    /// Returns the latest time at which the new key expires. `None` if it lives until it is revoked, or if a search finds it.
    pub(crate) fn latest_expiry(&self) -> Option<Timestamp> {
        let seconds = self.old.api().ok()?.longest_life_of_key()?;
        self.planned_at().checked_add(SignedDuration::from_secs(seconds)).ok()
    }
}

/// A stored write-ahead log record.
#[derive(Deserialize)]
struct StoredRecord {
    #[serde(rename = "type")]
    kind: String,
    data: Value,
}

/// Returns the rotation with this write-ahead log id. `None` if it does not exist, or if the entry has another kind.
pub(crate) async fn load(
    context: &Context<TokenEngine>,
    wal_id: &str,
) -> Result<Option<RotationEntry>, Error> {
    let record: Option<StoredRecord> = context.storage().read(&format!("{WAL_PREFIX}{wal_id}")).await?;
    let Some(record) = record.filter(|record| record.kind == ROTATION_KIND) else { return Ok(None) };
    parse(record.data).map(Some)
}

/// Reads the data of an entry.
pub(crate) fn parse(data: Value) -> Result<RotationEntry, Error> {
    serde_json::from_value(data).map_err(|error| {
        Error::internal(format!("the write-ahead log entry of a rotation cannot be read: {error}"))
    })
}

/// Returns the unfinished rotations of a connection, with their write-ahead log ids.
pub(crate) async fn of_connection(
    context: &Context<TokenEngine>,
    connection: &str,
) -> Result<Vec<(String, RotationEntry)>, Error> {
    let mut found = Vec::new();
    for wal_id in context.storage().list(WAL_PREFIX).await? {
        if let Some(entry) = load(context, &wal_id).await?
            && entry.connection == connection
        {
            found.push((wal_id, entry));
        }
    }
    Ok(found)
}
