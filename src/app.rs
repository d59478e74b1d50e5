//! Defines the commands and dispatches them.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    completions, creds, deregister, dev, doctor, gc, inspect, loader, manifests, node, package, parent_death,
    presets, register, reload, rollback, serve, status, upgrade, version,
};
use crate::context::{Context, GlobalArgs};
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::{Format, Report, Ui};

/// Install, upgrade and diagnose plugins of Vault and OpenBao
///
/// The program is also a plugin itself: a token secrets engine.
#[derive(Debug, Parser)]
#[command(name = "vault-token-plugin", version, max_term_width = 100)]
pub struct App {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Option<Invocation>,
}

/// The runtime that a command needs.
#[derive(Debug, Subcommand)]
enum Invocation {
    /// Run the plugin (started by Vault or OpenBao)
    Serve(serve::ServeArgs),
    #[command(flatten)]
    Tool(Box<Command>),
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a plugin on a development server
    Dev(Box<dev::DevArgs>),
    /// Show what a plugin is, or compare two of them
    Inspect(inspect::InspectArgs),
    /// Print Kubernetes manifests for servers and applications
    Manifests(Box<manifests::ManifestsArgs>),
    /// Build a container image of plugins, and their checksums
    Package(Box<package::PackageArgs>),
    /// Copy the plugins of an image into the plugin directory
    #[command(hide = true)]
    Loader(loader::LoaderArgs),
    /// Install, register, mount and configure a plugin
    Register(Box<register::RegisterArgs>),
    /// Move all mounts of a plugin to another version
    Upgrade(Box<upgrade::UpgradeArgs>),
    /// Move all mounts of a plugin back to an earlier version
    Rollback(rollback::RollbackArgs),
    /// Remove unused versions of a plugin
    Deregister(deregister::DeregisterArgs),
    /// Remove all versions that are no longer needed
    Gc(gc::GcArgs),
    /// Reload a plugin on its mounts, and verify what runs
    Reload(reload::ReloadArgs),
    /// Show plugin files, catalog, mounts and running versions
    Status(status::StatusArgs),
    /// Diagnose a server, a plugin binary or an error message
    Doctor(doctor::DoctorArgs),
    /// Get, renew and revoke credentials, or run a command with one
    #[command(subcommand)]
    Creds(creds::CredsCommand),
    /// Show which token APIs have presets, and what one of them needs
    Presets(presets::PresetsArgs),
    /// Run a step on a node (started by this program)
    #[command(subcommand, hide = true)]
    Node(node::NodeCommand),
    /// Run a command that ends with its parent (started by this program)
    #[command(hide = true)]
    ParentDeath(parent_death::ParentDeathArgs),
    /// Print the completion script of a shell
    Completions(completions::CompletionsArgs),
    /// Print the version and the plugin protocol version
    Version(version::VersionArgs),
}

impl Command {
    /// Returns the output format of this command.
    fn output_format(&self, global: &GlobalArgs) -> Result<Format, CommandError> {
        let is_raw = matches!(self, Command::Node(_) | Command::ParentDeath(_) | Command::Completions(_));
        if is_raw {
            // These commands have no output format, so they must not fail because of an invalid VAULT_FORMAT of the shell or the container.
            return Ok(Format::Human);
        }
        let format = global.output_format()?;
        if format.is_for_build_servers() && !matches!(self, Command::Doctor(_)) {
            return Err(CommandError::usage("-o junit and -o sarif are formats of `doctor` only")
                .hint("This command has -o human, -o json and -o yaml."));
        }
        Ok(format.ui_format())
    }
}

/// Runs the process.
///
/// Without arguments the process is the plugin if the environment contains a host's magic cookie, because a catalog entry may have no
/// arguments. Otherwise it prints its help.
pub fn main() -> ExitCode {
    let app = match App::try_parse() {
        Ok(app) => app,
        Err(stop) => {
            let ended = stop.print();
            let talk = matches!(stop.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if talk && ended.is_ok() {
                ExitCode::SUCCESS
            } else {
                CommandErrorKind::Usage.exit_code()
            };
        }
    };
    let App { global, command } = app;
    let mut ui = Ui::new(Format::Human, global.verbosity());
    let command = match command {
        Some(command) => command,
        None if vault_plugin::is_started_by_host() => Invocation::Serve(serve::ServeArgs {}),
        None => {
            ui.status(&App::command().render_help().to_string());
            return CommandErrorKind::Usage.exit_code();
        }
    };
    let command = match command {
        // `serve` creates the runtime itself, because threads must start after the process is hardened.
        Invocation::Serve(args) => return finish(serve::run(args), &mut ui),
        Invocation::Tool(command) => *command,
    };
    match command.output_format(&global) {
        Ok(format) => ui = Ui::new(format, global.verbosity()),
        Err(error) => return fail(&mut ui, &error),
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(source) => {
            return fail(&mut ui, &CommandError::failed("could not start the runtime").caused_by(source));
        }
    };
    let ended = runtime.block_on(dispatch(command, &Context::new(global), &mut ui));
    // A pending read from the terminal or a pending request must not keep the process alive.
    runtime.shutdown_background();
    ended
}

async fn dispatch(command: Command, context: &Context, ui: &mut Ui) -> ExitCode {
    match command {
        Command::Dev(args) => finish(dev::run(*args, context, ui).await, ui),
        Command::Manifests(args) => finish(manifests::run(*args, context).await, ui),
        Command::Inspect(args) => finish(inspect::run(args, context, ui).await, ui),
        Command::Package(args) => finish(package::run(*args, context, ui).await, ui),
        Command::Loader(args) => finish(loader::run(args, ui).await, ui),
        Command::Register(args) => finish(register::run(*args, context, ui).await, ui),
        Command::Upgrade(args) => finish(upgrade::run(*args, context, ui).await, ui),
        Command::Rollback(args) => finish(rollback::run(args, context, ui).await, ui),
        Command::Deregister(args) => finish(deregister::run(args, context, ui).await, ui),
        Command::Gc(args) => finish(gc::run(args, context, ui).await, ui),
        Command::Reload(args) => finish(reload::run(args, context, ui).await, ui),
        Command::Status(args) => finish(status::run(args, context, ui).await, ui),
        Command::Doctor(args) => finish(doctor::run(args, context, ui).await, ui),
        Command::Creds(creds::CredsCommand::Get(args)) => finish(creds::get(args, context, ui).await, ui),
        Command::Creds(creds::CredsCommand::Renew(args)) => finish(creds::renew(args, context, ui).await, ui),
        Command::Creds(creds::CredsCommand::Revoke(args)) => finish(creds::revoke(args, context).await, ui),
        Command::Creds(creds::CredsCommand::Exec(args)) => finish(creds::exec(*args, context, ui).await, ui),
        Command::Creds(creds::CredsCommand::Watch(args)) => finish(creds::watch(args, context, ui).await, ui),
        Command::Presets(args) => finish(presets::run(args), ui),
        Command::Node(command) => finish(node::run(command).await, ui),
        Command::ParentDeath(args) => finish(parent_death::run(args, ui), ui),
        Command::Completions(args) => finish(completions::run(args, App::command()), ui),
        Command::Version(args) => finish(version::run(args), ui),
    }
}

fn finish<R: Report>(ended: Result<R, CommandError>, ui: &mut Ui) -> ExitCode {
    let report = match ended {
        Ok(report) => report,
        Err(error) => return fail(ui, &error),
    };
    match ui.report(&report) {
        Ok(()) => report.exit_code(),
        Err(error) if report.made_changes() => {
            fail(ui, &error.after_changes("Everything was done. Only the report of it could not be written."))
        }
        Err(error) => fail(ui, &error),
    }
}

fn fail(ui: &mut Ui, error: &CommandError) -> ExitCode {
    ui.error(error);
    error.kind().exit_code()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::OutputFormat;

    #[test]
    fn the_command_line_is_well_formed() {
        App::command().debug_assert();
    }

    /// Every command that people see, with the words that call it.
    fn visible_commands() -> Vec<(String, clap::Command)> {
        fn collect(path: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
            let subcommands = command.get_subcommands();
            for sub in subcommands.filter(|sub| !sub.is_hide_set() && sub.get_name() != "help") {
                collect(&format!("{path} {}", sub.get_name()), sub, found);
            }
            found.push((path.to_owned(), command.clone()));
        }
        let mut app = App::command();
        app.build();
        let mut found = Vec::new();
        collect("vault-token-plugin", &app, &mut found);
        found
    }

    #[test]
    fn short_help_has_one_line_for_each_flag_and_fits_80_columns() {
        for (name, command) in visible_commands() {
            let help = |width: usize| command.clone().term_width(width).render_help().to_string();
            let unwrapped = help(0);
            let long: Vec<&str> = unwrapped.lines().filter(|line| line.chars().count() > 80).collect();
            assert!(long.is_empty(), "{name} -h: {long:#?}");
            assert_eq!(help(80), unwrapped, "{name} -h");
        }
    }

    #[test]
    fn help_lines_are_phrases_without_a_full_stop() {
        for (name, command) in visible_commands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let args = command.get_arguments().filter(|arg| !arg.is_hide_set());
            let helps = args.map(|arg| arg.get_help().map(ToString::to_string).unwrap_or_default());
            for help in helps.chain([about]) {
                assert!(help.starts_with(char::is_uppercase), "{name}: {help:?}");
                assert!(!help.ends_with('.') && !help.contains('\n'), "{name}: {help:?}");
            }
        }
    }

    #[test]
    fn flags_that_few_need_are_in_the_long_help_only() {
        for (name, command) in visible_commands() {
            let short = command.clone().render_help().to_string();
            let long = command.clone().render_long_help().to_string();
            for flag in ["--tls-skip-verify", "--kubeconfig", "--timeout"] {
                assert!(!short.contains(flag) && long.contains(flag), "{name}: {flag}");
            }
            for flag in ["--address", "--namespace", "--kube-namespace", "--output"] {
                assert!(short.contains(flag) && long.contains(flag), "{name}: {flag}");
            }
        }
    }

    /// A flag means the same in every command that has it.
    #[test]
    fn shared_flags_have_one_spelling_and_one_value() {
        let spellings = [
            ("version", "VERSION"),
            ("arg", "ARG"),
            ("env", "KEY=VALUE"),
            ("mount", "PATH"),
            ("smoke", "PATH"),
            ("plugin-dir", "DIR"),
            ("file", "FILE"),
            ("output", "FORMAT"),
            ("type", "TYPE"),
            ("image", "REF"),
            ("binary", "FILE"),
        ];
        for (name, command) in visible_commands() {
            for arg in command.get_arguments() {
                let (Some(long), Some(values)) = (arg.get_long(), arg.get_value_names()) else { continue };
                let known = spellings.iter().find(|(flag, _)| *flag == long);
                // Of the program itself, as `--version` without a command.
                if let Some((flag, value)) = known.filter(|_| arg.get_action().takes_values()) {
                    assert_eq!(
                        values.iter().map(|name| name.as_str()).collect::<Vec<_>>(),
                        [*value],
                        "{name} --{flag}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_name_of_a_plugin_is_the_argument_of_every_command_that_changes_or_shows_one() {
        let commands = visible_commands();
        for name in ["register", "upgrade", "rollback", "reload", "deregister", "gc", "status"] {
            let command = commands.iter().find(|(path, _)| path.ends_with(&format!(" {name}")));
            let (_, command) = command.unwrap_or_else(|| panic!("{name} is a command"));
            let positionals: Vec<_> = command.get_positionals().map(|arg| arg.to_string()).collect();
            assert_eq!(positionals, ["[PLUGIN]"], "{name}");
        }
    }

    #[test]
    fn global_flags_are_understood_before_and_after_the_command() {
        for line in [
            ["x", "--output", "json", "version"],
            ["x", "version", "-o", "json"],
            ["x", "doctor", "-o", "json"],
        ] {
            let app = App::try_parse_from(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            assert_eq!(app.global.output, Some(OutputFormat::Json), "{line:?}");
        }
    }

    #[test]
    fn a_document_for_a_build_server_is_a_format_of_doctor_alone() {
        for line in [["x", "-o", "junit", "doctor"], ["x", "doctor", "-o", "junit"]] {
            let app = App::try_parse_from(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
            let Some(Invocation::Tool(command)) = app.command else { panic!("{line:?}") };
            assert_eq!(app.global.output, Some(OutputFormat::Junit), "{line:?}");
            assert!(command.output_format(&app.global).is_ok(), "{line:?}");
            let Command::Doctor(args) = *command else { panic!("{line:?}") };
            assert_eq!(args.output(), Some(OutputFormat::Junit), "{line:?}");
        }
        let app = App::try_parse_from(["x", "status", "-o", "sarif"]).expect("a format");
        let Some(Invocation::Tool(command)) = app.command else { panic!("a command") };
        let error = command.output_format(&app.global).expect_err("status has none");
        assert_eq!(error.kind(), CommandErrorKind::Usage);
    }
}
