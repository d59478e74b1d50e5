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
pub struct Served {}

/// The variable by which a host tells a plugin that it is one.
const COOKIE: &str = "VAULT_BACKEND_PLUGIN";

/// Whether Vault or OpenBao started this process.
pub fn started_by_a_host() -> bool {
    std::env::var_os(COOKIE).is_some()
}

/// Serves until the host ends it.
///
/// # Errors
/// When it was started by hand, and when the host cannot be served.
pub fn run(args: ServeArgs) -> Result<Served, CommandError> {
    let ServeArgs {} = args;
    if !started_by_a_host() {
        return Err(by_hand());
    }
    vault_plugin::serve(token_engine::engine).map(|()| Served {}).map_err(|error| match error {
        vault_plugin::ServeError::NotAPluginHost => by_hand(),
        error => CommandError::failed("could not serve the host").because(error),
    })
}

fn by_hand() -> CommandError {
    CommandError::failed("this is a plugin: Vault or OpenBao start it, people do not").hint(
        "Bring it to a server with `vault-token-plugin register`; `vault-token-plugin --help` shows what else there is.",
    )
}

impl Report for Served {
    fn render(&self) -> String {
        String::new()
    }

    fn is_bare(&self) -> bool {
        true
    }
}
