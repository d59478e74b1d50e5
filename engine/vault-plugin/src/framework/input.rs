//! Converts the parameters of a request into the struct of a handler: declared fields, coercion, validation.

mod coerce;
pub mod field;
mod field_type;
mod merge_patch;

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::logical::{Error, Map, Operation};

pub(crate) use self::coerce::coerce;
pub use self::coerce::{DurationError, parse_duration};
pub use self::field::{DisplayAttributes, Field};
pub(crate) use self::field_type::FieldType;
pub use self::merge_patch::merge_patch;

/// How undeclared parameters are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InputPolicy {
    /// They are ignored, with a warning.
    DeclaredOnly,
    /// The handler gets them.
    Arbitrary,
}

/// The coerced fields of a request, and the data for the warnings of the response.
pub(crate) struct ValidatedInput {
    pub(crate) fields: Map,
    /// Undeclared parameters, sorted.
    pub(crate) ignored: Vec<String>,
    /// Fields of the body that were replaced with captures of the path.
    pub(crate) replaced: Vec<String>,
}

/// Merges the body with the captures of the path, which have precedence, and coerces every declared field, like
/// `FieldData.Validate` in Go. The error has Go's message.
pub(crate) fn validate(
    schema: &BTreeMap<String, Field>,
    input: InputPolicy,
    operation: &Operation,
    data: &Map,
    captures: &[(&str, &str)],
) -> Result<ValidatedInput, String> {
    let ignored = data.keys().filter(|name| !schema.contains_key(*name)).cloned().collect();
    let replaced = captures.iter().filter(|(name, _)| data.get(*name).is_some_and(|value| !value.is_null()));
    let replaced = replaced.map(|(name, _)| (*name).to_owned()).collect();

    let captured = |name: &str| captures.iter().find(|(captured, _)| *captured == name);
    let patch = *operation == Operation::Patch;
    let mut fields = Map::new();
    for (name, field) in schema {
        let from_path = captured(name).map(|(_, text)| Value::String((*text).to_owned()));
        match from_path.as_ref().or_else(|| data.get(name)) {
            Some(Value::Null) if patch => {
                fields.insert(name.clone(), Value::Null);
            }
            Some(value) => {
                let value = coerce(field.kind(), value)
                    .map_err(|error| format!("error converting input for field {name:?}: {error}"))?;
                if let Some(value) = value {
                    fields.insert(name.clone(), value);
                }
            }
            None => {}
        }
        if !patch
            && !fields.contains_key(name)
            && let Some(default) = field.coerced_default()
        {
            fields.insert(name.clone(), default);
        }
    }
    if input == InputPolicy::Arbitrary {
        let undeclared = data.iter().filter(|(name, _)| !schema.contains_key(*name));
        fields.extend(undeclared.map(|(name, value)| (name.clone(), value.clone())));
        for (name, text) in captures.iter().filter(|(name, _)| !schema.contains_key(*name)) {
            fields.insert((*name).to_owned(), Value::String((*text).to_owned()));
        }
    }
    Ok(ValidatedInput { fields, ignored, replaced })
}

/// Deserializes the struct of a handler. An error, such as a missing required field, is caused by the caller.
pub(crate) fn deserialize<T: DeserializeOwned>(fields: Map) -> Result<T, Error> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| Error::invalid(format!("{error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> BTreeMap<String, Field> {
        BTreeMap::from([
            ("name".to_owned(), Field::string()),
            ("ttl".to_owned(), Field::duration().default("1h")),
            ("permissions".to_owned(), Field::comma_strings()),
        ])
    }

    fn declared(
        operation: &Operation,
        data: &Map,
        captures: &[(&str, &str)],
    ) -> Result<ValidatedInput, String> {
        validate(&schema(), InputPolicy::DeclaredOnly, operation, data, captures)
    }

    #[test]
    fn undeclared_input_reaches_only_a_path_with_arbitrary_input() {
        let data = object(json!({"surprise": 1}));
        let input = validate(&schema(), InputPolicy::Arbitrary, &Operation::Update, &data, &[]).unwrap();
        assert_eq!(input.fields["surprise"], 1);
    }

    fn object(value: Value) -> Map {
        value.as_object().cloned().unwrap()
    }

    #[test]
    fn a_missing_field_has_its_default_and_a_given_one_is_coerced() {
        let data = object(json!({"permissions": "read, write"}));
        let input = declared(&Operation::Update, &data, &[("name", "dev")]).unwrap();
        let expected = json!({"name": "dev", "ttl": 3600, "permissions": ["read", "write"]});
        assert_eq!(Value::Object(input.fields), expected);
    }

    #[test]
    fn a_patch_has_no_defaults_and_distinguishes_null_from_missing() {
        let data = object(json!({"permissions": null}));
        let input = declared(&Operation::Patch, &data, &[]).unwrap();
        assert_eq!(Value::Object(input.fields), json!({"permissions": null}));
    }

    #[test]
    fn the_path_has_precedence_over_the_body_with_a_warning() {
        let data = object(json!({"name": "other", "surprise": 1}));
        let input = declared(&Operation::Update, &data, &[("name", "dev")]).unwrap();
        assert_eq!(input.fields["name"], "dev");
        assert!(!input.fields.contains_key("surprise"));
        assert_eq!(input.replaced, ["name"]);
        assert_eq!(input.ignored, ["surprise"]);
    }

    #[test]
    fn input_of_the_wrong_type_is_refused_with_the_name_of_the_field() {
        let data = object(json!({"ttl": "soon"}));
        let error = declared(&Operation::Update, &data, &[]).err().unwrap();
        assert!(error.starts_with("error converting input for field \"ttl\": "), "{error}");
    }
}
