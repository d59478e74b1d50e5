//! Fields that a plugin declares sensitive: their values are secrets, in the file and on the command line.

use std::collections::{BTreeMap, BTreeSet};

use rollout::{Binary, Machine, MountGoal, Wanted, WriteGoal};
use serde_json::Value;
use vault_api::Secret;
use vault_plugin::host::{self, Launch, PathInfo, Verb};

use crate::commands::data::Writes;
use crate::config;
use crate::error::CommandError;
use crate::pairs;
use crate::ui::Ui;

/// What the binary that is brought says of its fields.
#[derive(Debug, Default)]
pub(crate) struct SensitiveFields {
    paths: BTreeMap<String, PathInfo>,
}

impl SensitiveFields {
    /// Starts the binary as `plugin` says and asks it, if this machine can run it. One that does not describe itself declares
    /// nothing; whether it works at all is said by the probe.
    pub(crate) async fn of(binary: &Binary, plugin: Launch) -> Self {
        if binary.fit_for(Machine::of_this_process()).is_err() {
            return Self::default();
        }
        let inspected = host::inspect(plugin, BTreeMap::default()).await;
        Self { paths: inspected.map(|inspection| inspection.paths).unwrap_or_default() }
    }

    /// Whether a value that is written to this field is a secret. Of a path that the plugin does not describe, a field is one if
    /// it is one anywhere.
    pub(crate) fn contains(&self, path: &str, field: &str) -> bool {
        let declares = |info: &PathInfo| {
            let writing =
                [Verb::Write, Verb::Patch].into_iter().filter_map(|verb| info.operations.get(&verb));
            let fields = writing.filter_map(|operation| operation.fields.get(field));
            fields.chain(info.parameters.get(field)).any(|field| field.sensitive)
        };
        let mut described = self.paths.iter().filter(|(pattern, _)| is_at(pattern, path)).peekable();
        let declared = match described.peek() {
            Some(_) => described.any(|(_, info)| declares(info)),
            None => self.paths.values().any(declares),
        };
        declared || pairs::is_secret(field)
    }

    /// Refuses what is written out in the file though it is a secret.
    ///
    /// # Errors
    /// For the first such field.
    pub(crate) fn check_file(&self, mounts: &[MountGoal]) -> Result<(), CommandError> {
        let writes = mounts.iter().flat_map(|mount| &mount.writes);
        let mut plain = writes.flat_map(|write| {
            let plain = write.data.iter().filter(|(_, value)| matches!(value, Wanted::Plain(_)));
            plain.map(move |(field, _)| (write, field))
        });
        match plain.find(|(write, field)| self.contains(&write.path, field)) {
            Some((WriteGoal { path, .. }, field)) => {
                Err(config::written_out(&format!("{field} of {path}"), field))
            }
            None => Ok(()),
        }
    }

    /// Makes secrets of what was typed on the command line though it is one, and warns: other processes of the machine and the
    /// history of the shell have it. `typed` are the paths and fields whose values stand there.
    pub(crate) fn protect(&self, writes: &mut Writes, typed: &BTreeSet<(String, String)>, ui: &mut Ui) {
        for (path, data) in writes {
            for (field, value) in data.iter_mut().filter(|(field, _)| self.contains(path, field)) {
                if let Wanted::Plain(Value::String(text)) = value {
                    *value = Wanted::Secret(Secret::new(std::mem::take(text)));
                }
                if typed.contains(&(path.clone(), field.clone())) {
                    ui.warn(&format!(
                        "{field} of {path} is a secret and is written out on the command line, where other processes and \
                         the shell's history see it; give {field}=@FILE, or {field}=- for standard input"
                    ));
                }
            }
        }
    }
}

/// Whether a path is one of a pattern such as `roles/{name}`. The last part of a pattern may stand for several of a path.
fn is_at(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/').peekable(), path.trim_matches('/').split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(_)) if part.starts_with('{') && pattern.peek().is_none() => return true,
            (Some(part), Some(_)) if part.starts_with('{') => {}
            (Some(part), Some(there)) if part == there => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn declared() -> SensitiveFields {
        let body = |properties: Value| json!({"post": {"requestBody": {"content": {"application/json": {"schema": {"properties": properties}}}}}});
        let secret = json!({"type": "string", "x-vault-displayAttrs": {"sensitive": true}});
        let document = json!({"paths": {
            "/config": body(json!({"bindpass": secret, "url": {"type": "string"}})),
            "/roles/{name}": body(json!({"bindpass": {"type": "string"}, "seed": secret})),
            "/data/{path}": body(json!({"data": secret})),
        }});
        SensitiveFields { paths: host::documented_paths(&document) }
    }

    #[test]
    fn a_field_is_a_secret_where_the_plugin_says_so() {
        let fields = declared();
        for (path, field, is_secret) in [
            ("config", "bindpass", true),
            ("config", "url", false),
            ("/config/", "bindpass", true),
            ("roles/dev", "seed", true),
            ("roles/dev", "bindpass", false),
            ("data/a/b/c", "data", true),
            // Not described.
            ("somewhere/else", "bindpass", true),
            ("somewhere/else", "url", false),
            // Ours, whatever a plugin says.
            ("config", "api_key", true),
        ] {
            assert_eq!(fields.contains(path, field), is_secret, "{path} {field}");
        }
    }

    #[test]
    fn what_is_written_out_in_the_file_is_refused_without_repeating_it() {
        let write = |value| WriteGoal {
            path: "config".into(),
            data: BTreeMap::from([("bindpass".to_owned(), value)]),
        };
        let mount = |value| {
            vec![MountGoal { path: "a".parse().expect("a path"), writes: vec![write(value)], smoke: None }]
        };
        let error = declared().check_file(&mount(Wanted::Plain(json!("hunter2")))).expect_err("written out");
        assert!(error.render().contains("bindpass of config is written out"), "{}", error.render());
        assert!(!error.render().contains("hunter2"));
        declared().check_file(&mount(Wanted::Secret(Secret::new("hunter2")))).expect("a reference");
    }
}
