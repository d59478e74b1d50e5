//! The part of [`crate::fuzzing`] that reads what callers send and what storage holds.

use std::time::Duration;

use serde_json::Value;

use super::context::StoredEntry;
use super::input::{FieldType, coerce};
use super::pattern::Pattern;
use super::{TokenFields, TokenSettings, parse_duration};

/// The value of a field in JSON, for a field of every type: what is accepted is accepted again as the same.
pub fn fields(bytes: &[u8]) {
    let Ok(raw) = serde_json::from_slice::<Value>(bytes) else { return };
    for kind in FieldType::ALL {
        match coerce(kind, &raw) {
            Ok(Some(value)) => assert_eq!(coerce(kind, &value), Ok(Some(value)), "{kind:?}"),
            Ok(None) => {}
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    if let Some(text) = raw.as_str() {
        drop(parse_duration(text));
    }
    if let Ok(given) = serde_json::from_value::<TokenFields>(raw) {
        token_settings(given);
    }
}

/// What a role of an auth method is given, field types aside: what is taken is kept, and is enough to be taken again.
fn token_settings(given: TokenFields) {
    let mut role = TokenSettings::default();
    match role.update(given) {
        Ok(()) => {
            let stored = serde_json::to_value(&role).expect("settings have a JSON form");
            assert_eq!(serde_json::from_value::<TokenSettings>(stored.clone()).ok(), Some(role));
            let mut again = TokenSettings::default();
            let given = serde_json::from_value(stored.clone()).expect("it is an object");
            again.update(given).expect("what we keep we take");
            assert_eq!(serde_json::to_value(&again).ok(), Some(stored));
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(role, TokenSettings::default());
        }
    }
}

/// A pattern and, on the lines below, a path: what is captured is of the path.
pub fn pattern(bytes: &[u8]) {
    let Some((pattern, path)) = str::from_utf8(bytes).ok().and_then(|text| text.split_once('\n')) else {
        return;
    };
    let Ok(pattern) = Pattern::compile(pattern) else { return };
    for (name, text) in pattern.captures(path).unwrap_or_default() {
        assert!(!name.is_empty() && path.contains(text));
    }
}

/// An entry of the write-ahead log, which an engine in Go may have written.
pub fn wal_entry(bytes: &[u8]) {
    let Ok(entry) = serde_json::from_slice::<StoredEntry>(bytes) else { return };
    // One that is old enough by a long age is so by a short one.
    assert!(entry.is_older_than(Duration::ZERO) || !entry.is_older_than(Duration::MAX));
}
