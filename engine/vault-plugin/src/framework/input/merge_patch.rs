//! JSON merge patch (RFC 7396), like `HandlePatchOperation` of `sdk/framework`.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::logical::{Error, Map};

/// Applies a patch to `resource` and returns the result: a null field is removed, an object is patched recursively, and any
/// other value replaces the existing one.
///
/// A patch handler that takes its fields as a [`Map`] gets suitable input: the coerced fields of the request, including null
/// values and the captures of the path. Fields that `T` does not contain are ignored.
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
/// [`Error::Invalid`] if the result is not a valid `T`, for example because a required field was removed.
pub fn merge_patch<T: Serialize + DeserializeOwned>(resource: &T, changes: Map) -> Result<T, Error> {
    let mut merged = serde_json::to_value(resource)
        .map_err(|_| Error::internal("cannot encode the object to patch as JSON"))?;
    merge(&mut merged, Value::Object(changes));
    serde_json::from_value(merged).map_err(|error| Error::invalid(format!("cannot apply the patch: {error}")))
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
    fn a_patch_is_merged_according_to_the_standard() {
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
    fn a_required_field_cannot_be_removed() {
        #[derive(Debug, Serialize, serde::Deserialize)]
        struct Role {
            ttl: u64,
        }
        let changes = json!({"ttl": null}).as_object().cloned().unwrap();
        let error = merge_patch(&Role { ttl: 1 }, changes).unwrap_err();
        assert!(matches!(&error, Error::Invalid(text) if text.contains("ttl")), "{error}");
    }
}
