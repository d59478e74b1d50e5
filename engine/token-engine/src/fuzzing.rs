//! The entry points of the fuzz targets: one function per parser of external input, with its properties.
//!
//! Compiled only for tests and with the feature `fuzzing`.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::name_template::{NameLimits, assert_names_are_unique};
use crate::roles::Role;
use crate::rotation::RotationEntry;
use crate::terms;
use crate::token::LeaseData;
use crate::upstream::{self, Description};
use crate::wal_entry::WalEntry;

/// Stored values and the data of leases, which another version may have written. Property: an accepted value, written and
/// read again, is unchanged.
pub fn stored(bytes: &[u8]) {
    assert_round_trip::<LeaseData>(bytes);
    assert_round_trip::<WalEntry>(bytes);
    assert_round_trip::<Role>(bytes);
    assert_round_trip::<Config>(bytes);
    assert_round_trip::<RotationEntry>(bytes);
}

/// The expiry in a response of a service. Property: a token that is leased has a remaining lifetime.
pub fn expiry(bytes: &[u8]) {
    let Ok(expires_at) = serde_json::from_slice::<Value>(bytes) else { return };
    for now in [Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX] {
        for end in upstream::expiries(&expires_at, now) {
            if let Ok(Some(remaining)) = terms::time_until_expiry(Some(end), now) {
                assert!(!remaining.is_zero());
            }
        }
    }
}

/// A description of a token API. Property: an accepted one is unchanged when it is written and parsed again.
pub fn description(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(description) = Description::parse(text) else { return };
    let written = serde_json::to_string(&description).expect("what was read can be written");
    assert!(Description::parse(&written).is_ok_and(|read| read == description), "{written}");
}

/// A name template. Property: the names of an accepted one are unique, and fit the API.
pub fn name_template(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    for limits in [NameLimits::default(), NameLimits { max_length: Some(40), dns_label: true }] {
        assert_names_are_unique(text, text, limits);
    }
}

/// The address of a service. Property: an accepted address contains no credential, and is unchanged when it is parsed again.
pub fn endpoint(bytes: &[u8]) {
    let Ok(input) = str::from_utf8(bytes) else { return };
    let Ok(endpoint) = Endpoint::parse(input) else { return };
    let text = endpoint.to_string();
    assert_eq!(Endpoint::parse(&text).ok().as_ref(), Some(&endpoint), "{text}");
    let below = endpoint.join_target("/tokens/a%2Fb").expect("a path below it");
    assert!(below.path().ends_with("/tokens/a%2Fb") && below.username().is_empty(), "{below}");
}

fn assert_round_trip<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let written = serde_json::to_value(&value).expect("a parsed value can be written");
    let read: T = serde_json::from_value(written.clone()).expect("a written value can be parsed");
    assert_eq!(serde_json::to_value(&read).expect("a parsed value can be written"), written);
}

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn no_stored_value_and_no_response_breaks_its_parser() {
        replay("stored", stored);
        replay("expiry", expiry);
        replay("endpoint", endpoint);
        replay("description", description);
        replay("name_template", name_template);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
