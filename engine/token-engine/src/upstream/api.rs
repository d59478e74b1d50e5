//! A described API with the parameters of one connection.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::description::{Description, MintUses, Recovery};
use super::presets::{DEFAULT_PRESET, find_preset};
use super::template::{Placeholder, TextTemplate};
use super::values::{Lifetime, Parameters};

/// The description of the API of a connection, with the values of its parameters.
pub(crate) struct Api {
    pub(crate) description: Arc<Description>,
    /// The parameters in their declared types, with defaults.
    pub(crate) parameters: Parameters,
    pub(crate) uses: MintUses,
    /// Whether the description is the default preset. Its stored records have the format of the first version.
    pub(crate) is_default: bool,
}

/// The latest time at which a token expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LatestExpiry {
    At(Timestamp),
    /// The token lives until it is revoked.
    Never,
}

impl Api {
    pub(crate) fn new(description: Arc<Description>, parameters: Parameters) -> Api {
        let is_default =
            find_preset(DEFAULT_PRESET).is_ok_and(|preset| Arc::ptr_eq(&preset.description(), &description));
        Api { uses: description.mint_uses(), description, parameters, is_default }
    }

    /// Returns the latest expiry of a token that is requested with this lifetime.
    pub(crate) fn latest_expiry(&self, lifetime: &Lifetime) -> LatestExpiry {
        let requested =
            self.uses.lifetimes.iter().filter_map(|placeholder| lifetime.latest_expiry(placeholder)).max();
        let longest = || {
            let seconds = self.longest_life()?;
            Some(lifetime.now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX))
        };
        requested.or_else(longest).map_or(LatestExpiry::Never, LatestExpiry::At)
    }

    /// Returns the maximum lifetime of a token in seconds, for an API whose mint has no lifetime.
    fn longest_life(&self) -> Option<i64> {
        self.duration(self.description.mint.longest_life.as_ref()?)
    }

    /// Returns the maximum lifetime of a new key of the connection in seconds. `None` if it lives until it is revoked.
    pub(crate) fn longest_life_of_key(&self) -> Option<i64> {
        self.duration(self.description.rotate.as_ref()?.longest_life.as_ref()?)
    }

    fn duration(&self, text: &TextTemplate) -> Option<i64> {
        match text.sole().map(|slot| &slot.placeholder) {
            Some(Placeholder::Config(name)) => self.parameters.get(name)?.as_i64(),
            _ => vault_plugin::framework::parse_duration(&text.to_string()).ok(),
        }
    }

    /// Returns whether the API recognizes a repeated mint by its idempotency key.
    pub(crate) fn supports_idempotency_keys(&self) -> bool {
        matches!(self.description.recovery, Recovery::Replay { .. })
    }
}
