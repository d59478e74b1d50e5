//! The write-ahead log entry of a mint.
//!
//! An entry is in one of three states:
//! - `planned` before the mint is sent. It contains the data with which a rollback repeats the request, or finds the token by its name.
//! - `minted` after the response. It contains how the token is revoked.
//! - `forgotten` after a repeated request has created another token: the first one can no longer be found by the request.
//!
//! An entry of the default description has the fields of the first version.

use std::borrow::Cow;
use std::time::SystemTime;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::fmt::Hyphenated;

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::name_template::NameLimits;
use crate::role_name::RoleName;
use crate::upstream::{LatestExpiry, Recovery, RecoveryPlan, Revocation};

/// The kind of the write-ahead log entries of mints.
pub(crate) const MINT_KIND: &str = "mint";

/// The maximum difference between the clocks of the nodes and of the service.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(10);

/// A write-ahead log entry.
///
/// Versions up to 0.1.0 read the fields `api_endpoint` and `order`, so these must stay: such a version replays the request of an entry in
/// any state, and revokes the returned token. An entry of such a version has neither `planned_at` nor the body of its request. Its time is
/// that of its record, and it is replayed with the body that its version would send.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct WalEntry {
    pub(crate) api_endpoint: Endpoint,
    /// The account of the token. Empty without one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) account: String,
    #[serde(rename = "order")]
    pub(crate) request: MintRequest,
    /// Unix time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    planned_at: Option<i64>,
    #[serde(default)]
    pub(crate) state: WalState,
    /// How a rollback finds and revokes the token. `None` for the default description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Box<RecoveryPlan>>,
    /// The latest time at which the token expires, in Unix time. `None` for the default description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ends_at: Option<i64>,
    /// The static role that keeps the token. `None` for the token of a lease.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) static_role: Option<String>,
}

/// What keeps a minted token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TokenOwner {
    Lease,
    StaticRole(RoleName),
}

/// The request for a token.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct MintRequest {
    /// Its unique name.
    pub(crate) name: String,
    pub(crate) permissions: Vec<String>,
    /// In seconds.
    pub(crate) ttl: u64,
    /// The key by which the API recognizes a repeated request.
    pub(crate) idempotency_key: String,
    /// The body of a request that can be repeated. The same bytes are sent again, because services reject a key with a different body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) body: Option<String>,
}

/// The progress of the mint of a write-ahead log entry.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WalState {
    /// The API may have created the token.
    #[default]
    Planned,
    /// The API has created the token.
    Minted {
        /// How the token is revoked.
        revocation: Box<Revocation>,
    },
    /// The API may have created the token, and no longer recognizes the request.
    #[serde(rename = "forgotten")]
    Unrecognized,
}

impl MintRequest {
    /// Returns a request with a new idempotency key.
    pub(crate) fn new(name: String, permissions: &[String], ttl: u64) -> MintRequest {
        let idempotency_key = uuid::Uuid::new_v4().to_string();
        MintRequest { name, permissions: permissions.to_vec(), ttl, idempotency_key, body: None }
    }
}

/// Returns a unique name for a token of a role, or for the key of a connection.
pub(crate) fn unique_name(owner: &RoleName, limits: NameLimits) -> String {
    let NameLimits { max_length, dns_label } = limits;
    let unique = uuid::Uuid::new_v4();
    let mut prefix = format!("vault-{owner}");
    if dns_label {
        let plain =
            |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_lowercase() } else { '-' };
        prefix = prefix.chars().map(plain).collect();
    }
    // Names of roles are ASCII, so truncating cannot split a character.
    let max_length = max_length.or(dns_label.then_some(63)).unwrap_or(usize::MAX);
    prefix.truncate(max_length.saturating_sub(Hyphenated::LENGTH + 1));
    format!("{}-{unique}", prefix.trim_end_matches('-'))
}

impl WalEntry {
    /// Returns the entry of a request before it is sent.
    pub(crate) fn new(
        config: &Config,
        account: Cow<'_, str>,
        request: MintRequest,
        now: Timestamp,
        plan: Option<Box<RecoveryPlan>>,
        end: LatestExpiry,
    ) -> WalEntry {
        let ends_at = match end {
            LatestExpiry::At(end) if plan.is_some() => Some(end.as_second()),
            _ => None,
        };
        WalEntry {
            api_endpoint: config.api_endpoint.clone(),
            account: account.into_owned(),
            request,
            planned_at: Some(now.as_second()),
            state: WalState::Planned,
            plan,
            ends_at,
            static_role: None,
        }
    }

    /// Sets what keeps the token.
    pub(crate) fn owned_by(self, owner: TokenOwner) -> WalEntry {
        let static_role = match owner {
            TokenOwner::Lease => None,
            TokenOwner::StaticRole(name) => Some(name.to_string()),
        };
        WalEntry { static_role, ..self }
    }

    /// Returns the entry after the response of the API.
    pub(crate) fn into_minted(self, revocation: Revocation) -> WalEntry {
        WalEntry { state: WalState::Minted { revocation: Box::new(revocation) }, ..self }
    }

    /// Returns the entry of another token, which the API has just created because it did not recognize the request.
    pub(crate) fn for_duplicate(&self, revocation: Revocation) -> WalEntry {
        let now = Timestamp::now().as_second();
        let later = now - self.planned_at.unwrap_or(now);
        let ends_at = self.ends_at.map(|end| end.saturating_add(later));
        WalEntry { planned_at: Some(now), ends_at, ..self.clone() }.into_minted(revocation)
    }

    /// Returns the entry after the API has created another token for its request.
    pub(crate) fn into_unrecognized(self) -> WalEntry {
        WalEntry { state: WalState::Unrecognized, ..self }
    }

    /// Returns whether this expiry is later than that of any token that the request can have created when it was planned.
    pub(crate) fn is_outlived_by(&self, expires: Option<Timestamp>) -> bool {
        expires.zip(self.latest_expiry()).is_some_and(|(expires, latest)| expires > latest)
    }

    /// Sets the time of an entry without one to the time at which it was written.
    pub(crate) fn fill_planned_at(&mut self, written: SystemTime) {
        let written = Timestamp::try_from(written).ok();
        self.planned_at = self.planned_at.or_else(|| written.map(Timestamp::as_second));
    }

    /// Returns the earliest time at which the request was sent, if the entry contains it.
    pub(crate) fn planned_at(&self) -> Option<Timestamp> {
        self.planned_at.and_then(|second| Timestamp::from_second(second).ok())
    }

    /// Returns whether the API still recognizes the idempotency key of the request, with a margin for differences between clocks.
    pub(crate) fn idempotency_key_valid(&self, config: &Config, now: Timestamp) -> bool {
        let remembered = match self.plan.as_ref().map(|plan| &plan.recovery) {
            Some(Recovery::Replay { remembered_for }) => remembered_for.0.min(config.idempotency_window),
            Some(_) | None => config.idempotency_window,
        };
        let window = i64::try_from(remembered).map_or(SignedDuration::MAX, SignedDuration::from_secs);
        let age = self.planned_at().map(|planned| now.duration_since(planned));
        config.retries_mints() && age.is_some_and(|age| age < window - CLOCK_SKEW)
    }

    /// Returns the latest time at which a token of this request expires if it is never renewed. `None` if it never expires.
    pub(crate) fn latest_expiry(&self) -> Option<Timestamp> {
        let end = match (&self.plan, self.ends_at) {
            (_, Some(end)) => Timestamp::from_second(end).ok()?,
            (Some(_), None) => return None,
            (None, None) => {
                let life = SignedDuration::from_secs(i64::try_from(self.request.ttl).ok()?);
                self.planned_at()?.checked_add(life).ok()?
            }
        };
        end.checked_add(CLOCK_SKEW).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_stored_under_the_name_that_earlier_versions_read() {
        assert_eq!(serde_json::to_value(WalState::Planned).unwrap(), "planned");
        assert_eq!(serde_json::to_value(WalState::Unrecognized).unwrap(), "forgotten");
    }

    #[test]
    fn a_name_is_unique_and_fits_the_api() {
        let name = |role: &str, max_length, dns_label| {
            unique_name(&RoleName::try_from(role.to_owned()).unwrap(), NameLimits { max_length, dns_label })
        };
        assert_ne!(name("a", None, false), name("a", None, false));
        assert!(name("Team_1", None, false).starts_with("vault-Team_1-"));
        assert!(name("Team_1.x", None, true).starts_with("vault-team-1-x-"));
        assert_eq!(name(&"r".repeat(300), Some(100), false).len(), 100);
        assert_eq!(name(&"r".repeat(300), None, true).len(), 63);
        let short = name(&"r".repeat(300), Some(40), true);
        assert!(short.len() <= 40 && short.starts_with("vau"), "{short}");
    }
}
