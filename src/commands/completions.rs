//! `completions`: what a shell needs to complete the command line.

use clap::{Args, Command, ValueEnum};
use serde::Serialize;

use crate::error::CommandError;
use crate::ui::Report;

/// For which shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// Shell to print the script for
    shell: Shell,
}

/// Shells that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// A completion script.
#[derive(Debug, Serialize)]
pub struct CompletionsReport {
    script: String,
}

/// Makes the script for this command line.
///
/// # Errors
/// Never; the result is that of every command.
pub fn run(args: CompletionsArgs, command_line: Command) -> Result<CompletionsReport, CommandError> {
    let CompletionsArgs { shell } = args;
    Ok(CompletionsReport { script: completion_script(shell, command_line) })
}

impl Report for CompletionsReport {
    fn render(&self) -> String {
        self.script.clone()
    }

    fn is_raw(&self) -> bool {
        true
    }
}

fn completion_script(shell: Shell, mut command_line: Command) -> String {
    let shell = match shell {
        Shell::Bash => clap_complete::Shell::Bash,
        Shell::Zsh => clap_complete::Shell::Zsh,
        Shell::Fish => clap_complete::Shell::Fish,
    };
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command_line, "vault-token-plugin", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory;

    use super::*;
    use crate::app::App;

    #[test]
    fn the_committed_scripts_are_what_the_command_prints() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
        for (shell, name) in [
            (Shell::Bash, "vault-token-plugin.bash"),
            (Shell::Zsh, "_vault-token-plugin"),
            (Shell::Fish, "vault-token-plugin.fish"),
        ] {
            let path = directory.join(name);
            let script = completion_script(shell, App::command());
            if std::env::var_os("UPDATE_GENERATED").is_some() {
                std::fs::write(&path, &script).expect("writable");
            }
            let committed = std::fs::read_to_string(&path).expect("run this with UPDATE_GENERATED=1");
            assert!(committed == script, "{name} is old: run this with UPDATE_GENERATED=1");
        }
    }
}
