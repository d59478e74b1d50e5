//! `serve`: the plugin itself.

use clap::Args;
use serde::Serialize;

use crate::error::CommandError;
use crate::ui::Report;

/// Nothing to choose: a host says everything through the environment.
#[derive(Debug, Args)]
pub struct ServeArgs {}

/// A plugin that was told to end.
#[derive(Debug, Serialize)]
pub struct ServeReport {}

/// The variable by which a host tells a plugin that it is one.
const MAGIC_COOKIE_KEY: &str = "VAULT_BACKEND_PLUGIN";

/// Whether Vault or OpenBao started this process.
pub fn is_started_by_host() -> bool {
    std::env::var_os(MAGIC_COOKIE_KEY).is_some()
}

/// Serves until the host ends it.
///
/// # Errors
/// When it was started by hand, and when the host cannot be served.
pub fn run(args: ServeArgs) -> Result<ServeReport, CommandError> {
    let ServeArgs {} = args;
    if !is_started_by_host() {
        return Err(started_by_hand_error());
    }
    vault_plugin::serve(token_engine::engine).map(|()| ServeReport {}).map_err(|error| match error {
        vault_plugin::ServeError::NotStartedByHost => started_by_hand_error(),
        error => CommandError::failed("could not serve the host").caused_by(error),
    })
}

fn started_by_hand_error() -> CommandError {
    CommandError::failed("this is a plugin: Vault or OpenBao start it, people do not").hint(
        "Bring it to a server with `vault-token-plugin register`; `vault-token-plugin --help` shows what else there is.",
    )
}

impl Report for ServeReport {
    fn render(&self) -> String {
        String::new()
    }

    fn is_raw(&self) -> bool {
        true
    }
}
