//! The environment that the running version has, for the one that takes its place.

use std::path::Path;

use deployment::{PluginEnvError, read_plugin_env};
use vault_api::SecretString;

use crate::error::CommandError;
use crate::ui::Ui;

/// What the new version is registered with.
pub(super) struct InheritedEnv {
    /// As `KEY=value`.
    pub(super) env: Vec<SecretString>,
    /// What to say where nothing is given and nothing could be seen.
    pub(super) warning: Option<String>,
}

/// Adds to `given` what the running version has beside it. No server shows that, so it is read from its process. Values are never
/// shown.
///
/// # Errors
/// When the process has a variable that a registration cannot hold.
pub(super) fn inherit_env(
    given: Vec<SecretString>,
    directory: Option<&Path>,
    file: &str,
    ui: &mut Ui,
) -> Result<InheritedEnv, CommandError> {
    let unseen = |why: &str| {
        given.is_empty().then(|| {
            format!(
                "no server shows with which environment a plugin is registered, and {why}. If {file} has one, give it with --env or \
                 as env in the file of -f, or the new version runs without"
            )
        })
    };
    let Some(directory) = directory else {
        let unseen = unseen("its process is not on this machine");
        return Ok(InheritedEnv { env: given, warning: unseen });
    };
    let running = match read_plugin_env(directory, file) {
        Ok(running) => running,
        Err(error @ PluginEnvError::NotText { .. }) => {
            return Err(CommandError::usage("the environment of the running version cannot be taken over")
                .caused_by(error)
                .hint("Register the new version with `register` and the variables that it needs, by --env or env of the file."));
        }
        Err(error) => {
            let unseen = unseen(&error.to_string());
            return Ok(InheritedEnv { env: given, warning: unseen });
        }
    };
    let is_given = |name: &str| {
        given.iter().any(|line| line.expose().split_once('=').is_some_and(|(given, _)| given == name))
    };
    let taken: Vec<(String, SecretString)> =
        running.into_iter().filter(|(name, _)| !is_given(name)).collect();
    if !taken.is_empty() {
        let names: Vec<&str> = taken.iter().map(|(name, _)| name.as_str()).collect();
        ui.status(&format!(
            "The new version takes over {} from the environment of {file}.",
            names.join(", ")
        ));
    }
    let lines = taken.iter().map(|(name, value)| SecretString::new(format!("{name}={}", value.expose())));
    let lines: Vec<SecretString> = lines.collect();
    Ok(InheritedEnv { env: given.into_iter().chain(lines).collect(), warning: None })
}
