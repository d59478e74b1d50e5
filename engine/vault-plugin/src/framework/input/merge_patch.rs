//! JSON merge patch (RFC 7396), as `HandlePatchOperation` of `sdk/framework` applies it.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::logical::{Error, Map};

/// What becomes of `resource` when a patch changes it: a field that is null goes, an object is patched in turn, anything
/// else takes the place of what was.
///
/// The handler of a patch that takes its fields as a [`Map`] gets what this wants: the declared fields that were given,
/// coerced. The names that the path captured are among them; a field that `T` does not know is left out.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use vault_plugin::framework::merge_patch;
///
/// #[derive(Serialize, Deserialize)]
/// struct Role { ttl: u64, note: Option<String> }
///
/// let changes = serde_json::json!({"name": "dev", "note": null, "ttl": 60});
/// let role = Role { ttl: 3600, note: Some("temporary".to_owned()) };
/// let role = merge_patch(&role, changes.as_object().cloned().unwrap())?;
/// assert_eq!((role.ttl, role.note), (60, None));
/// # Ok::<(), vault_plugin::logical::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] when what comes out is no `T`, for instance since a field that it needs was taken away.
pub fn merge_patch<T: Serialize + DeserializeOwned>(resource: &T, changes: Map) -> Result<T, Error> {
    let mut merged = serde_json::to_value(resource)
        .map_err(|_| Error::internal("what is to be patched has no JSON form"))?;
    merge(&mut merged, Value::Object(changes));
    serde_json::from_value(merged)
        .map_err(|error| Error::invalid(format!("the patch cannot be applied: {error}")))
}

fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(target: Value, patch: Value, expected: Value) {
        let mut merged = target;
        merge(&mut merged, patch);
        assert_eq!(merged, expected);
    }

    /// The cases of RFC 7396, appendix A.
    #[test]
    fn a_patch_is_merged_as_the_standard_says() {
        check(json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"}));
        check(json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"}));
        check(json!({"a": "b"}), json!({"a": null}), json!({}));
        check(json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"}));
        check(json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"}));
        check(json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]}));
        check(json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}}));
        check(json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]}));
        check(json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"]));
        check(json!({"a": "b"}), json!(["c"]), json!(["c"]));
        check(json!({"a": "foo"}), json!(null), json!(null));
        check(json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1}));
        check(json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"}));
        check(json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}}));
    }

    #[test]
    fn what_a_resource_needs_cannot_be_taken_away() {
        #[derive(Debug, Serialize, serde::Deserialize)]
        struct Role {
            ttl: u64,
        }
        let changes = json!({"ttl": null}).as_object().cloned().unwrap();
        let error = merge_patch(&Role { ttl: 1 }, changes).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("ttl")), "{error}");
    }
}
