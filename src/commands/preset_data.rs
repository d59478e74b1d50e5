//! `--preset`: selects the token API of a mount of the token engine, and checks that the data has what it needs.

use std::collections::BTreeMap;

use clap::Args;
use clap::builder::PossibleValuesParser;
use rollout::{DesiredValue, printable, shell_quote};
use serde_json::Value;
use token_engine::{FieldCheck, FieldInfo, PresetInfo};

use crate::commands::mount_data::MountWrites;
use crate::error::CommandError;

/// The flag for a preset.
#[derive(Clone, Debug, Args)]
pub(crate) struct PresetArgs {
    /// Token API to configure; `presets` lists them
    ///
    /// Short for --config preset=NAME, for this program's token engine. Before anything is changed, the command checks that the data has
    /// the fields that the preset requires.
    #[arg(long, value_name = "NAME", value_parser = names(), hide_possible_values = true)]
    preset: Option<String>,
}

/// Who sets the address and the key of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectionFields {
    /// The data that is checked.
    Required,
    /// A prompt, or an earlier run.
    Elsewhere,
}

const CONFIG: &str = "config";

/// Parses the name of a preset.
pub(crate) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(token_engine::preset_names())
}

impl PresetArgs {
    /// Whether there is no flag.
    pub(crate) fn is_empty(&self) -> bool {
        self.preset.is_none()
    }

    /// Adds the preset to the data for `config`.
    ///
    /// # Errors
    /// If the data selects a token API too.
    pub(crate) fn select(self, writes: &mut MountWrites) -> Result<Option<PresetInfo>, CommandError> {
        let Some(preset) = self.preset.and_then(|name| token_engine::preset(&name)) else { return Ok(None) };
        let config = writes.entry(CONFIG.to_owned()).or_default();
        if let Some(field) = ["preset", "api"].into_iter().find(|field| config.contains_key(*field)) {
            return Err(CommandError::usage(format!("--preset and --config {field}=… cannot be combined")));
        }
        config.insert("preset".to_owned(), DesiredValue::Plain(preset.name.into()));
        Ok(Some(preset))
    }
}

/// Refuses a plugin without presets. `has_presets` is `None` if it cannot be asked.
pub(crate) fn check_plugin(
    preset: &PresetInfo,
    plugin: &str,
    has_presets: Option<bool>,
) -> Result<(), CommandError> {
    let refused = |message: String| CommandError::usage(message);
    match has_presets {
        Some(true) => Ok(()),
        Some(false) => Err(refused(format!("--preset is for the token engine, and {plugin} has no presets"))
            .hint("Configure this plugin with --config KEY=VALUE.")),
        None => Err(refused(format!(
            "it is not known whether {plugin} has presets: it cannot be started on this machine"
        ))
        .hint(format!("If it is the token engine, pass --config preset={} instead.", preset.name))),
    }
}

/// Checks that the data of a mount has what a preset requires of `config` and of each role.
///
/// # Errors
/// If a required field is missing, or a given one does not fit.
pub(crate) fn check_complete<'a>(
    preset: &PresetInfo,
    writes: impl IntoIterator<Item = (&'a str, &'a BTreeMap<String, DesiredValue>)>,
    connection: ConnectionFields,
) -> Result<(), CommandError> {
    let (mut missing, mut invalid) = (Vec::new(), Vec::new());
    let mut note = |flag: &str, place: &str, checked: FieldCheck| {
        missing.extend(checked.missing.into_iter().map(|field| {
            let pair = format!("{}={}", field.name, placeholder(&field));
            (format!("{place} {}", field.name), format!("{flag}{pair}"), field.help)
        }));
        invalid.extend(checked.invalid.into_iter().map(|problem| format!("{place} {problem}")));
    };
    for (path, data) in writes {
        let given = given_fields(data);
        match path.strip_prefix("roles/") {
            // A role of another connection.
            Some(_) if given.get(CONFIG).is_some_and(|connection| connection != "default") => {}
            Some(role) => {
                let flag = format!("--role {}:", shell_quote(role));
                note(&flag, path, preset.check_role(&given));
            }
            None if path == CONFIG => {
                let mut checked = preset.check_config(&given);
                let is_asked = |field: &FieldInfo| matches!(field.name.as_str(), "api_endpoint" | "api_key");
                checked.missing.retain(|field| connection == ConnectionFields::Required || !is_asked(field));
                note("--config ", path, checked);
            }
            None => {}
        }
    }
    if missing.is_empty() && invalid.is_empty() {
        return Ok(());
    }
    let name = preset.name;
    let mut error = match invalid.is_empty() {
        true => {
            let fields: Vec<&str> = missing.iter().map(|(field, ..)| field.as_str()).collect();
            CommandError::usage(format!(
                "the preset {name} requires fields that are missing: {}",
                fields.join(", ")
            ))
        }
        false => CommandError::usage(printable(&format!(
            "the preset {name} cannot use some fields: {}",
            invalid.join("; ")
        ))),
    };
    if !missing.is_empty() {
        let width = missing.iter().map(|(_, flag, _)| flag.chars().count()).max().unwrap_or_default();
        let lines: Vec<String> =
            missing.iter().map(|(_, flag, help)| format!("  {flag:<width$}  # {help}")).collect();
        error = error.hint(format!("Add:\n{}", lines.join("\n")));
    }
    Err(error.hint(format!("`vault-token-plugin presets {name}` describes all fields.")))
}

/// What stands for the value of a field in a command to paste.
pub(crate) fn placeholder(field: &FieldInfo) -> String {
    let name = field.name.strip_prefix("parameters.").unwrap_or(&field.name);
    match (name, field.allowed.as_slice()) {
        ("api_endpoint", _) => "URL".to_owned(),
        (_, [only]) => only.clone(),
        _ if field.secret => "@FILE".to_owned(),
        _ if field.kind == "json" => "JSON".to_owned(),
        _ => name.to_uppercase(),
    }
}

/// The fields of a path with each parameter as `parameters.NAME`.
fn given_fields(data: &BTreeMap<String, DesiredValue>) -> BTreeMap<String, Value> {
    let mut given = BTreeMap::new();
    for (field, value) in data {
        match value.value() {
            Value::Object(entries) if field == "parameters" => {
                given.extend(entries.into_iter().map(|(name, value)| (format!("{field}.{name}"), value)));
            }
            // The form of Vault's command line for one parameter.
            Value::String(pair) if field == "parameters" => {
                let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
                given.insert(format!("{field}.{name}"), value.into());
            }
            value => drop(given.insert(field.clone(), value)),
        }
    }
    given
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::mount_data::parse_writes;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    /// The error for these values of --config and --role.
    #[track_caller]
    fn check(preset: &str, config: &[&str], roles: &[&str], connection: ConnectionFields) -> Option<String> {
        let mut writes = parse_writes(&texts(config), &texts(roles), &[]).expect("writes");
        let args = PresetArgs { preset: Some(preset.to_owned()) };
        let preset = args.select(&mut writes).expect("a preset").expect("a preset");
        let writes = writes.iter().map(|(path, data)| (path.as_str(), data));
        check_complete(&preset, writes, connection).err().map(|error| error.render())
    }

    #[test]
    fn missing_fields_are_listed_with_the_flags_that_set_them() {
        let error = check("keystone", &["parameters.user_id=ada"], &[], ConnectionFields::Required);
        assert_eq!(
            error.as_deref(),
            Some(
                "Error: the preset keystone requires fields that are missing: config api_endpoint, config api_key, config \
                 parameters.project_id\n\n\
                 Add:\n\
                 \x20 --config api_endpoint=URL                  # Address of the API, http or https\n\
                 \x20 --config api_key=@FILE                     # Key that the engine sends to the API\n\
                 \x20 --config parameters.project_id=PROJECT_ID  # Identifier of the project that the credentials are for\n\n\
                 `vault-token-plugin presets keystone` describes all fields.\n"
            )
        );
        let error = check("jupyterhub", &[], &["dev:ttl=1h"], ConnectionFields::Elsewhere).expect("missing");
        assert!(error.contains("--role dev:parameters.user=USER"), "{error}");
        assert!(!error.contains("api_key"), "{error}");
        let error =
            check("oauth2", &["parameters.client_id=a"], &[], ConnectionFields::Elsewhere).expect("missing");
        assert!(error.contains("--config accept_orphans=true"), "{error}");
    }

    #[test]
    fn complete_data_is_accepted_in_every_form() {
        let connection = ["api_endpoint=https://a.example", "api_key=x"];
        for role in ["dev:parameters.user=ada", "dev:parameters=user=ada"] {
            assert_eq!(check("jupyterhub", &connection, &[role], ConnectionFields::Required), None);
        }
        let elsewhere = ["dev:ttl=1h", "dev:config=other"];
        assert_eq!(check("jupyterhub", &connection, &elsewhere, ConnectionFields::Required), None);
        assert_eq!(check("jupyterhub", &[], &[], ConnectionFields::Elsewhere), None);
    }

    #[test]
    fn a_field_that_does_not_fit_is_named_without_its_value() {
        let roles = ["dev:parameters.usr=hunter2", "dev:parameters.scopes=a"];
        let error = check("jupyterhub", &[], &roles, ConnectionFields::Elsewhere).expect("a problem");
        assert!(error.contains("roles/dev parameters.usr: the API has no such parameter"), "{error}");
        assert!(error.contains("--role dev:parameters.user=USER") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn a_token_api_is_selected_once() {
        for field in ["preset=tokens", "api=@/dev/null"] {
            let mut writes = parse_writes(&texts(&[field]), &[], &[]).expect("writes");
            let args = PresetArgs { preset: Some("jupyterhub".to_owned()) };
            let error = args.select(&mut writes).err().expect("a conflict").render();
            assert!(error.contains("cannot be combined"), "{error}");
        }
    }
}
