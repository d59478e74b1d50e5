//! A stored static role: its settings, and the credentials that it keeps.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use vault_plugin::framework::Context;
use vault_plugin::logical::{Error, StorageError};

use crate::TokenEngine;
use crate::config;
use crate::role_name::RoleName;
use crate::schedule::{RotationDue, RotationSettings};
use crate::sensitive::StoredSecret;
use crate::stored::Stored;
use crate::upstream::Parameters;
use crate::wal_entry::WalEntry;

/// The storage prefix of static roles. Their entries contain tokens.
pub(crate) const PREFIX: &str = "static-roles/";

/// Added to the lifetime of a token, so that it is still valid if the service is down when the rotation is due.
const OUTAGE_RESERVE: Duration = Duration::from_hours(24);

/// A token with a known expiry is rotated this long before it, or after three quarters of its life if that is later.
const EXPIRY_MARGIN: SignedDuration = SignedDuration::from_hours(1);

/// The settings of a static role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StaticRoleSettings {
    /// The connection that mints its tokens.
    pub(crate) config: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) permissions: Vec<String>,
    /// The parameters that the description of the API declares for a role, as the user has written them.
    #[serde(default, skip_serializing_if = "Parameters::is_empty")]
    pub(crate) parameters: Parameters,
    /// The lifetime of a token, in seconds. Zero derives it from the rotations.
    #[serde(default)]
    pub(crate) ttl: u64,
    #[serde(flatten)]
    pub(crate) rotation: RotationSettings,
}

impl Default for StaticRoleSettings {
    fn default() -> StaticRoleSettings {
        StaticRoleSettings {
            config: config::DEFAULT_NAME.to_owned(),
            permissions: Vec::new(),
            parameters: Parameters::new(),
            ttl: 0,
            rotation: RotationSettings::default(),
        }
    }
}

/// A static role in the format in which it is stored. One entry holds all of it, so that a rotation is one write.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StaticRole {
    pub(crate) settings: StaticRoleSettings,
    pub(crate) current: StaticCredential,
    /// The credential before the last rotation. It stays valid until the next one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) previous: Option<StaticCredential>,
}

impl Stored for StaticRole {
    const SEAL_WRAP: bool = true;
}

/// A token that a static role keeps.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StaticCredential {
    pub(crate) token: StoredSecret,
    /// The other outputs of the API.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) outputs: Vec<(String, StoredSecret)>,
    /// Whether the API uses the permissions of the mint.
    pub(crate) sends_permissions: bool,
    /// Unix time in seconds.
    pub(crate) minted_at: i64,
    /// The expiry that the API has reported, in Unix time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<i64>,
    /// The write-ahead log entry of its mint. It is written again before the token is revoked.
    pub(crate) entry: WalEntry,
}

impl StaticCredential {
    pub(crate) fn minted_at(&self) -> Timestamp {
        Timestamp::from_second(self.minted_at).unwrap_or_default()
    }

    /// Returns when the token must be replaced because it expires, if its expiry is known.
    fn replace_by(&self) -> Option<Timestamp> {
        let expires = Timestamp::from_second(self.expires_at?).ok()?;
        let life = expires.duration_since(self.minted_at());
        let margin = EXPIRY_MARGIN.min(life / 4);
        expires.checked_sub(margin).ok()
    }

    /// The name of the token at the service.
    pub(crate) fn name(&self) -> &str {
        &self.entry.request.name
    }
}

impl StaticRoleSettings {
    /// Checks that the role has rotations, and that its tokens outlive them.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), Error> {
        if !self.rotation.is_set() {
            return Err(Error::invalid(
                "rotation_period or rotation_schedule is required, such as rotation_period=24h",
            ));
        }
        let longest = self.rotation.longest_use(now).unwrap_or_default();
        if self.ttl > 0 && self.ttl < longest.as_secs() {
            return Err(Error::invalid(format!(
                "ttl must be at least {}s, not {}s: a token is used until the rotation after the next one",
                longest.as_secs(),
                self.ttl
            )));
        }
        Ok(())
    }

    /// Returns the lifetime with which a token is requested.
    pub(crate) fn life(&self, now: Timestamp) -> Duration {
        if self.ttl > 0 {
            return Duration::from_secs(self.ttl);
        }
        self.rotation.longest_use(now).unwrap_or_default().saturating_add(OUTAGE_RESERVE)
    }
}

impl StaticRole {
    /// Returns whether a rotation is due: by its period or schedule, or because the current token expires before that.
    pub(crate) fn due(&self, now: Timestamp) -> RotationDue {
        let due = self.settings.rotation.due(self.current.minted_at(), now);
        match (due, self.current.replace_by()) {
            (RotationDue::Never, _) | (_, None) => due,
            (_, Some(end)) if end <= now => RotationDue::Now,
            (RotationDue::At(next), Some(end)) => RotationDue::At(next.min(end)),
            (RotationDue::Now, Some(_)) => due,
        }
    }

    /// Returns whether the role keeps the token with this name.
    pub(crate) fn keeps(&self, token: &str) -> bool {
        self.current.name() == token
            || self.previous.as_ref().is_some_and(|previous| previous.name() == token)
    }
}

/// Returns the static role with this name. It is not cached: its entry contains tokens, and its rotation must read what is stored.
pub(crate) async fn load(
    context: &Context<TokenEngine>,
    name: &RoleName,
) -> Result<Option<StaticRole>, StorageError> {
    context.storage().read(&storage_key(name)).await
}

/// Returns whether the static role `role` keeps the token with this name. The caller holds the lock of the role.
pub(crate) async fn is_kept(
    context: &Context<TokenEngine>,
    role: &RoleName,
    token: &str,
) -> Result<bool, StorageError> {
    Ok(load(context, role).await?.is_some_and(|role| role.keeps(token)))
}

pub(crate) fn storage_key(name: &RoleName) -> String {
    format!("{PREFIX}{name}")
}
