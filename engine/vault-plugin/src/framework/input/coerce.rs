//! Coerces the loosely typed JSON of a request to the types of the declared fields, like `sdk/framework`.
//!
//! The rules are those of Go's `FieldData` with `mapstructure.WeakDecode` and `parseutil`, determined by running them. Go
//! stores every JSON number as a 64-bit float, and a number outside the range of an integer wraps or saturates, depending on
//! the machine. Here integers are exact, and a number that is out of range is rejected.

mod durations;
mod integers;
mod lists;
mod maps;
mod scalars;
mod times;

use serde_json::Value;

pub use self::durations::{DurationError, parse_duration};
use super::field_type::FieldType;

/// Coerces `raw` to the type `kind`.
///
/// `Ok(None)` means that the value counts as missing: `null` for a duration or a time. For every other type, `null` is the
/// zero value. Integers and durations (whole seconds) become numbers, a time becomes an RFC 3339 string in UTC, pairs
/// become an object of strings, and headers become an object of lists with canonical names.
pub(crate) fn coerce(kind: FieldType, raw: &Value) -> Result<Option<Value>, CoerceError> {
    let value = match kind {
        FieldType::DurationSecond | FieldType::SignedDurationSecond | FieldType::Time if raw.is_null() => {
            return Ok(None);
        }
        FieldType::String => scalars::string(raw)?.into(),
        FieldType::LowerCaseString => scalars::lower_case(raw)?.into(),
        FieldType::NameString => scalars::name(raw)?.into(),
        FieldType::Int | FieldType::Int64 => scalars::int(raw)?.into(),
        FieldType::Bool => scalars::bool(raw)?.into(),
        FieldType::Float => scalars::float(raw)?.into(),
        FieldType::DurationSecond => durations::seconds(raw)?.into(),
        FieldType::SignedDurationSecond => durations::signed_seconds(raw)?.into(),
        FieldType::Time => times::time(raw)?.into(),
        FieldType::Slice => lists::list(raw).into(),
        FieldType::StringSlice => lists::strings(raw)?.into(),
        FieldType::CommaStringSlice => lists::comma_strings(raw)?.into(),
        FieldType::CommaIntSlice => lists::comma_ints(raw)?.into(),
        FieldType::Map => maps::map(raw)?.into(),
        FieldType::KvPairs => maps::pairs(raw)?.into(),
        FieldType::Header => maps::header(raw)?.into(),
    };
    Ok(Some(value))
}

/// An error from [`coerce`].
///
/// The messages are those of Go where these are suitable for users. Text that may be a credential (strings, pairs, headers) is
/// not included, although Go includes it.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum CoerceError {
    /// The type of the JSON value cannot be converted.
    #[error("expected {expected}, got {got}")]
    Unconvertible { expected: &'static str, got: &'static str },
    /// A string is not a valid number or boolean.
    #[error("cannot parse {text:?} as {expected}: {reason}")]
    Unparsable { text: String, expected: &'static str, reason: &'static str },
    /// A number is out of range.
    #[error("cannot hold {0} as int: value out of range")]
    OutOfRange(String),
    /// An item of a list is invalid.
    #[error("item {index}: {problem}")]
    Item { index: usize, problem: Box<CoerceError> },
    /// A name contains characters that are not allowed in a URL segment.
    #[error("field does not match the formatting rules")]
    NotAName,
    /// A string is not a duration.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// The JSON value for a duration has the wrong type.
    #[error("could not parse duration from input")]
    InvalidDurationType,
    /// An unsigned duration is negative.
    #[error("cannot provide negative value '{0}'")]
    Negative(i64),
    /// A string is neither RFC 3339 nor seconds since the epoch.
    #[error("could not parse string as date and time")]
    NotATime,
    /// The JSON value for a time has the wrong type.
    #[error("could not parse time from input type")]
    InvalidTimeType,
    /// An item of a list of pairs has no key or no separator.
    #[error("invalid key pair in item {index}: expected key{separator}value")]
    NotAPair { index: usize, separator: char },
    /// A string of headers is neither JSON nor base64 of JSON.
    #[error("expected headers as a JSON object, which may be encoded in base64")]
    NotHeaders,
    /// The value of a header is neither a string nor a list of strings.
    #[error("received non-string value for header {0:?}")]
    HeaderValue(String),
}

impl CoerceError {
    fn unconvertible(expected: &'static str, raw: &Value) -> Self {
        let got = match raw {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "a string",
            Value::Array(_) => "a list",
            Value::Object(_) => "a map",
        };
        Self::Unconvertible { expected, got }
    }

    fn in_item(self, index: usize) -> Self {
        Self::Item { index, problem: Box::new(self) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    pub(super) fn check(kind: FieldType, raw: Value, expected: Value) {
        assert_eq!(coerce(kind, &raw), Ok(Some(expected)), "{kind:?} of {raw}");
    }

    pub(super) fn not_given(kind: FieldType, raw: Value) {
        assert_eq!(coerce(kind, &raw), Ok(None), "{kind:?} of {raw}");
    }

    pub(super) fn refuse(kind: FieldType, raw: Value, message: &str) {
        let result = coerce(kind, &raw).map_err(|error| error.to_string());
        assert_eq!(result, Err(message.to_owned()), "{kind:?} of {raw}");
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let text = prop_oneof![
            any::<String>(),
            "[-+]?[0-9]{0,4}(\\.[0-9]{1,3})?(d|h|m|s|ms)?",
            "[a-c]{0,2}[=:,][a-c ]{0,3}",
            "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2]?[0-9]:[0-5][0-9]:[0-5][0-9]([.,][0-9]{1,12})?(Z|[-+][0-2][0-9]:[0-6]0)",
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e6..1e6).prop_map(|float: f64| json!(float)),
            text.prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            let member = ("[a-zA-Z-]{0,4}", inner.clone());
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                prop::collection::vec(member, 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// A coerced value may be stored and sent again.
        #[test]
        fn a_coerced_value_is_coerced_to_itself(raw in any_json()) {
            for kind in FieldType::ALL {
                if let Ok(Some(value)) = coerce(kind, &raw) {
                    prop_assert_eq!(coerce(kind, &value), Ok(Some(value)), "{:?}", kind);
                }
            }
        }
    }
}
