//! The environment of the running version, which the new version inherits.

use std::path::Path;

use deployment::{PluginEnvError, read_plugin_env};
use vault_api::SecretString;

use crate::error::CommandError;
use crate::ui::Ui;

/// The environment with which the new version is registered.
pub(super) struct InheritedEnv {
    /// As `KEY=value`.
    pub(super) env: Vec<SecretString>,
    /// A warning, if nothing is given and nothing could be read.
    pub(super) warning: Option<String>,
}

/// Adds the variables of the running version to `given`. No server shows them, so they are read from the process. Their values are never
/// shown.
///
/// # Errors
/// If the process has a variable that cannot be registered.
pub(super) fn inherit_env(
    given: Vec<SecretString>,
    directory: Option<&Path>,
    file: &str,
    ui: &mut Ui,
) -> Result<InheritedEnv, CommandError> {
    let unseen = |why: &str| {
        given.is_empty().then(|| {
            format!(
                "the server does not show the environment of {file}, and {why}. If it has any variables, pass them with --env, or as env \
                 in the file of -f; otherwise the new version runs without them"
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
            return Err(CommandError::usage("could not copy the environment of the running version")
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
    let inherited: Vec<(String, SecretString)> =
        running.into_iter().filter(|(name, _)| !is_given(name)).collect();
    if !inherited.is_empty() {
        let names: Vec<&str> = inherited.iter().map(|(name, _)| name.as_str()).collect();
        ui.status(&format!("The new version gets {} from the environment of {file}.", names.join(", ")));
    }
    let lines = inherited.iter().map(|(name, value)| SecretString::new(format!("{name}={}", value.expose())));
    let lines: Vec<SecretString> = lines.collect();
    Ok(InheritedEnv { env: given.into_iter().chain(lines).collect(), warning: None })
}
