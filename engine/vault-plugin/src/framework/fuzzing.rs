//! The part of [`crate::fuzzing`] that parses input of callers and stored entries.

use std::time::Duration;

use serde_json::Value;

use super::context::StoredEntry;
use super::input::{FieldType, coerce};
use super::pattern::Pattern;
use super::{TokenFields, TokenSettings, parse_duration};

/// A JSON value, for a field of every type. Property: coercing an accepted value again does not change it.
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
    if let Ok(fields) = serde_json::from_value::<TokenFields>(raw) {
        token_settings(fields);
    }
}

/// The token settings of a role, without coercion. Property: accepted settings can be stored, and applied again without a change.
fn token_settings(fields: TokenFields) {
    let mut role = TokenSettings::default();
    match role.update(fields) {
        Ok(()) => {
            let stored = serde_json::to_value(&role).expect("settings can be represented as JSON");
            assert_eq!(serde_json::from_value::<TokenSettings>(stored.clone()).ok(), Some(role));
            let mut again = TokenSettings::default();
            let fields = serde_json::from_value(stored.clone()).expect("settings are an object");
            again.update(fields).expect("stored settings are valid");
            assert_eq!(serde_json::to_value(&again).ok(), Some(stored));
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert_eq!(role, TokenSettings::default());
        }
    }
}

/// A pattern and, on the following lines, a path. Property: every capture is a part of the path.
pub fn pattern(bytes: &[u8]) {
    let Some((pattern, path)) = str::from_utf8(bytes).ok().and_then(|text| text.split_once('\n')) else {
        return;
    };
    let Ok(pattern) = Pattern::compile(pattern) else { return };
    for (name, text) in pattern.captures(path).unwrap_or_default() {
        assert!(!name.is_empty() && path.contains(text));
    }
}

/// A write-ahead log entry, which an engine in Go may have written.
pub fn wal_entry(bytes: &[u8]) {
    let Ok(entry) = serde_json::from_slice::<StoredEntry>(bytes) else { return };
    // An entry that is older than a long age is also older than a short one.
    assert!(entry.is_older_than(Duration::ZERO) || !entry.is_older_than(Duration::MAX));
}
