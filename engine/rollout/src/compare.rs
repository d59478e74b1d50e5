//! Compares what was read back with what is desired.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::digest::{decode_hex, hex_sha256};
use crate::goal::DesiredValue;

/// The result of comparing a desired field with the field that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// Equal values.
    Equal,
    /// Different values.
    Differs,
    /// The server shows neither the value nor its hash.
    Unreadable,
}

/// Compares a desired field with what a path returned.
///
/// Servers return normalized values: `1h` as `3600`, `a,b` as a list, `"5"` as a number. A secret that is shown as `<field>_sha256` is
/// compared by its hash: the hexadecimal sha256 of the text, or `sha256:SALT:DIGEST`, the digest of the bytes of the salt and the text.
pub(crate) fn compare(field: &str, desired: &DesiredValue, shown: &Map<String, Value>) -> Comparison {
    if let (DesiredValue::Fields(desired), Some(Value::Object(actual))) = (desired, shown.get(field)) {
        return compare_fields(desired, actual);
    }
    let value = desired.value();
    match shown.get(field) {
        Some(actual) if !is_masked(actual) => {
            if is_equivalent(&value, actual) {
                Comparison::Equal
            } else {
                Comparison::Differs
            }
        }
        _ => compare_hash(field, &value, shown),
    }
}

/// A write replaces the whole map, so an entry that is not desired is a difference. A secret entry may be hidden.
fn compare_fields(desired: &BTreeMap<String, DesiredValue>, actual: &Map<String, Value>) -> Comparison {
    if actual.keys().any(|name| !desired.contains_key(name)) {
        return Comparison::Differs;
    }
    let compared = desired.iter().map(|(name, value)| match (compare(name, value, actual), value) {
        (Comparison::Unreadable, DesiredValue::Plain(_)) => Comparison::Differs,
        (compared, _) => compared,
    });
    let compared: Vec<Comparison> = compared.collect();
    let worst = [Comparison::Differs, Comparison::Unreadable].into_iter().find(|it| compared.contains(it));
    worst.unwrap_or(Comparison::Equal)
}

fn compare_hash(field: &str, desired: &Value, shown: &Map<String, Value>) -> Comparison {
    let hash = shown.get(&format!("{field}_sha256")).and_then(Value::as_str);
    match (hash.filter(|hash| !hash.is_empty()), scalar_text(desired)) {
        (Some(hash), Some(text)) => match matches_hash(hash, text.as_bytes()) {
            Some(true) => Comparison::Equal,
            Some(false) => Comparison::Differs,
            None => Comparison::Unreadable,
        },
        _ => Comparison::Unreadable,
    }
}

/// Whether `hash` is the hash of `text`; `None` if it has another format.
fn matches_hash(hash: &str, text: &[u8]) -> Option<bool> {
    let (salt, digest) = match hash.split(':').collect::<Vec<_>>()[..] {
        [digest] => (Vec::new(), digest),
        ["sha256", salt, digest] => (decode_hex(salt)?, digest),
        _ => return None,
    };
    Some(digest.eq_ignore_ascii_case(&hex_sha256(&[&salt, text].concat())))
}

fn is_equivalent(desired: &Value, actual: &Value) -> bool {
    if desired == actual {
        return true;
    }
    match (desired, actual) {
        (Value::Array(desired), Value::Array(actual)) => {
            desired.len() == actual.len()
                && desired.iter().zip(actual).all(|(desired, actual)| is_equivalent(desired, actual))
        }
        (Value::Object(desired), Value::Object(actual)) => {
            desired.len() == actual.len()
                && desired.iter().all(|(key, desired)| {
                    actual.get(key).is_some_and(|actual| is_equivalent(desired, actual))
                })
        }
        (Value::String(listed), Value::Array(list)) | (Value::Array(list), Value::String(listed)) => {
            let parts: Vec<&str> = listed.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
            parts.len() == list.len()
                && parts.iter().zip(list).all(|(part, actual)| scalar_text(actual).as_deref() == Some(*part))
        }
        (Value::Null, Value::Array(list)) | (Value::Array(list), Value::Null) => list.is_empty(),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => false,
        _ => scalar_text(desired) == scalar_text(actual) || same_duration(desired, actual),
    }
}

/// Whether two durations are equal. One must be a number or both must have a unit, because the texts `5m` and `300` may be names.
fn same_duration(desired: &Value, actual: &Value) -> bool {
    let both_text = desired.is_string() && actual.is_string();
    let comparable = !both_text || (has_unit(desired) && has_unit(actual));
    comparable && duration_millis(desired).is_some_and(|desired| Some(desired) == duration_millis(actual))
}

fn has_unit(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.ends_with(|c: char| c.is_ascii_alphabetic()))
}

/// Parses a duration: a number of seconds, a duration of Go (`1h30m`, `1.5h`) or, as Vault allows, days (`1d`).
fn duration_millis(value: &Value) -> Option<u64> {
    let text = scalar_text(value)?;
    if let Ok(seconds) = text.parse::<u64>() {
        return seconds.checked_mul(1000);
    }
    let mut rest = text.as_str();
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        let unit = match unit {
            "ms" => 1.0,
            "s" => 1000.0,
            "m" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * unit;
        rest = after;
    }
    // A float is exact up to 2^53 ms, which no lease reaches.
    (!text.is_empty() && total < 9.0e15).then_some(total.round() as u64)
}

/// Returns a scalar as text, for example `5` for `5` and for `"5"`.
fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Null => Some(String::new()),
        Value::Array(_) | Value::Object(_) => None,
    }
}

/// Whether a value consists of asterisks, which some engines return instead of a secret.
fn is_masked(value: &Value) -> bool {
    value.as_str().is_some_and(|text| !text.is_empty() && text.chars().all(|c| c == '*'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use vault_api::SecretString;

    #[track_caller]
    fn check(desired: Value, actual: Value, expected: Comparison) {
        let shown = json!({ "f": actual });
        let shown = shown.as_object().expect("an object");
        assert_eq!(
            compare("f", &DesiredValue::Plain(desired.clone()), shown),
            expected,
            "{desired} against {shown:?}"
        );
    }

    #[test]
    fn normalized_values_are_equal() {
        for (desired, actual) in [
            (json!("1h"), json!(3600)),
            (json!(3600), json!("1h0m0s")),
            (json!("90m"), json!("1h30m")),
            (json!("1.5h"), json!(5400)),
            (json!("1d"), json!(86400)),
            (json!("5"), json!(5)),
            (json!("true"), json!(true)),
            (json!("read, write"), json!(["read", "write"])),
            (json!(["read"]), json!(["read"])),
            (json!(""), json!([])),
            (json!([]), json!(null)),
            (json!("1,2"), json!([1, 2])),
            (json!({"ttl": "1h"}), json!({"ttl": 3600})),
            (json!("https://a"), json!("https://a")),
        ] {
            check(desired, actual, Comparison::Equal);
        }
    }

    #[test]
    fn different_values_differ() {
        for (desired, actual) in [
            (json!("1h"), json!(60)),
            (json!("5m"), json!("300")),
            (json!("5"), json!(6)),
            (json!("read"), json!(["read", "write"])),
            (json!("write,read"), json!(["read", "write"])),
            (json!("a"), json!("A")),
            (json!({"a": 1}), json!({"a": 1, "b": 2})),
            (json!("1h"), json!("")),
            (json!(0), json!("")),
            (json!(false), json!(null)),
        ] {
            check(desired, actual, Comparison::Differs);
        }
    }

    #[test]
    fn a_secret_is_compared_by_its_hash() {
        let shown = json!({ "api_key_sha256": hex_sha256(b"hunter2") });
        let shown = shown.as_object().expect("an object");
        let desired = |text: &str| DesiredValue::Secret(SecretString::new(text));
        assert_eq!(compare("api_key", &desired("hunter2"), shown), Comparison::Equal);
        assert_eq!(compare("api_key", &desired("hunter3"), shown), Comparison::Differs);
        assert_eq!(compare("other", &desired("hunter2"), shown), Comparison::Unreadable);
    }

    #[test]
    fn a_secret_is_compared_by_its_salted_hash() {
        let digest = hex_sha256(b"\x01\xffhunter2");
        let shown =
            json!({ "api_key_sha256": format!("sha256:01ff:{digest}"), "other_sha256": "argon2:01ff:00" });
        let shown = shown.as_object().expect("an object");
        let desired = |text: &str| DesiredValue::Secret(SecretString::new(text));
        assert_eq!(compare("api_key", &desired("hunter2"), shown), Comparison::Equal);
        assert_eq!(compare("api_key", &desired("hunter3"), shown), Comparison::Differs);
        assert_eq!(compare("other", &desired("hunter2"), shown), Comparison::Unreadable);
    }

    #[test]
    fn a_map_is_compared_by_its_values_and_a_secret_one_may_be_hidden() {
        let desired = DesiredValue::Fields(BTreeMap::from([
            ("level".to_owned(), DesiredValue::Plain(json!("30"))),
            ("key".to_owned(), DesiredValue::Secret(SecretString::new("hunter2"))),
        ]));
        for (shown, expected) in [
            (json!({"level": 30, "key": "hunter2"}), Comparison::Equal),
            (json!({"level": 30}), Comparison::Unreadable),
            (json!({"level": 40}), Comparison::Differs),
            (json!({"key": "hunter2"}), Comparison::Differs),
            (json!({"level": 30, "key": "hunter2", "other": 1}), Comparison::Differs),
            (json!({}), Comparison::Differs),
        ] {
            let response = json!({"parameters": shown});
            let response = response.as_object().expect("an object");
            assert_eq!(compare("parameters", &desired, response), expected, "{shown}");
        }
        assert_eq!(compare("parameters", &desired, &Map::new()), Comparison::Unreadable);
        assert_eq!(desired.value(), json!({"level": "30", "key": "hunter2"}));
    }

    #[test]
    fn a_salt_that_is_not_hexadecimal_cannot_be_compared() {
        for salt in ["+f", "f", "01f", "0x", "g0"] {
            let shown = json!({ "api_key_sha256": format!("sha256:{salt}:{}", hex_sha256(b"\x0fhunter2")) });
            let shown = shown.as_object().expect("an object");
            let desired = DesiredValue::Secret(SecretString::new("hunter2"));
            assert_eq!(compare("api_key", &desired, shown), Comparison::Unreadable, "{salt}");
        }
    }

    #[test]
    fn a_masked_value_cannot_be_compared() {
        check(json!("hunter2"), json!("*****"), Comparison::Unreadable);
    }
}
