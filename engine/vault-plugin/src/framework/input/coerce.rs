//! Brings a request's loosely typed JSON to the types the fields declare, as `sdk/framework` does.
//!
//! The rules are those of Go's `FieldData` over `mapstructure.WeakDecode` and `parseutil`, found by running them. Go
//! holds every JSON number as a 64-bit float and lets one outside the range of its integers wrap or saturate,
//! depending on the machine; here integers are exact, and one that does not fit is refused.

mod durations;
mod integers;
mod lists;
mod maps;
mod scalars;
mod times;

use serde_json::Value;

pub use self::durations::{DurationError, parse_duration};
use super::field_type::FieldType;

/// Brings `raw` to the form a field of the type `kind` has.
///
/// `Ok(None)` means that the value counts as not given: `null` for a duration or a time. For every other type `null`
/// counts as given, and as the zero value. Integers and durations (whole seconds) become numbers, a time becomes
/// RFC 3339 text in UTC, pairs an object of texts, headers an object of lists under canonical names.
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

/// Why a value cannot be brought to the type of its field.
///
/// Where Go's own text is fit for a reader, this is it. Text which may be a credential (strings, pairs, headers) is
/// not repeated, though Go repeats it.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum CoerceError {
    /// The JSON value is of a kind that has no conversion.
    #[error("expected {expected}, got {got}")]
    Unconvertible { expected: &'static str, got: &'static str },
    /// A text does not read as the number or boolean it should be.
    #[error("cannot parse {text:?} as {expected}: {reason}")]
    Unparsable { text: String, expected: &'static str, reason: &'static str },
    /// A number does not fit.
    #[error("cannot hold {0} as int: value out of range")]
    OutOfRange(String),
    /// One item of a list is at fault.
    #[error("item {index}: {problem}")]
    Item { index: usize, problem: Box<CoerceError> },
    /// A name has characters that a URL segment should not have.
    #[error("field does not match the formatting rules")]
    NotAName,
    /// A text is no duration.
    #[error(transparent)]
    Duration(#[from] DurationError),
    /// A value of another kind was given for a duration.
    #[error("could not parse duration from input")]
    InvalidDurationType,
    /// A duration that must not be negative is.
    #[error("cannot provide negative value '{0}'")]
    Negative(i64),
    /// A text is neither RFC 3339 nor seconds since the epoch.
    #[error("could not parse string as date and time")]
    NotATime,
    /// A value of another kind was given for a time.
    #[error("could not parse time from input type")]
    InvalidTimeType,
    /// An item of a list of pairs lacks its key or its separator.
    #[error("invalid key pair in item {index}: expected key{separator}value")]
    NotAPair { index: usize, separator: char },
    /// Headers came as text which is neither JSON nor base64 of it.
    #[error("expected headers as a JSON object, which may be encoded in base64")]
    NotHeaders,
    /// A header has a value other than text or a list of it.
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
        let refusal = coerce(kind, &raw).map_err(|error| error.to_string());
        assert_eq!(refusal, Err(message.to_owned()), "{kind:?} of {raw}");
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
        /// What a handler is given may be stored, sent and read again as the same.
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
