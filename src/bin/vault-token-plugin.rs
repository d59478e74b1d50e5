//! Starts the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    vault_token_plugin::app::main()
}
