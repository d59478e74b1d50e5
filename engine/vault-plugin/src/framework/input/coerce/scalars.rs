//! Coercions to strings, numbers and booleans.

use serde_json::{Number, Value};

use super::CoerceError;
use super::integers::{self, IntegerError};

pub(super) fn string(raw: &Value) -> Result<String, CoerceError> {
    match raw {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(if *flag { "1" } else { "0" }.to_owned()),
        // Like Go, writes a float without an exponent, which `Number` would write.
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => Ok(float.to_string()),
            _ => Ok(number.to_string()),
        },
        Value::Array(_) | Value::Object(_) => Err(CoerceError::unconvertible("a string", raw)),
    }
}

pub(super) fn lower_case(raw: &Value) -> Result<String, CoerceError> {
    Ok(string(raw)?.chars().map(lower_case_char).collect())
}

pub(super) fn name(raw: &Value) -> Result<String, CoerceError> {
    let text = string(raw)?;
    let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
    let bytes = text.as_bytes();
    let is_name = bytes.first().is_some_and(is_word)
        && bytes.last().is_some_and(is_word)
        && bytes.iter().all(|byte| is_word(byte) || matches!(byte, b'-' | b'.'));
    if is_name { Ok(text) } else { Err(CoerceError::NotAName) }
}

pub(super) fn int(raw: &Value) -> Result<i64, CoerceError> {
    match raw {
        Value::Null => Ok(0),
        Value::Bool(flag) => Ok(i64::from(*flag)),
        Value::Number(number) => truncated(number).ok_or_else(|| CoerceError::OutOfRange(number.to_string())),
        Value::String(text) => int_text(text),
        Value::Array(_) | Value::Object(_) => Err(CoerceError::unconvertible("int", raw)),
    }
}

pub(super) fn int_text(text: &str) -> Result<i64, CoerceError> {
    if text.is_empty() {
        return Ok(0);
    }
    integers::literal(text).map_err(|error| unparsable(text, "int", error.reason()))
}

/// Drops the fraction of a number. Returns `None` if the rest is out of range.
pub(super) fn truncated(number: &Number) -> Option<i64> {
    if let Some(integer) = number.as_i64() {
        return Some(integer);
    }
    let float = number.as_f64()?;
    // Both bounds are powers of two, so these floats are exact.
    #[expect(clippy::cast_possible_truncation, reason = "drops the fraction")]
    (-(2_f64.powi(63))..2_f64.powi(63)).contains(&float).then_some(float as i64)
}

pub(super) fn bool(raw: &Value) -> Result<bool, CoerceError> {
    match raw {
        Value::Null => Ok(false),
        Value::Bool(flag) => Ok(*flag),
        Value::Number(number) => Ok(number.as_f64() != Some(0.0)),
        Value::String(text) => match text.as_str() {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(unparsable(text, "bool", IntegerError::InvalidSyntax.reason())),
        },
        Value::Array(_) | Value::Object(_) => Err(CoerceError::unconvertible("bool", raw)),
    }
}

/// Coerces to a float. Unlike Go, it rejects strings for infinity, for "not a number" (JSON has neither), and for hexadecimal
/// floats.
pub(super) fn float(raw: &Value) -> Result<f64, CoerceError> {
    match raw {
        Value::Null => Ok(0.0),
        Value::Bool(flag) => Ok(f64::from(u8::from(*flag))),
        Value::Number(number) => number.as_f64().ok_or_else(|| CoerceError::unconvertible("float", raw)),
        Value::String(text) if text.is_empty() => Ok(0.0),
        Value::String(text) => float_text(text).map_err(|error| unparsable(text, "float", error.reason())),
        Value::Array(_) | Value::Object(_) => Err(CoerceError::unconvertible("float", raw)),
    }
}

fn float_text(text: &str) -> Result<f64, IntegerError> {
    let is_decimal =
        text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-' | b'_'));
    if !is_decimal || !integers::underscores_separate_digits(text) {
        return Err(IntegerError::InvalidSyntax);
    }
    let float: f64 = text.replace('_', "").parse().map_err(|_| IntegerError::InvalidSyntax)?;
    if float.is_finite() { Ok(float) } else { Err(IntegerError::OutOfRange) }
}

/// Converts to lower case like Go, one code point to one. Only `İ` would become two in Rust.
fn lower_case_char(upper: char) -> char {
    upper.to_lowercase().next().unwrap_or(upper)
}

fn unparsable(text: &str, expected: &'static str, reason: &'static str) -> CoerceError {
    CoerceError::Unparsable { text: text.to_owned(), expected, reason }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{check, refuse};
    use crate::framework::input::FieldType;

    #[test]
    fn scalars_become_strings() {
        for (raw, text) in [
            (json!(null), ""),
            (json!("a b "), "a b "),
            (json!(true), "1"),
            (json!(false), "0"),
            (json!(-5), "-5"),
            (json!(3.0), "3"),
            (json!(1.5), "1.5"),
            (json!(-0.0), "-0"),
            (json!(1e21), "1000000000000000000000"),
            (json!(1e-7), "0.0000001"),
            (json!(u64::MAX), "18446744073709551615"),
        ] {
            check(FieldType::String, raw, json!(text));
        }
        refuse(FieldType::String, json!({"api_key": "hidden"}), "expected a string, got a map");
        refuse(FieldType::String, json!(["hidden"]), "expected a string, got a list");
    }

    #[test]
    fn lower_case_converts_each_code_point() {
        for (raw, text) in [("ABC", "abc"), ("ÀÉ", "àé"), ("ΑΣ", "ασ"), ("İ", "i"), ("ẞ", "ß")] {
            check(FieldType::LowerCaseString, json!(raw), json!(text));
        }
    }

    #[test]
    fn a_name_begins_and_ends_with_a_word_character() {
        for name in ["a", "_", "a.b-c_d", "0", "a..b"] {
            check(FieldType::NameString, json!(name), json!(name));
        }
        check(FieldType::NameString, json!(5), json!("5"));
        for name in ["", " ", "-a", "a-", ".", "a/b", "a b", "é", "a\n"] {
            refuse(FieldType::NameString, json!(name), "field does not match the formatting rules");
        }
    }

    #[test]
    fn integers_are_exact_and_lose_a_fraction() {
        for (raw, value) in [
            (json!(null), 0),
            (json!(true), 1),
            (json!(1.9), 1),
            (json!(-1.9), -1),
            (json!(i64::MAX), i64::MAX),
            (json!(""), 0),
            (json!("0x10"), 16),
            (json!("1_000"), 1000),
        ] {
            check(FieldType::Int, raw.clone(), json!(value));
            check(FieldType::Int64, raw, json!(value));
        }
        refuse(FieldType::Int, json!("1.5"), "cannot parse \"1.5\" as int: invalid syntax");
        refuse(
            FieldType::Int,
            json!("9223372036854775808"),
            "cannot parse \"9223372036854775808\" as int: value out of range",
        );
        refuse(FieldType::Int, json!([1]), "expected int, got a list");
    }

    #[test]
    fn an_integer_out_of_range_is_rejected_and_does_not_wrap() {
        refuse(
            FieldType::Int,
            json!(u64::MAX),
            "cannot hold 18446744073709551615 as int: value out of range",
        );
        refuse(FieldType::Int64, json!(1e21), "cannot hold 1e+21 as int: value out of range");
        refuse(FieldType::Int64, json!(-1e21), "cannot hold -1e+21 as int: value out of range");
    }

    #[test]
    fn booleans_accept_the_strings_of_go() {
        for raw in
            [json!(true), json!(1), json!(-1), json!(0.5), json!("1"), json!("t"), json!("T"), json!("True")]
        {
            check(FieldType::Bool, raw, json!(true));
        }
        for raw in [
            json!(null),
            json!(false),
            json!(0),
            json!(-0.0),
            json!(""),
            json!("0"),
            json!("f"),
            json!("FALSE"),
        ] {
            check(FieldType::Bool, raw, json!(false));
        }
        refuse(FieldType::Bool, json!("yes"), "cannot parse \"yes\" as bool: invalid syntax");
        refuse(FieldType::Bool, json!("tRUE"), "cannot parse \"tRUE\" as bool: invalid syntax");
        refuse(FieldType::Bool, json!({}), "expected bool, got a map");
    }

    #[test]
    fn floats_accept_decimal_strings() {
        for (raw, value) in [
            (json!(null), 0.0),
            (json!(true), 1.0),
            (json!(5), 5.0),
            (json!(""), 0.0),
            (json!("1.5"), 1.5),
            (json!("1e3"), 1000.0),
            (json!(".5"), 0.5),
            (json!("5."), 5.0),
            (json!("1_000.5"), 1000.5),
            (json!("1e-400"), 0.0),
        ] {
            check(FieldType::Float, raw, json!(value));
        }
        for text in ["ten", "inf", "NaN", "0x1p-2", ".", "1__0", "1_.5", " 1"] {
            refuse(FieldType::Float, json!(text), &format!("cannot parse {text:?} as float: invalid syntax"));
        }
        refuse(FieldType::Float, json!("1e400"), "cannot parse \"1e400\" as float: value out of range");
    }
}
