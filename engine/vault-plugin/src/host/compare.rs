//! Compares two versions of a plugin.

use std::collections::BTreeMap;

use super::difference::{Difference, DifferenceKind};
use super::inspect::Inspection;
use super::path_info::{FieldInfo, OperationInfo, PathInfo, Verb};

/// Returns all differences: first those of the whole plugin, then those of each path.
///
/// The name of a path parameter does not count, because clients do not see it.
///
/// ```
/// use std::collections::BTreeMap;
/// use vault_plugin::host::{PluginCommand, compare, inspect};
/// # use std::time::Duration;
/// # use serde_json::json;
/// # use vault_plugin::host::{ShutdownBehavior, InspectError, Inspection, documented_paths};
/// # use vault_plugin::logical::{BackendType, SpecialPaths};
///
/// # async fn run() -> Result<(), InspectError> {
/// let before = inspect(PluginCommand::new("./custom-plugin-1.0.0"), BTreeMap::new()).await?;
/// let after = inspect(PluginCommand::new("./custom-plugin-1.1.0"), BTreeMap::new()).await?;
/// # Ok(()) }
/// # let before = Inspection {
/// #     version: "v1.0.0".to_owned(),
/// #     kind: BackendType::Secrets,
/// #     multiplexed: true,
/// #     protocol_version: 5,
/// #     handshake_time: Duration::ZERO,
/// #     special_paths: SpecialPaths::default(),
/// #     help: String::new(),
/// #     shutdown: ShutdownBehavior::Graceful,
/// #     paths: documented_paths(&json!({"paths": {"/roles/{name}": {"get": {}, "delete": {}}}})),
/// # };
/// # let paths = documented_paths(&json!({"paths": {"/roles/{role}": {"get": {}}}}));
/// # let after = Inspection { version: "v1.1.0".to_owned(), paths, ..before.clone() };
/// let differences: Vec<String> = compare(&before, &after).iter().map(ToString::to_string).collect();
/// assert_eq!(differences, ["version v1.0.0 becomes v1.1.0", "delete roles/{name}: removed"]);
/// ```
#[must_use]
pub fn compare(before: &Inspection, after: &Inspection) -> Vec<Difference> {
    let mut collector = DifferenceCollector { path: String::new(), verb: None, differences: Vec::new() };
    if before.version != after.version {
        collector.add(DifferenceKind::Version { from: before.version.clone(), to: after.version.clone() });
    }
    if before.kind != after.kind {
        collector.add(DifferenceKind::PluginType { from: before.kind, to: after.kind });
    }
    if before.multiplexed != after.multiplexed {
        collector.add(DifferenceKind::Multiplexed { after: after.multiplexed });
    }
    collector.paths(&before.paths, &after.paths);
    collector.differences
}

/// Returns the differences between the paths of two plugins, if nothing else is known of one of them.
///
/// ```
/// use serde_json::json;
/// use vault_plugin::host::{compare_paths, documented_paths};
///
/// let before = documented_paths(&json!({"paths": {"/roles/{name}": {"get": {}}}}));
/// let after = documented_paths(&json!({"paths": {"/roles/{role}": {"get": {}}, "/config": {"get": {}}}}));
/// let differences: Vec<String> = compare_paths(&before, &after).iter().map(ToString::to_string).collect();
/// assert_eq!(differences, ["config: added"]);
/// ```
#[must_use]
pub fn compare_paths(
    before: &BTreeMap<String, PathInfo>,
    after: &BTreeMap<String, PathInfo>,
) -> Vec<Difference> {
    let mut collector = DifferenceCollector { path: String::new(), verb: None, differences: Vec::new() };
    collector.paths(before, after);
    collector.differences
}

struct DifferenceCollector {
    path: String,
    verb: Option<Verb>,
    differences: Vec<Difference>,
}

impl DifferenceCollector {
    fn paths(&mut self, before: &BTreeMap<String, PathInfo>, after: &BTreeMap<String, PathInfo>) {
        let (before, after) = (by_shape(before), by_shape(after));
        for (_, pair) in pairs(&before, &after) {
            match pair {
                Pair::Both((name, before), (_, after)) => self.at(name).path(before, after),
                Pair::Before((name, _)) => self.at(name).add(DifferenceKind::Removed),
                Pair::After((name, _)) => self.at(name).add(DifferenceKind::Added),
            }
        }
    }

    fn at(&mut self, path: &str) -> &mut Self {
        path.clone_into(&mut self.path);
        self.verb = None;
        self
    }

    fn add(&mut self, change: DifferenceKind) {
        self.differences.push(Difference { path: self.path.clone(), verb: self.verb, kind: change });
    }

    fn path(&mut self, before: &PathInfo, after: &PathInfo) {
        if before.sudo != after.sudo {
            self.add(DifferenceKind::Sudo { after: after.sudo });
        }
        if before.unauthenticated != after.unauthenticated {
            self.add(DifferenceKind::Unauthenticated { after: after.unauthenticated });
        }
        for (verb, pair) in pairs(&before.operations, &after.operations) {
            self.verb = Some(*verb);
            match pair {
                Pair::Both(before, after) => self.operation(before, after),
                Pair::Before(_) => self.add(DifferenceKind::Removed),
                Pair::After(_) => self.add(DifferenceKind::Added),
            }
        }
    }

    fn operation(&mut self, before: &OperationInfo, after: &OperationInfo) {
        if after.deprecated && !before.deprecated {
            self.add(DifferenceKind::Deprecated { field: None });
        }
        for (name, pair) in pairs(&before.fields, &after.fields) {
            let field = name.clone();
            match pair {
                Pair::Both(before, after) => self.field(name, before, after),
                Pair::Before(_) => self.add(DifferenceKind::FieldRemoved { field }),
                Pair::After(after) => {
                    self.add(DifferenceKind::FieldAdded { field, required: after.required });
                }
            }
        }
        // An engine without documented responses has not removed any.
        if before.response_fields.is_empty() || after.response_fields.is_empty() {
            return;
        }
        for (name, pair) in pairs(&before.response_fields, &after.response_fields) {
            let field = name.clone();
            match pair {
                Pair::Both(before, after) if before.kind != after.kind => {
                    self.add(DifferenceKind::ResponseFieldType {
                        field,
                        from: before.kind.clone(),
                        to: after.kind.clone(),
                    });
                }
                Pair::Both(..) => {}
                Pair::Before(_) => self.add(DifferenceKind::ResponseFieldRemoved { field }),
                Pair::After(_) => self.add(DifferenceKind::ResponseFieldAdded { field }),
            }
        }
    }

    fn field(&mut self, name: &str, before: &FieldInfo, after: &FieldInfo) {
        let field = name.to_owned();
        if before.kind != after.kind {
            let (from, to) = (before.kind.clone(), after.kind.clone());
            self.add(DifferenceKind::FieldType { field: field.clone(), from, to });
        }
        if after.required && !before.required {
            self.add(DifferenceKind::FieldRequired { field: field.clone() });
        }
        if after.deprecated && !before.deprecated {
            self.add(DifferenceKind::Deprecated { field: Some(field.clone()) });
        }
        // No list means any value.
        let values: Vec<String> = match (before.values.is_empty(), after.values.is_empty()) {
            (false, false) => before.values.difference(&after.values).cloned().collect(),
            _ => Vec::new(),
        };
        if !values.is_empty() {
            self.add(DifferenceKind::ValuesRemoved { field, values });
        }
    }
}

/// An entry of two maps.
enum Pair<'a, V> {
    Both(&'a V, &'a V),
    Before(&'a V),
    After(&'a V),
}

fn pairs<'a, K: Ord, V>(
    before: &'a BTreeMap<K, V>,
    after: &'a BTreeMap<K, V>,
) -> BTreeMap<&'a K, Pair<'a, V>> {
    let mut pairs: BTreeMap<_, _> = before.iter().map(|(key, value)| (key, Pair::Before(value))).collect();
    for (key, value) in after {
        let pair = match before.get(key) {
            Some(old) => Pair::Both(old, value),
            None => Pair::After(value),
        };
        pairs.insert(key, pair);
    }
    pairs
}

/// Returns the paths by their shape: the path without the names of its parameters.
fn by_shape(paths: &BTreeMap<String, PathInfo>) -> BTreeMap<String, (&str, &PathInfo)> {
    let shape = |path: &str| {
        let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
        parts.collect::<Vec<_>>().join("/")
    };
    paths.iter().map(|(path, info)| (shape(path), (path.as_str(), info))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::host::{ShutdownBehavior, openapi};
    use crate::logical::{BackendType, SpecialPaths};

    fn inspection(paths: serde_json::Value) -> Inspection {
        Inspection {
            version: "v1.0.0".to_owned(),
            kind: BackendType::Secrets,
            multiplexed: true,
            protocol_version: 5,
            handshake_time: Duration::ZERO,
            special_paths: SpecialPaths::default(),
            help: String::new(),
            shutdown: ShutdownBehavior::Graceful,
            paths: openapi::documented_paths(&serde_json::json!({ "paths": paths })),
        }
    }

    fn body(properties: serde_json::Value) -> serde_json::Value {
        let schema = serde_json::json!({"properties": properties, "required": ["must"]});
        serde_json::json!({"requestBody": {"content": {"application/json": {"schema": schema}}}})
    }

    /// Compares two documents. Breaking differences are marked with `!`.
    #[track_caller]
    fn check(before: serde_json::Value, after: serde_json::Value, expected: &[&str]) {
        let differences = compare(&inspection(before), &inspection(after));
        let texts: Vec<_> = differences
            .iter()
            .map(|difference| format!("{}{difference}", if difference.breaks_clients() { "!" } else { "" }))
            .collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_removal_breaks_clients_and_an_addition_does_not() {
        check(
            serde_json::json!({"/a": {"get": {}, "delete": {}}, "/b": {"get": {}}}),
            serde_json::json!({"/a": {"get": {}, "patch": {}}, "/c": {"get": {}}}),
            &["patch a: added", "!delete a: removed", "!b: removed", "c: added"],
        );
    }

    #[test]
    fn a_changed_field_breaks_clients() {
        check(
            serde_json::json!({"/a": {"post": body(serde_json::json!({
                "gone": {"type": "string"}, "other": {"type": "string"}, "mode": {"enum": ["a", "b"]},
            }))}}),
            serde_json::json!({"/a": {"post": body(serde_json::json!({
                "other": {"type": "integer"}, "mode": {"enum": ["b", "c"]}, "must": {"type": "string"},
                "may": {"type": "string"},
            }))}}),
            &[
                "!write a: field gone removed",
                "write a: field may added",
                "!write a: field mode no longer accepts a",
                "!write a: field must added, and required",
                "!write a: field other changes from string to integer",
            ],
        );
    }

    #[test]
    fn a_stricter_path_breaks_clients_and_a_laxer_one_does_not() {
        let (strict, lax) = (
            serde_json::json!({"/a": {"x-vault-sudo": true}}),
            serde_json::json!({"/a": {"x-vault-unauthenticated": true}}),
        );
        check(
            lax.clone(),
            strict.clone(),
            &["!a: now requires sudo", "!a: no longer accessible without a token"],
        );
        check(strict, lax, &["a: no longer requires sudo", "a: now accessible without a token"]);
    }

    #[test]
    fn the_name_of_a_path_parameter_is_not_a_difference() {
        let (before, after) = (
            serde_json::json!({"/roles/{name}": {"get": {}}}),
            serde_json::json!({"/roles/{role}": {"get": {}}}),
        );
        check(before, after, &[]);
    }

    #[test]
    fn the_plugin_itself_comes_first() {
        let before = inspection(serde_json::json!({}));
        let after = Inspection {
            version: "v2.0.0".to_owned(),
            kind: BackendType::Credential,
            multiplexed: false,
            ..inspection(serde_json::json!({"/a": {}}))
        };
        let differences = compare(&before, &after);
        let texts: Vec<_> = differences.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "version v1.0.0 becomes v2.0.0",
                "secrets engine becomes auth method",
                "mounts no longer share a process",
                "a: added",
            ]
        );
    }
}
