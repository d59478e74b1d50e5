//! Data on the command line: what is written to the paths of a mount, and the environment of a plugin.

use std::collections::{BTreeMap, BTreeSet};

use rollout::Wanted;
use serde_json::Value;
use vault_api::Secret;

use crate::error::CommandError;
use crate::pairs;

/// Mount-relative path to data.
pub(crate) type Writes = BTreeMap<String, BTreeMap<String, Wanted>>;

/// What `--config KEY=VALUE`, `--role NAME:KEY=VALUE` and `--write PATH KEY=VALUE` say together.
pub(crate) fn writes(config: &[String], roles: &[String], others: &[String]) -> Result<Writes, CommandError> {
    let mut writes = Writes::new();
    let mut add = |path: String, (key, value)| {
        writes.entry(path).or_default().insert(key, value);
    };
    for flag in config {
        add("config".to_owned(), pair("--config", flag)?);
    }
    for flag in roles {
        let (name, data) = flag
            .split_once(':')
            .filter(|(name, _)| !name.is_empty() && !name.contains('='))
            .ok_or_else(|| CommandError::usage("--role is given as name:key=value"))?;
        add(format!("roles/{name}"), pair("--role", data)?);
    }
    for flag in others.chunks_exact(2) {
        add(flag[0].trim_matches('/').to_owned(), pair("--write", &flag[1])?);
    }
    Ok(writes)
}

/// The paths and fields whose values stand on the command line themselves, neither in a file nor on standard input.
pub(crate) fn typed(config: &[String], roles: &[String], others: &[String]) -> BTreeSet<(String, String)> {
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

/// The variables as `KEY=value`; those of `--env` come before others of the same name.
pub(crate) fn environment(
    mut variables: BTreeMap<String, Wanted>,
    flags: &[String],
) -> Result<Vec<Secret>, CommandError> {
    for flag in flags {
        let (key, value) = pair("--env", flag)?;
        variables.insert(key, value);
    }
    let line = |(key, value): (String, Wanted)| match value {
        Wanted::Secret(secret) => Secret::new(format!("{key}={}", secret.expose())),
        Wanted::Plain(Value::String(text)) => Secret::new(format!("{key}={text}")),
        Wanted::Plain(other) => Secret::new(format!("{key}={other}")),
    };
    Ok(variables.into_iter().map(line).collect())
}

fn pair(flag: &str, text: &str) -> Result<(String, Wanted), CommandError> {
    pairs::parse(text).map_err(|error| CommandError::usage(format!("could not use {flag}")).because(error))
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
        let writes = writes(&texts(&["api_endpoint=http://a:1"]), &roles, &texts(&["extra/path", "a=b"]))
            .expect("writes");
        assert_eq!(writes.keys().collect::<Vec<_>>(), ["config", "extra/path", "roles/dev", "roles/ops"]);
        assert_eq!(writes["roles/dev"].len(), 2);
    }

    #[test]
    fn a_role_without_its_name_is_refused() {
        assert!(writes(&[], &texts(&["ttl=1h"]), &[]).is_err());
        assert!(writes(&[], &texts(&["url=http://x"]), &[]).is_err());
    }

    #[test]
    fn a_variable_of_the_command_line_comes_before_one_of_the_file() {
        let file = BTreeMap::from([
            ("MODE".to_owned(), pairs::text("MODE", "slow")),
            ("OTHER".to_owned(), pairs::text("OTHER", "1")),
        ]);
        let lines = environment(file, &texts(&["MODE=fast"])).expect("an environment");
        assert_eq!(lines.iter().map(Secret::expose).collect::<Vec<_>>(), ["MODE=fast", "OTHER=1"]);
    }
}
