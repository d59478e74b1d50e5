//! Coercions to lists.

use serde_json::Value;

use super::CoerceError;
use super::scalars;

pub(super) fn list(raw: &Value) -> Vec<Value> {
    items(raw).to_vec()
}

pub(super) fn strings(raw: &Value) -> Result<Vec<String>, CoerceError> {
    match raw {
        Value::String(text) if text.is_empty() => Ok(Vec::new()),
        _ => each(items(raw), |item| Ok(scalars::string(item)?.trim().to_owned())),
    }
}

pub(super) fn comma_strings(raw: &Value) -> Result<Vec<String>, CoerceError> {
    match raw {
        Value::String(text) => Ok(split(text).map(|part| part.trim().to_owned()).collect()),
        _ => strings(raw),
    }
}

/// Coerces to a list of integers. The parts of a string are not trimmed: `"1, 2"` is an error in Go too.
pub(super) fn comma_ints(raw: &Value) -> Result<Vec<i64>, CoerceError> {
    match raw {
        Value::String(text) => each(split(text), scalars::int_text),
        _ => each(items(raw), scalars::int),
    }
}

/// Treats any value as a list: null and an empty map as an empty list, and any other single value as its only item.
pub(super) fn items(raw: &Value) -> &[Value] {
    match raw {
        Value::Null => &[],
        Value::Array(items) => items,
        Value::Object(members) if members.is_empty() => &[],
        single => std::slice::from_ref(single),
    }
}

pub(super) fn each<I, T>(
    items: impl IntoIterator<Item = I>,
    coerce_item: impl Fn(I) -> Result<T, CoerceError>,
) -> Result<Vec<T>, CoerceError> {
    let coerced = |(index, item)| coerce_item(item).map_err(|error| error.in_item(index));
    items.into_iter().enumerate().map(coerced).collect()
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    // An empty string has no parts, but `split` would return an empty one.
    text.split(',').filter(|_| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{check, refuse};
    use crate::framework::input::FieldType;

    #[test]
    fn a_single_value_is_a_list_of_one() {
        for (raw, list) in [
            (json!(null), json!([])),
            (json!({}), json!([])),
            (json!([]), json!([])),
            (json!(""), json!([""])),
            (json!("a,b"), json!(["a,b"])),
            (json!(5), json!([5])),
            (json!({"a": 1}), json!([{"a": 1}])),
            (json!([1, null, {"a": []}]), json!([1, null, {"a": []}])),
        ] {
            check(FieldType::Slice, raw, list);
        }
    }

    #[test]
    fn items_become_trimmed_strings() {
        for kind in [FieldType::StringSlice, FieldType::CommaStringSlice] {
            for (raw, list) in [
                (json!(null), json!([])),
                (json!({}), json!([])),
                (json!(""), json!([])),
                (json!(" "), json!([""])),
                (json!(true), json!(["1"])),
                (json!([" a ", 1, 1.5, false, null]), json!(["a", "1", "1.5", "0", ""])),
                (json!(["a,b"]), json!(["a,b"])),
            ] {
                check(kind, raw, list);
            }
            refuse(kind, json!(["a", ["b"]]), "item 1: expected a string, got a list");
            refuse(kind, json!({"a": "b"}), "item 0: expected a string, got a map");
        }
    }

    #[test]
    fn only_the_comma_type_splits_a_string() {
        check(FieldType::StringSlice, json!(" a, b "), json!(["a, b"]));
        check(FieldType::CommaStringSlice, json!(" a, b "), json!(["a", "b"]));
        check(FieldType::CommaStringSlice, json!("a,,b,"), json!(["a", "", "b", ""]));
    }

    #[test]
    fn integers_are_given_as_a_list_or_as_a_string() {
        for (raw, list) in [
            (json!(null), json!([])),
            (json!(""), json!([])),
            (json!("1,0x2"), json!([1, 2])),
            (json!("1,"), json!([1, 0])),
            (json!(7), json!([7])),
            (json!([1, "2", 3.7, true, null, ""]), json!([1, 2, 3, 1, 0, 0])),
        ] {
            check(FieldType::CommaIntSlice, raw, list);
        }
        refuse(FieldType::CommaIntSlice, json!("1, 2"), "item 1: cannot parse \" 2\" as int: invalid syntax");
        refuse(
            FieldType::CommaIntSlice,
            json!(["1,2"]),
            "item 0: cannot parse \"1,2\" as int: invalid syntax",
        );
    }
}
