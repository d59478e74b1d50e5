//! What a write says of a field: nothing, a value, or (in a patch) that it goes back to its default.

use serde::{Deserialize, Deserializer};

/// One field of a write. Goes with `#[serde(default)]`, by which an absent field is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Change<T> {
    /// Not given.
    #[default]
    Keep,
    /// Given as null.
    Clear,
    /// Given with a value.
    Set(T),
}

impl<T> Change<T> {
    /// Applies the change; a cleared field becomes `default`.
    pub(crate) fn apply(self, field: &mut T, default: T) {
        match self {
            Change::Keep => {}
            Change::Clear => *field = default,
            Change::Set(value) => *field = value,
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Change<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Change<T>, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Change::Clear, Change::Set))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[derive(Deserialize)]
    struct Fields {
        #[serde(default)]
        ttl: Change<u64>,
    }

    #[test]
    fn absent_null_and_a_value_are_three_things() {
        for (given, expected) in [
            (json!({}), Change::Keep),
            (json!({"ttl": null}), Change::Clear),
            (json!({"ttl": 5}), Change::Set(5)),
        ] {
            assert_eq!(serde_json::from_value::<Fields>(given).unwrap().ttl, expected);
        }
    }
}
