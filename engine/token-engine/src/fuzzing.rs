//! What `fuzz` calls: every reader of bytes from outside, with what must hold whatever the bytes are.
//!
//! It is there for tests and with the feature `fuzzing`, which nothing that is shipped has.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::Config;
use crate::endpoint::Endpoint;
use crate::roles::Role;
use crate::terms;
use crate::token::LeaseData;
use crate::upstream::{self, Description};
use crate::wal_entry::WalEntry;

/// What is found in storage and in leases, which an older or a newer version may have written: what is understood is
/// written and read again as the same.
pub fn stored(bytes: &[u8]) {
    assert_round_trip::<LeaseData>(bytes);
    assert_round_trip::<WalEntry>(bytes);
    assert_round_trip::<Role>(bytes);
    assert_round_trip::<Config>(bytes);
}

/// When a token ends, as its service says it: a token that is leased has time left.
pub fn expiry(bytes: &[u8]) {
    let Ok(said) = serde_json::from_slice::<Value>(bytes) else { return };
    for now in [Timestamp::UNIX_EPOCH, Timestamp::MIN, Timestamp::MAX] {
        for end in upstream::expiries(&said, now) {
            if let Ok(Some(left)) = terms::time_until_expiry(Some(end), now) {
                assert!(!left.is_zero());
            }
        }
    }
}

/// A description of a token API: one that is accepted is written and read again as the same.
pub fn description(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(description) = Description::parse(text) else { return };
    let written = serde_json::to_string(&description).expect("what was read can be written");
    assert!(Description::parse(&written).is_ok_and(|read| read == description), "{written}");
}

/// The address of a service: one that is taken holds no credential, and is read again as the same.
pub fn endpoint(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(endpoint) = Endpoint::parse(text) else { return };
    let shown = endpoint.to_string();
    assert_eq!(Endpoint::parse(&shown).ok().as_ref(), Some(&endpoint), "{shown}");
    let below = endpoint.join_target("/tokens/a%2Fb").expect("a path below it");
    assert!(below.path().ends_with("/tokens/a%2Fb") && below.username().is_empty(), "{below}");
}

fn assert_round_trip<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else { return };
    let written = serde_json::to_value(&value).expect("what was read can be written");
    let read: T = serde_json::from_value(written.clone()).expect("what was written can be read");
    assert_eq!(serde_json::to_value(&read).expect("what was read can be written"), written);
}

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn nothing_that_was_stored_or_that_a_service_says_breaks_its_reader() {
        replay("stored", stored);
        replay("expiry", expiry);
        replay("endpoint", endpoint);
        replay("description", description);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
