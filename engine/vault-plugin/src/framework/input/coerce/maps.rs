//! Coercions to maps, key-value pairs and HTTP headers.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::CoerceError;
use super::{lists, scalars};

/// Go's decoder ignores the bits after the last byte.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

pub(super) fn map(raw: &Value) -> Result<Map<String, Value>, CoerceError> {
    Ok(members(raw)?.into_iter().map(|(key, value)| (key.clone(), value.clone())).collect())
}

pub(super) fn pairs(raw: &Value) -> Result<Map<String, Value>, CoerceError> {
    pairs_of_map(raw).or_else(|_| pairs_of_list(raw))
}

pub(super) fn header(raw: &Value) -> Result<Map<String, Value>, CoerceError> {
    if let Ok(members) = members(raw) {
        return headers_of_map(members);
    }
    match raw {
        Value::String(text) => headers_of_json(text),
        _ => headers_of_list(raw),
    }
}

/// Returns the members of a map, or of all maps in a list.
fn members(raw: &Value) -> Result<Vec<(&String, &Value)>, CoerceError> {
    match raw {
        Value::Null => Ok(Vec::new()),
        Value::Object(members) => Ok(members.iter().collect()),
        Value::Array(maps) => Ok(lists::each(maps, members)?.concat()),
        _ => Err(CoerceError::unconvertible("a map", raw)),
    }
}

fn pairs_of_map(raw: &Value) -> Result<Map<String, Value>, CoerceError> {
    members(raw)?.into_iter().map(|(key, value)| Ok((key.clone(), scalars::string(value)?.into()))).collect()
}

fn pairs_of_list(raw: &Value) -> Result<Map<String, Value>, CoerceError> {
    let texts = lists::each(lists::items(raw), scalars::string)?;
    let pairs = texts.iter().enumerate().map(|(index, text)| split_pair(text, '=', index));
    pairs.map(|pair| pair.map(|(key, value)| (key.to_owned(), value.into()))).collect()
}

fn split_pair(text: &str, separator: char, index: usize) -> Result<(&str, &str), CoerceError> {
    text.split_once(separator)
        .filter(|(key, _)| !key.is_empty())
        .ok_or(CoerceError::NotAPair { index, separator })
}

fn headers_of_map(members: Vec<(&String, &Value)>) -> Result<Map<String, Value>, CoerceError> {
    let mut headers = Headers::default();
    // If two maps of a list contain the same name, the later value is used.
    for (name, value) in members.into_iter().collect::<BTreeMap<_, _>>() {
        let texts = match value {
            Value::Array(values) => values.as_slice(),
            single => std::slice::from_ref(single),
        };
        for text in texts {
            headers.add(name, text.as_str().ok_or_else(|| CoerceError::HeaderValue(name.clone()))?);
        }
    }
    Ok(headers.into_map())
}

/// Parses an object that a client has encoded in one string: as JSON, or as base64 of JSON.
///
/// Only in this form a number is a valid value. It is used as written.
fn headers_of_json(text: &str) -> Result<Map<String, Value>, CoerceError> {
    let unwrapped: String = text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
    let json = BASE64.decode(unwrapped).unwrap_or_else(|_| text.as_bytes().to_vec());
    // Like Go's decoder, read the first value only.
    let first =
        serde_json::Deserializer::from_slice(&json).into_iter::<Option<BTreeMap<String, &RawValue>>>().next();
    let members = first.and_then(Result::ok).ok_or(CoerceError::NotHeaders)?.unwrap_or_default();
    let mut headers = Headers::default();
    for (name, value) in members {
        let invalid = || CoerceError::HeaderValue(name.clone());
        let values = match serde_json::from_str::<Vec<&RawValue>>(value.get()) {
            Ok(values) => values,
            Err(_) => vec![value],
        };
        for value in values {
            headers.add(&name, &header_text(value).ok_or_else(invalid)?);
        }
    }
    Ok(headers.into_map())
}

fn header_text(value: &RawValue) -> Option<String> {
    match value.get().as_bytes().first()? {
        b'"' => serde_json::from_str(value.get()).ok(),
        b'-' | b'0'..=b'9' => Some(value.get().to_owned()),
        _ => None,
    }
}

fn headers_of_list(raw: &Value) -> Result<Map<String, Value>, CoerceError> {
    let mut headers = Headers::default();
    for (index, item) in lists::items(raw).iter().enumerate() {
        let (name, value) = split_pair(item.as_str().unwrap_or_default(), ':', index)?;
        headers.add(name, value);
    }
    Ok(headers.into_map())
}

#[derive(Default)]
struct Headers(BTreeMap<String, Vec<String>>);

impl Headers {
    fn add(&mut self, name: &str, value: &str) {
        self.0.entry(canonical_name(name)).or_default().push(value.to_owned());
    }

    fn into_map(self) -> Map<String, Value> {
        self.0.into_iter().map(|(name, values)| (name, values.into())).collect()
    }
}

/// Converts `content-type` to `Content-Type`. A name with characters that are not allowed in headers is unchanged.
fn canonical_name(name: &str) -> String {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !name.bytes().all(is_token) {
        return name.to_owned();
    }
    let mut upper = true;
    let canonical = name.chars().map(|letter| {
        let cased = if upper { letter.to_ascii_uppercase() } else { letter.to_ascii_lowercase() };
        upper = letter == '-';
        cased
    });
    canonical.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{check, refuse};
    use crate::framework::input::FieldType;

    #[test]
    fn maps_in_a_list_are_merged() {
        for (raw, map) in [
            (json!(null), json!({})),
            (json!([]), json!({})),
            (json!({"a": [1], "b": null}), json!({"a": [1], "b": null})),
            (json!([{"a": 1}, null, {"b": 2}, [{"a": 3}]]), json!({"a": 3, "b": 2})),
        ] {
            check(FieldType::Map, raw, map);
        }
        refuse(FieldType::Map, json!("a=b"), "expected a map, got a string");
        refuse(FieldType::Map, json!([{}, 5]), "item 1: expected a map, got a number");
    }

    #[test]
    fn pairs_are_given_as_a_map_or_as_strings() {
        for (raw, pairs) in [
            (json!(null), json!({})),
            (json!([null]), json!({})),
            (json!({"a": true, "b": null, "c": 1.5}), json!({"a": "1", "b": "", "c": "1.5"})),
            (json!([{"a": 1}, {"a": 2}]), json!({"a": "2"})),
            (json!("a=b=c"), json!({"a": "b=c"})),
            (json!(["a=b", "a=c", "d="]), json!({"a": "c", "d": ""})),
        ] {
            check(FieldType::KvPairs, raw, pairs);
        }
        refuse(
            FieldType::KvPairs,
            json!(["a=b", "hidden"]),
            "invalid key pair in item 1: expected key=value",
        );
        refuse(FieldType::KvPairs, json!("=b"), "invalid key pair in item 0: expected key=value");
        refuse(FieldType::KvPairs, json!({"a": []}), "item 0: expected a string, got a map");
    }

    #[test]
    fn header_names_become_canonical() {
        check(
            FieldType::Header,
            json!({"content-type": "x", "ACCEPT-encoding": ["a", "b"], "x y": "1", "é": "2", "x_y-z": "3"}),
            json!({"Content-Type": ["x"], "Accept-Encoding": ["a", "b"], "x y": ["1"], "é": ["2"], "X_y-Z": ["3"]}),
        );
        check(FieldType::Header, json!([{"a": "1"}, {"A": "2"}]), json!({"A": ["2", "1"]}));
    }

    #[test]
    fn headers_are_given_as_a_list_of_pairs() {
        check(FieldType::Header, json!(["a:b", "A: c:d"]), json!({"A": ["b", " c:d"]}));
        refuse(FieldType::Header, json!(["hidden"]), "invalid key pair in item 0: expected key:value");
        refuse(FieldType::Header, json!(5), "invalid key pair in item 0: expected key:value");
    }

    #[test]
    fn headers_are_given_as_json_or_base64_in_a_string() {
        for text in [
            r#"{"a":"b","n":[1.50,"c"]}"#,
            "eyJhIjoiYiIsIm4iOlsxLjUwLCJj\nIl19",
            r#"{"a":"b","n":[1.50,"c"]} more"#,
        ] {
            check(FieldType::Header, json!(text), json!({"A": ["b"], "N": ["1.50", "c"]}));
        }
        check(FieldType::Header, json!("bnVsbA=="), json!({}));
        for text in ["", "hidden", "[]", "5", r#"{"a":"#] {
            refuse(
                FieldType::Header,
                json!(text),
                "expected headers as a JSON object, which may be encoded in base64",
            );
        }
        refuse(FieldType::Header, json!(r#"{"a":true}"#), "received non-string value for header \"a\"");
    }

    #[test]
    fn a_number_is_not_a_header_outside_a_string() {
        for raw in [json!({"a": 1}), json!({"a": [1]}), json!({"a": null}), json!({"a": {}})] {
            refuse(FieldType::Header, raw, "received non-string value for header \"a\"");
        }
    }
}
