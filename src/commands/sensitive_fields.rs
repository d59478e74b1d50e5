//! Fields that a plugin declares sensitive. Their values are secrets, in the file and on the command line.

use std::collections::{BTreeMap, BTreeSet};

use rollout::{Architecture, Binary, DesiredMount, DesiredValue, DesiredWrite, Observed, SmokeRequest};
use serde_json::Value;
use token_engine::PresetInfo;
use vault_api::catalog::PluginType;
use vault_api::{Client, SecretString, help};
use vault_plugin::host::{self, PathInfo, PluginCommand, Verb};

use crate::commands::mount_data::MountWrites;
use crate::config;
use crate::error::CommandError;
use crate::key_value;
use crate::ui::Ui;

/// The fields that a plugin describes.
#[derive(Debug)]
pub(crate) struct SensitiveFields {
    plugin: String,
    /// `None` if the plugin cannot be queried.
    paths: Option<BTreeMap<String, PathInfo>>,
}

impl SensitiveFields {
    /// Queries the binary, started with `launch`, if this machine can run it; otherwise a mount of the running plugin. Whether the binary
    /// works is reported by the probe.
    pub(crate) async fn query(
        (kind, name): (PluginType, &str),
        binary: &Binary,
        launch: PluginCommand,
        client: &Client,
        observed: &Observed,
    ) -> Self {
        let paths = match paths_of_binary(binary, launch).await {
            Some(paths) => Some(paths),
            None => paths_of_mounts(kind, name, client, observed).await,
        };
        Self { plugin: name.to_owned(), paths }
    }

    /// Queries the binary only.
    pub(crate) async fn query_binary(name: &str, binary: &Binary, launch: PluginCommand) -> Self {
        Self { plugin: name.to_owned(), paths: paths_of_binary(binary, launch).await }
    }

    /// Whether the value of this field is a secret. If the plugin does not describe the path, a field that is sensitive on any other path
    /// counts as a secret.
    pub(crate) fn contains(&self, path: &str, field: &str) -> bool {
        let declares = |info: &PathInfo| {
            let writing =
                [Verb::Write, Verb::Patch].into_iter().filter_map(|verb| info.operations.get(&verb));
            let fields = writing.filter_map(|operation| operation.fields.get(field));
            fields.chain(info.parameters.get(field)).any(|field| field.sensitive)
        };
        let paths = || self.paths.iter().flatten();
        let mut described = paths().filter(|(pattern, _)| matches_pattern(pattern, path)).peekable();
        let declared = match described.peek() {
            Some(_) => described.any(|(_, info)| declares(info)),
            None => paths().any(|(_, info)| declares(info)),
        };
        declared || key_value::is_secret_field(field)
    }

    /// Refuses secrets that are written out in the file, and turns values of the command line into secrets. Warns if the sensitive fields
    /// are unknown. `typed` are the paths and fields whose values are on the command line itself.
    ///
    /// # Errors
    /// If the file contains a secret.
    pub(crate) fn apply(
        &self,
        mounts: &[DesiredMount],
        writes: &mut MountWrites,
        typed: &BTreeSet<(String, String)>,
        ui: &mut Ui,
    ) -> Result<(), CommandError> {
        let is_plain = |value: &DesiredValue| !matches!(value, DesiredValue::Secret(_));
        let in_file = mounts.iter().flat_map(|mount| &mount.writes).flat_map(|write| write.data.values());
        let has_plain = in_file.chain(writes.values().flat_map(BTreeMap::values)).any(is_plain);
        if self.paths.is_none() && has_plain {
            ui.warn(&format!(
                "it is not known which fields of {} are secrets: its binary cannot be asked on this machine, and no mount of it \
                 describes them. Give secrets as {{file: ./path}} in the file, or KEY=@FILE.",
                self.plugin
            ));
        }
        self.refuse_plaintext_in_file(mounts)?;
        self.mark_secrets(writes, typed, ui);
        Ok(())
    }

    /// Whether the plugin has presets of token APIs; `None` if it cannot be asked.
    pub(crate) fn has_presets(&self) -> Option<bool> {
        Some(self.paths.as_ref()?.keys().any(|pattern| pattern.trim_matches('/') == PRESETS))
    }

    fn refuse_plaintext_in_file(&self, mounts: &[DesiredMount]) -> Result<(), CommandError> {
        let writes = mounts.iter().flat_map(|mount| &mount.writes);
        let writes = writes.map(|DesiredWrite { path, data }| (path, data));
        let logins = mounts.iter().filter_map(|mount| mount.smoke.as_ref());
        for (path, data) in writes.chain(logins.map(|SmokeRequest { path, data }| (path, data))) {
            let preset = preset_of(data);
            for (field, value) in data.iter().filter(|(field, _)| self.contains(path, field)) {
                let plain = match value {
                    DesiredValue::Plain(_) => Some(field),
                    DesiredValue::Secret(_) => None,
                    DesiredValue::Fields(fields) => {
                        let plain =
                            fields.iter().filter(|(_, value)| matches!(value, DesiredValue::Plain(_)));
                        plain
                            .map(|(name, _)| name)
                            .find(|name| is_secret_parameter(preset.as_ref(), field, name))
                    }
                };
                if let Some(name) = plain {
                    return Err(config::plaintext_secret_error(&format!("{name} of {path}"), name));
                }
            }
        }
        Ok(())
    }

    /// Other processes and the history of the shell can read the command line.
    fn mark_secrets(&self, writes: &mut MountWrites, typed: &BTreeSet<(String, String)>, ui: &mut Ui) {
        let mut mark = |path: &str, field: String, value: &mut DesiredValue| {
            if let DesiredValue::Plain(Value::String(text)) = value {
                *value = DesiredValue::Secret(SecretString::new(std::mem::take(text)));
            }
            if typed.contains(&(path.to_owned(), field.clone())) {
                ui.warn(&format!(
                    "{field} of {path} is a secret and is written out on the command line, where other processes and \
                     the shell's history see it; give {field}=@FILE, or {field}=- for standard input"
                ));
            }
        };
        for (path, data) in writes {
            let preset = preset_of(data);
            for (field, value) in data.iter_mut().filter(|(field, _)| self.contains(path, field)) {
                let DesiredValue::Fields(fields) = value else {
                    mark(path, field.clone(), value);
                    continue;
                };
                for (name, value) in fields {
                    if is_secret_parameter(preset.as_ref(), field, name) {
                        mark(path, format!("{field}.{name}"), value);
                    }
                }
            }
        }
    }
}

/// The path by which the token engine shows a preset.
const PRESETS: &str = "presets/{name}";

/// The preset that the fields of a connection name.
fn preset_of(data: &BTreeMap<String, DesiredValue>) -> Option<PresetInfo> {
    match data.get("preset")? {
        DesiredValue::Plain(name) => token_engine::preset(name.as_str()?),
        DesiredValue::Secret(_) | DesiredValue::Fields(_) => None,
    }
}

/// Whether an entry of a sensitive map is a secret. A preset says which of its parameters are.
fn is_secret_parameter(preset: Option<&PresetInfo>, field: &str, name: &str) -> bool {
    preset.is_none_or(|preset| {
        let qualified = format!("{field}.{name}");
        preset
            .config
            .iter()
            .find(|declared| declared.name == qualified)
            .is_none_or(|declared| declared.secret)
    })
}

/// `None` if this machine cannot run the binary, or the plugin does not respond.
async fn paths_of_binary(binary: &Binary, launch: PluginCommand) -> Option<BTreeMap<String, PathInfo>> {
    binary.check_runs_on(Architecture::host()).ok()?;
    host::inspect(launch, BTreeMap::default()).await.ok().map(|inspection| inspection.paths)
}

/// The description by the first mount of the plugin that returns one.
async fn paths_of_mounts(
    kind: PluginType,
    name: &str,
    client: &Client,
    observed: &Observed,
) -> Option<BTreeMap<String, PathInfo>> {
    for (path, _) in observed.consumers_of(kind, name) {
        // A mount that does not respond, or whose help the token may not read, is skipped.
        if let Ok(Some(document)) = client.send(&help::ReadMountHelp { path: path.to_string() }).await {
            return Some(host::documented_paths(&document));
        }
    }
    None
}

/// Whether a path matches a pattern such as `roles/{name}`. The last part of a pattern may match several segments.
fn matches_pattern(pattern: &str, path: &str) -> bool {
    let (mut pattern, mut path) = (pattern.split('/').peekable(), path.trim_matches('/').split('/'));
    loop {
        match (pattern.next(), path.next()) {
            (None, None) => return true,
            (Some(part), Some(_)) if part.starts_with('{') && pattern.peek().is_none() => return true,
            (Some(part), Some(_)) if part.starts_with('{') => {}
            (Some(part), Some(actual)) if part == actual => {}
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
        SensitiveFields { plugin: "greeter".to_owned(), paths: Some(host::documented_paths(&document)) }
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
            // Not described by the plugin.
            ("somewhere/else", "bindpass", true),
            ("somewhere/else", "url", false),
            // A secret of this program, whatever the plugin declares.
            ("config", "api_key", true),
        ] {
            assert_eq!(fields.contains(path, field), is_secret, "{path} {field}");
        }
    }

    #[test]
    fn a_preset_says_which_parameters_are_secrets() {
        for (preset, name, is_secret) in [
            (Some("datadog"), "datadog_api_key", true),
            (Some("keystone"), "user_id", false),
            // Misspelt, or of a description of one's own.
            (Some("keystone"), "usr_id", true),
            (None, "user_id", true),
        ] {
            let mut data = BTreeMap::new();
            data.extend(preset.map(|name| ("preset".to_owned(), DesiredValue::Plain(json!(name)))));
            let preset = preset_of(&data);
            assert_eq!(is_secret_parameter(preset.as_ref(), "parameters", name), is_secret, "{name}");
        }
    }

    #[tokio::test]
    async fn a_binary_of_another_machine_says_nothing() {
        let mut content = std::fs::read(std::env::current_exe().expect("a path")).expect("a file");
        harness::build::set_foreign_machine(&mut content);
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("foreign");
        std::fs::write(&path, content).expect("a file");
        let binary = Binary::read(&path, &mut |_, _| {}).expect("a binary");
        assert_eq!(paths_of_binary(&binary, PluginCommand::new(&path)).await, None);
    }

    #[test]
    fn what_is_written_out_in_the_file_is_refused_without_repeating_it() {
        let write = |value| DesiredWrite {
            path: "config".into(),
            data: BTreeMap::from([("bindpass".to_owned(), value)]),
        };
        let mount = |value| {
            vec![DesiredMount { path: "a".parse().expect("a path"), writes: vec![write(value)], smoke: None }]
        };
        let error = declared()
            .refuse_plaintext_in_file(&mount(DesiredValue::Plain(json!("hunter2"))))
            .expect_err("written out");
        assert!(error.render().contains("bindpass of config is a secret"), "{}", error.render());
        assert!(!error.render().contains("hunter2"));
        declared()
            .refuse_plaintext_in_file(&mount(DesiredValue::Secret(SecretString::new("hunter2"))))
            .expect("a reference");
    }
}
