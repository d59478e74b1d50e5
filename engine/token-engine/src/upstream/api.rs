//! A described API with the parameters of one connection.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::description::{Description, MintUses, Recovery};
use super::presets::{DEFAULT_PRESET, find_preset};
use super::template::Placeholder;
use super::values::{Lifetime, Parameters};

/// The description of a connection, and the values of its parameters.
pub(crate) struct Api {
    pub(crate) description: Arc<Description>,
    /// In the types that the description declares, with defaults.
    pub(crate) parameters: Parameters,
    pub(crate) uses: MintUses,
    /// Whether it is the preset that a configuration has which names none. Its records are those of the first version.
    pub(crate) is_default: bool,
}

/// When a token ends at the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LatestExpiry {
    At(Timestamp),
    /// Only a revocation ends it.
    Never,
}

impl Api {
    pub(crate) fn new(description: Arc<Description>, parameters: Parameters) -> Api {
        let is_default =
            find_preset(DEFAULT_PRESET).is_ok_and(|preset| Arc::ptr_eq(&preset.description(), &description));
        Api { uses: description.mint_uses(), description, parameters, is_default }
    }

    /// When a token ends at the latest whose lifetime is asked for like this.
    pub(crate) fn latest_expiry(&self, lifetime: &Lifetime) -> LatestExpiry {
        let asked =
            self.uses.lifetimes.iter().filter_map(|placeholder| lifetime.latest_expiry(placeholder)).max();
        let longest = || {
            let seconds = self.longest_life()?;
            Some(lifetime.now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX))
        };
        asked.or_else(longest).map_or(LatestExpiry::Never, LatestExpiry::At)
    }

    /// How long a token lives at most, in seconds, where a mint cannot ask for a lifetime.
    fn longest_life(&self) -> Option<i64> {
        let text = self.description.mint.longest_life.as_ref()?;
        match text.sole().map(|slot| &slot.placeholder) {
            Some(Placeholder::Config(name)) => self.parameters.get(name)?.as_i64(),
            _ => vault_plugin::framework::parse_duration(&text.to_string()).ok(),
        }
    }

    /// Whether a mint without an answer may be sent again, for an API that recognizes it.
    pub(crate) fn supports_idempotency_keys(&self) -> bool {
        matches!(self.description.recovery, Recovery::Replay { .. })
    }
}
