//! `serve`: runs the plugin.

use clap::Args;
use serde::Serialize;

use crate::error::CommandError;
use crate::ui::Report;

/// No arguments: a host passes everything in the environment.
#[derive(Debug, Args)]
pub struct ServeArgs {}

/// The report of a plugin that was stopped by its host.
#[derive(Debug, Serialize)]
pub struct ServeReport {}

/// Serves until the host stops it.
///
/// # Errors
/// If it was started by hand, or the host cannot be served.
pub fn run(args: ServeArgs) -> Result<ServeReport, CommandError> {
    let ServeArgs {} = args;
    vault_plugin::serve(token_engine::engine).map(|()| ServeReport {}).map_err(|error| match error {
        vault_plugin::ServeError::NotStartedByHost => started_by_hand_error(),
        error => CommandError::failed("could not serve the host").caused_by(error),
    })
}

fn started_by_hand_error() -> CommandError {
    CommandError::failed("`serve` is started by Vault or OpenBao, not by hand").hint(
        "Register it on a server with `vault-token-plugin register`. `vault-token-plugin --help` lists all commands.",
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
