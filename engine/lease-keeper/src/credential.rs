//! The fields of a credential as strings that are wiped when they are dropped.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;
use vault_api::SecretString;
use vault_api::logical::LogicalData;
use zeroize::Zeroize;

/// An issued credential. `Debug` shows only the names of its fields.
#[derive(Clone)]
pub struct Credential {
    fields: BTreeMap<String, SecretString>,
    json: SecretString,
}

impl Credential {
    /// Takes the fields out of the data of a response, and wipes the data.
    ///
    /// A list of strings becomes a comma-separated string, the form in which secrets engines accept lists. Other structures become JSON.
    pub fn new(data: LogicalData) -> Credential {
        let json = SecretString::new(serde_json::to_string(&data.0).unwrap_or_default());
        let fields = data.0.into_iter().map(|(name, value)| (name, value_to_string(value))).collect();
        Credential { fields, json }
    }

    /// The value of a field.
    pub fn field(&self, name: &str) -> Option<&SecretString> {
        self.fields.get(name)
    }

    /// All fields, sorted by name.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &SecretString)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// All fields as one JSON object.
    pub fn json(&self) -> &SecretString {
        &self.json
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.fields.keys()).finish()
    }
}

fn value_to_string(mut value: Value) -> SecretString {
    let text = match &mut value {
        Value::String(text) => SecretString::new(std::mem::take(text)),
        Value::Null => SecretString::default(),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            SecretString::new(items.join(","))
        }
        other => SecretString::new(other.to_string()),
    };
    zeroize_value(&mut value);
    text
}

fn zeroize_value(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(zeroize_value),
        Value::Object(fields) => fields.values_mut().for_each(zeroize_value),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_become_strings_and_never_show_in_debug_output() {
        let data = json!({"token": "hunter2", "permissions": ["read", "write"], "port": 5432, "tags": {"a": [1]}, "no": null});
        let credential = Credential::new(LogicalData(data.as_object().expect("an object").clone()));
        for (name, expected) in [
            ("token", "hunter2"),
            ("permissions", "read,write"),
            ("port", "5432"),
            ("tags", r#"{"a":[1]}"#),
            ("no", ""),
        ] {
            assert_eq!(credential.field(name).map(SecretString::expose), Some(expected), "{name}");
        }
        assert!(credential.json().expose().contains(r#""token":"hunter2""#));
        assert!(!format!("{credential:?}").contains("hunter2"));
    }
}
