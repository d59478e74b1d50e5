//! The update of a field in a write: none, a value, or (in a patch) a reset to the default.

use serde::{Deserialize, Deserializer};

/// A field of a write. Use it with `#[serde(default)]`, so that an absent field is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum FieldUpdate<T> {
    /// Absent.
    #[default]
    Keep,
    /// Null.
    Clear,
    /// A value.
    Set(T),
}

impl<T> FieldUpdate<T> {
    /// Applies the update. A cleared field becomes `default`.
    pub(crate) fn apply(self, field: &mut T, default: T) {
        match self {
            FieldUpdate::Keep => {}
            FieldUpdate::Clear => *field = default,
            FieldUpdate::Set(value) => *field = value,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FieldUpdate<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<FieldUpdate<T>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(FieldUpdate::Clear, FieldUpdate::Set))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    struct Fields {
        #[serde(default)]
        ttl: FieldUpdate<u64>,
    }

    #[test]
    fn absent_null_and_a_value_are_distinguished() {
        for (fields, expected) in [
            (json!({}), FieldUpdate::Keep),
            (json!({"ttl": null}), FieldUpdate::Clear),
            (json!({"ttl": 5}), FieldUpdate::Set(5)),
        ] {
            assert_eq!(serde_json::from_value::<Fields>(fields).unwrap().ttl, expected);
        }
    }
}
