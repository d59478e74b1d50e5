//! Parameters that a description declares: of the connection, and of each role.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use vault_plugin::framework::parse_duration;

use super::problem::{Heading, Place, Problem, Problems};
use crate::upstream::suggestion::suggestion;
use crate::upstream::template::check_path;
use crate::upstream::values::Parameters;

/// The maximum size of a value, in bytes of its JSON.
const MAX_VALUE: usize = 16 * 1024;

/// A parameter.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug, schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameter {
    /// Type of the value. Default string.
    #[serde(default, rename = "type", skip_serializing_if = "ParameterType::is_default")]
    pub(crate) kind: ParameterType,
    /// Whether the parameter is required.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) required: bool,
    /// Default value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<Value>,
    /// Allowed values. Default: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) allowed: Vec<String>,
    /// Help text, in one sentence.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) help: String,
    /// Whether the value is never shown. For connections only.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) secret: bool,
}

/// The type of a value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum ParameterType {
    #[default]
    String,
    Int,
    Bool,
    /// A list of texts, or text separated by commas.
    List,
    /// Any JSON value, or text that contains one.
    Json,
    /// A number of seconds, or text such as 90m or 1d, which is converted to seconds.
    Duration,
    /// A path below api_endpoint. For connections only.
    Path,
}

impl ParameterType {
    fn is_default(&self) -> bool {
        *self == ParameterType::default()
    }

    /// Its name in a description.
    pub(crate) fn name(self) -> &'static str {
        match self {
            ParameterType::String => "string",
            ParameterType::Int => "int",
            ParameterType::Bool => "bool",
            ParameterType::List => "list",
            ParameterType::Json => "json",
            ParameterType::Duration => "duration",
            ParameterType::Path => "path",
        }
    }
}

impl Parameter {
    /// Returns whether the value can be empty.
    pub(crate) fn can_be_empty(&self) -> bool {
        !self.required && self.default.as_ref().is_none_or(is_empty)
    }

    /// Converts a value to the type of the parameter. The error message does not contain the value.
    pub(crate) fn coerce(&self, given: &Value) -> Result<Value, String> {
        let value = coerce_to(self.kind, given)?;
        if value.to_string().len() > MAX_VALUE {
            return Err(format!("must not be longer than {} KiB", MAX_VALUE / 1024));
        }
        let is_allowed =
            |text: &str| self.allowed.is_empty() || self.allowed.iter().any(|known| known == text);
        let all_allowed = match &value {
            Value::String(text) => is_allowed(text),
            Value::Array(items) => items.iter().all(|item| item.as_str().is_none_or(is_allowed)),
            _ => true,
        };
        if all_allowed { Ok(value) } else { Err(format!("must be one of {}", self.allowed.join(", "))) }
    }
}

/// Whether a value counts as not given.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn coerce_to(kind: ParameterType, given: &Value) -> Result<Value, String> {
    match kind {
        ParameterType::String => scalar_text(given).map(Value::String).ok_or("must be text"),
        ParameterType::Int => match given {
            Value::Number(number) if number.is_i64() || number.is_u64() => Ok(given.clone()),
            Value::String(text) => {
                text.trim().parse::<i64>().map(Value::from).map_err(|_| "must be a whole number")
            }
            _ => Err("must be a whole number"),
        },
        ParameterType::Bool => match given {
            Value::Bool(_) => Ok(given.clone()),
            Value::String(text) => {
                text.trim().parse::<bool>().map(Value::from).map_err(|_| "must be true or false")
            }
            _ => Err("must be true or false"),
        },
        ParameterType::List => list(given).ok_or("must be a list of texts, or text separated by commas"),
        ParameterType::Json => match given {
            Value::String(text) => serde_json::from_str(text).map_err(|_| "must be JSON"),
            other => Ok(other.clone()),
        },
        ParameterType::Duration => {
            duration(given).ok_or("must be a duration longer than zero, such as 90m or 1d")
        }
        ParameterType::Path => match given {
            Value::String(text) => check_path(text).map(|()| given.clone()),
            _ => Err("must be text"),
        },
    }
    .map_err(str::to_owned)
}

fn scalar_text(given: &Value) -> Option<String> {
    match given {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(given.to_string()),
        _ => None,
    }
}

fn list(given: &Value) -> Option<Value> {
    let items: Vec<Value> = match given {
        Value::String(text) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            items.map(Value::from).collect()
        }
        Value::Array(items) => {
            items.iter().map(|item| scalar_text(item).map(Value::from)).collect::<Option<_>>()?
        }
        _ => return None,
    };
    Some(items.into())
}

fn duration(given: &Value) -> Option<Value> {
    let seconds = match given {
        Value::Number(number) => number.as_i64()?,
        Value::String(text) => parse_duration(text.trim()).ok()?,
        _ => return None,
    };
    (seconds > 0).then(|| seconds.into())
}

/// Converts parameters to their types and adds defaults. `place` is the field that contains them.
pub(crate) fn complete(
    declared: &BTreeMap<String, Parameter>,
    given: &Parameters,
    place: &Place,
) -> Result<Parameters, Problems> {
    let (mut complete, mut problems) = coerce_given(declared, given, place);
    for (name, parameter) in declared {
        if complete.contains_key(name) || given.get(name).is_some_and(|value| !is_empty(value)) {
            continue;
        }
        if let Some(default) = &parameter.default {
            // Validation has checked that the default has the type of the parameter.
            complete.insert(name.clone(), parameter.coerce(default).unwrap_or_else(|_| default.clone()));
        } else if parameter.required {
            let help =
                if parameter.help.is_empty() { String::new() } else { format!(": {}", parameter.help) };
            problems.push(Problem::new(&place.key(name), format!("is required{help}")));
        }
    }
    if problems.is_empty() { Ok(complete) } else { Err(Problems { heading: Heading::Parameters, problems }) }
}

/// The given parameters in their types, and what is wrong with those that are unknown or have another type.
pub(crate) fn coerce_given(
    declared: &BTreeMap<String, Parameter>,
    given: &Parameters,
    place: &Place,
) -> (Parameters, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut coerced = Parameters::new();
    for (name, value) in given {
        let Some(parameter) = declared.get(name) else {
            let suggestion = suggestion(name, declared.keys().map(String::as_str));
            problems
                .push(Problem::new(&place.key(name), format!("the API has no such parameter{suggestion}")));
            continue;
        };
        if is_empty(value) {
            continue;
        }
        match parameter.coerce(value) {
            Ok(value) => drop(coerced.insert(name.clone(), value)),
            Err(message) => problems.push(Problem::new(&place.key(name), message)),
        }
    }
    (coerced, problems)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameter(value: Value) -> Parameter {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check(kind: &str, given: Value, expected: Result<Value, &str>) {
        let coerced = parameter(json!({"type": kind})).coerce(&given);
        match (coerced, expected) {
            (Ok(value), Ok(expected)) => assert_eq!(value, expected, "{kind}: {given}"),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{kind}: {given}: {error}"),
            (coerced, _) => panic!("{kind}: {given}: {coerced:?}"),
        }
    }

    #[test]
    fn the_name_of_a_type_is_that_of_a_description() {
        for name in ["string", "int", "bool", "list", "json", "duration", "path"] {
            assert_eq!(parameter(json!({"type": name})).kind.name(), name);
        }
    }

    #[test]
    fn a_value_is_converted_to_its_type() {
        check("string", json!("x"), Ok(json!("x")));
        check("string", json!(5), Ok(json!("5")));
        check("string", json!(["x"]), Err("must be text"));
        check("int", json!("30"), Ok(json!(30)));
        check("int", json!(30), Ok(json!(30)));
        check("int", json!(1.5), Err("whole number"));
        check("bool", json!("true"), Ok(json!(true)));
        check("bool", json!("yes"), Err("true or false"));
        check("list", json!("a, b,"), Ok(json!(["a", "b"])));
        check("list", json!(["a", 2]), Ok(json!(["a", "2"])));
        check("list", json!([["a"]]), Err("list of texts"));
        check("json", json!("{\"a\": [1]}"), Ok(json!({"a": [1]})));
        check("json", json!({"a": 1}), Ok(json!({"a": 1})));
        check("json", json!("{"), Err("must be JSON"));
        check("duration", json!("90m"), Ok(json!(5400)));
        check("duration", json!(60), Ok(json!(60)));
        check("duration", json!("0s"), Err("longer than zero"));
        check("duration", json!(-1), Err("longer than zero"));
        check("path", json!("/oauth2/token"), Ok(json!("/oauth2/token")));
        check("path", json!("/a/../b"), Err("segments . and .."));
        check("path", json!("https://example.com"), Err("must begin with /"));
        check("string", json!("x".repeat(MAX_VALUE)), Err("longer than"));
        let level = parameter(json!({"allowed": ["read", "write"]}));
        assert_eq!(level.coerce(&json!("admin")).unwrap_err(), "must be one of read, write");
    }

    #[test]
    fn parameters_are_completed_with_defaults_and_named_when_they_are_missing_or_misspelt() {
        let declared: BTreeMap<String, Parameter> = serde_json::from_value(json!({
            "user": {"required": true, "help": "Name of the user"},
            "level": {"type": "int", "default": 30},
            "scopes": {"type": "list"},
        }))
        .unwrap();
        let place = Place::root().key("parameters");
        let given = |value: Value| serde_json::from_value::<Parameters>(value).unwrap();
        let completed = complete(&declared, &given(json!({"user": "ada", "scopes": ""})), &place).unwrap();
        assert_eq!(completed, given(json!({"user": "ada", "level": 30})));
        let error = complete(&declared, &given(json!({"usr": "hunter2", "level": "hunter2"})), &place);
        let text = error.unwrap_err().to_string();
        for expected in [
            "parameters.usr: the API has no such parameter; did you mean user?",
            "parameters.user: is required: Name of the user",
            "parameters.level: must be a whole number",
        ] {
            assert!(text.contains(expected), "{text}");
        }
        assert!(!text.contains("hunter2"), "{text}");
    }
}
