//! The fields in which two objects differ.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldDrift {
    /// Its path. Members of lists are identified by their `name`, if they have one.
    pub path: String,
    /// Current value; `None` if there is none.
    pub before: Option<Value>,
    /// Value after the change.
    pub after: Option<Value>,
}

/// Returns every field that differs, sorted by path.
pub(super) fn differences(before: &Value, after: &Value) -> Vec<FieldDrift> {
    let mut found = Vec::new();
    collect_differences(String::new(), Some(before), Some(after), &mut found);
    found
}

fn collect_differences(
    path: String,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<FieldDrift>,
) {
    if before == after {
        return;
    }
    let empty = Value::Null;
    match (before.unwrap_or(&empty), after.unwrap_or(&empty)) {
        (Value::Object(_) | Value::Null, Value::Object(_) | Value::Null)
            if is_map(before) || is_map(after) =>
        {
            let keys = |value: Option<&Value>| -> BTreeSet<String> {
                value.and_then(Value::as_object).map(|map| map.keys().cloned().collect()).unwrap_or_default()
            };
            let all: BTreeSet<String> = &keys(before) | &keys(after);
            for key in all {
                let member = |value: Option<&Value>| value.and_then(|value| value.get(&key)).cloned();
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                collect_differences(path, member(before).as_ref(), member(after).as_ref(), found);
            }
        }
        (Value::Array(_) | Value::Null, Value::Array(_) | Value::Null)
            if is_list(before) || is_list(after) =>
        {
            let members = |value: Option<&Value>| members(value);
            let (before, after) = (members(before), members(after));
            let mut names: Vec<&String> = before.iter().map(|(name, _)| name).collect();
            names.extend(
                after.iter().map(|(name, _)| name).filter(|name| !before.iter().any(|(n, _)| n == *name)),
            );
            for name in names {
                let member = |list: &[(String, Value)]| {
                    list.iter().find(|(other, _)| other == name).map(|(_, value)| value.clone())
                };
                collect_differences(
                    format!("{path}[{name}]"),
                    member(&before).as_ref(),
                    member(&after).as_ref(),
                    found,
                );
            }
        }
        _ => found.push(FieldDrift { path, before: before.cloned(), after: after.cloned() }),
    }
}

/// The members of a list by `name`, or by index if they have none.
fn members(value: Option<&Value>) -> Vec<(String, Value)> {
    let list = value.and_then(Value::as_array).cloned().unwrap_or_default();
    list.into_iter()
        .enumerate()
        .map(|(index, member)| {
            let name = member.get("name").and_then(Value::as_str).map(str::to_owned);
            (name.unwrap_or_else(|| index.to_string()), member)
        })
        .collect()
}

/// Whether a value is a map with members. An empty map is compared as a value.
fn is_map(value: Option<&Value>) -> bool {
    value.and_then(Value::as_object).is_some_and(|map| !map.is_empty())
}

fn is_list(value: Option<&Value>) -> bool {
    value.and_then(Value::as_array).is_some_and(|list| !list.is_empty())
}

impl fmt::Display for FieldDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (Some(before), Some(after)) => write!(f, "{}: {before} becomes {after}", self.path),
            (None, Some(after)) => write!(f, "{}: {after} is added", self.path),
            (Some(before), None) => write!(f, "{}: {before} is removed", self.path),
            (None, None) => write!(f, "{}", self.path),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(before: Value, after: Value, expected: &[&str]) {
        let lines: Vec<String> = differences(&before, &after).iter().map(ToString::to_string).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_field_goes_by_its_path() {
        check(json!({"a": {"b": 1}}), json!({"a": {"b": 1}}), &[]);
        check(
            json!({"spec": {"type": "RollingUpdate", "keep": 1}}),
            json!({"spec": {"type": "OnDelete", "keep": 1}}),
            &["spec.type: \"RollingUpdate\" becomes \"OnDelete\""],
        );
    }

    #[test]
    fn what_is_added_is_shown_field_by_field() {
        check(
            json!({}),
            json!({"volumes": [{"name": "plugins", "emptyDir": {}}]}),
            &["volumes[plugins].emptyDir: {} is added", "volumes[plugins].name: \"plugins\" is added"],
        );
    }

    #[test]
    fn members_of_lists_go_by_their_names() {
        check(
            json!({"c": [{"name": "a", "image": "x:1"}, {"name": "b"}]}),
            json!({"c": [{"name": "b"}, {"name": "a", "image": "x:2"}]}),
            &["c[a].image: \"x:1\" becomes \"x:2\""],
        );
        check(
            json!({"verbs": ["get", "list"]}),
            json!({"verbs": ["get"]}),
            &["verbs[1]: \"list\" is removed"],
        );
    }
}
