//! Data on the command line: for the paths of a mount, and for the environment of a plugin.

use std::collections::{BTreeMap, BTreeSet};

use clap::{ArgAction, Args};
use rollout::DesiredValue;
use serde_json::Value;
use vault_api::SecretString;

use crate::error::CommandError;
use crate::key_value;

/// Mount-relative path to data.
pub(crate) type MountWrites = BTreeMap<String, BTreeMap<String, DesiredValue>>;

/// The data flags.
#[derive(Clone, Debug, Args)]
pub(crate) struct MountDataArgs {
    /// Data for `config`; KEY=@FILE reads a file
    ///
    /// KEY=- reads standard input. Pass secrets in one of these two ways. The key parameters.NAME sets one value of the map
    /// `parameters`. The flag is repeatable.
    #[arg(long, value_name = "KEY=VALUE")]
    config: Vec<String>,
    /// Data for `roles/NAME`; repeatable
    #[arg(long, value_name = "NAME:KEY=VALUE")]
    role: Vec<String>,
    /// Data for any other path; repeatable
    #[arg(long, num_args = 2, value_names = ["PATH", "KEY=VALUE"], action = ArgAction::Append, hide_short_help = true)]
    write: Vec<String>,
}

/// Data for the paths of a mount.
pub(crate) struct MountData {
    pub(crate) writes: MountWrites,
    /// Paths and fields whose values are written out on the command line.
    pub(crate) typed: BTreeSet<(String, String)>,
}

impl MountDataArgs {
    /// Whether there is no flag.
    pub(crate) fn is_empty(&self) -> bool {
        self.config.is_empty() && self.role.is_empty() && self.write.is_empty()
    }

    /// Reads the files and the standard input that the flags refer to.
    ///
    /// # Errors
    /// If a flag is not a pair, or its source cannot be read.
    pub(crate) fn parse(&self) -> Result<MountData, CommandError> {
        let MountDataArgs { config, role, write } = self;
        let writes = parse_writes(config, role, write)?;
        Ok(MountData { writes, typed: inline_values(config, role, write) })
    }
}

/// Combines `--config KEY=VALUE`, `--role NAME:KEY=VALUE` and `--write PATH KEY=VALUE`.
pub(crate) fn parse_writes(
    config: &[String],
    roles: &[String],
    others: &[String],
) -> Result<MountWrites, CommandError> {
    let mut writes = MountWrites::new();
    let mut add = |flag: &str, path: String, pair: &str| {
        let (key, value) = parse_pair(flag, pair)?;
        insert_field(writes.entry(path).or_default(), key, value).map_err(|Conflict| {
            CommandError::usage(format!("{flag} sets parameters both as a whole and by name"))
        })
    };
    for flag in config {
        add("--config", "config".to_owned(), flag)?;
    }
    for flag in roles {
        let (name, data) = flag
            .split_once(':')
            .filter(|(name, _)| !name.is_empty() && !name.contains('='))
            .ok_or_else(|| CommandError::usage("--role expects NAME:KEY=VALUE"))?;
        add("--role", format!("roles/{name}"), data)?;
    }
    for flag in others.chunks_exact(2) {
        add("--write", flag[0].trim_matches('/').to_owned(), &flag[1])?;
    }
    Ok(writes)
}

/// The map whose values are given one by one: what a preset asks for.
const PARAMETERS: &str = "parameters";

/// The map is given as a whole and by name.
struct Conflict;

fn insert_field(
    data: &mut BTreeMap<String, DesiredValue>,
    key: String,
    value: DesiredValue,
) -> Result<(), Conflict> {
    let name = key.strip_prefix(PARAMETERS).and_then(|rest| rest.strip_prefix('.'));
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return match data.insert(key, value) {
            Some(DesiredValue::Fields(_)) => Err(Conflict),
            _ => Ok(()),
        };
    };
    match data.entry(PARAMETERS.to_owned()).or_insert_with(|| DesiredValue::Fields(BTreeMap::new())) {
        DesiredValue::Fields(fields) => {
            fields.insert(name.to_owned(), value);
            Ok(())
        }
        DesiredValue::Plain(_) | DesiredValue::Secret(_) => Err(Conflict),
    }
}

/// The paths and fields whose values are on the command line itself, not in a file or on standard input.
fn inline_values(config: &[String], roles: &[String], others: &[String]) -> BTreeSet<(String, String)> {
    let config = config.iter().map(|pair| ("config".to_owned(), pair.as_str()));
    let roles = roles.iter().filter_map(|flag| flag.split_once(':'));
    let roles = roles.map(|(name, pair)| (format!("roles/{name}"), pair));
    let others = others.chunks_exact(2).map(|flag| (flag[0].trim_matches('/').to_owned(), flag[1].as_str()));
    let typed = config.chain(roles).chain(others).filter_map(|(path, pair)| {
        let (key, value) = pair.split_once('=')?;
        (!value.starts_with('@') && value != "-").then(|| (path, key.to_owned()))
    });
    typed.collect()
}

/// Returns the variables as `KEY=value`. Those of `--env` override others of the same name.
pub(crate) fn parse_env(
    mut variables: BTreeMap<String, DesiredValue>,
    flags: &[String],
) -> Result<Vec<SecretString>, CommandError> {
    for flag in flags {
        let (key, value) = parse_pair("--env", flag)?;
        variables.insert(key, value);
    }
    let line = |(key, value): (String, DesiredValue)| match value {
        DesiredValue::Secret(secret) => SecretString::new(format!("{key}={}", secret.expose())),
        DesiredValue::Plain(Value::String(text)) => SecretString::new(format!("{key}={text}")),
        DesiredValue::Plain(other) => SecretString::new(format!("{key}={other}")),
        fields @ DesiredValue::Fields(_) => SecretString::new(format!("{key}={}", fields.value())),
    };
    Ok(variables.into_iter().map(line).collect())
}

fn parse_pair(flag: &str, text: &str) -> Result<(String, DesiredValue), CommandError> {
    key_value::parse(text)
        .map_err(|error| CommandError::usage(format!("invalid value of {flag}")).caused_by(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|&text| text.to_owned()).collect()
    }

    #[test]
    fn flags_of_one_role_come_together() {
        let roles = texts(&["dev:permissions=read,write", "dev:ttl=1h", "ops:ttl=5m"]);
        let writes =
            parse_writes(&texts(&["api_endpoint=http://a:1"]), &roles, &texts(&["extra/path", "a=b"]))
                .expect("writes");
        assert_eq!(writes.keys().collect::<Vec<_>>(), ["config", "extra/path", "roles/dev", "roles/ops"]);
        assert_eq!(writes["roles/dev"].len(), 2);
    }

    #[test]
    fn parameters_are_given_as_a_whole_or_one_by_one() {
        let config = texts(&["parameters.user_id=ada", "parameters.project_id=a=b"]);
        let writes = parse_writes(&config, &texts(&["dev:parameters.user=ada"]), &[]).expect("writes");
        let value = |path: &str| writes[path]["parameters"].value();
        assert_eq!(value("config"), serde_json::json!({"user_id": "ada", "project_id": "a=b"}));
        assert_eq!(value("roles/dev"), serde_json::json!({"user": "ada"}));
        for config in [["parameters.a=b", "parameters=c=d"], ["parameters=c=d", "parameters.a=b"]] {
            let error = parse_writes(&texts(&config), &[], &[]).expect_err("both");
            assert!(error.render().contains("both as a whole and by name"), "{}", error.render());
        }
    }

    #[test]
    fn a_role_without_its_name_is_refused() {
        assert!(parse_writes(&[], &texts(&["ttl=1h"]), &[]).is_err());
        assert!(parse_writes(&[], &texts(&["url=http://x"]), &[]).is_err());
    }

    #[test]
    fn a_variable_of_the_command_line_comes_before_one_of_the_file() {
        let file = BTreeMap::from([
            ("MODE".to_owned(), key_value::inline_value("MODE", "slow")),
            ("OTHER".to_owned(), key_value::inline_value("OTHER", "1")),
        ]);
        let lines = parse_env(file, &texts(&["MODE=fast"])).expect("an environment");
        assert_eq!(lines.iter().map(SecretString::expose).collect::<Vec<_>>(), ["MODE=fast", "OTHER=1"]);
    }
}
