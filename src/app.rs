//! Which commands there are, and who runs them.

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{
    completions, creds, deregister, dev, doctor, gc, inspect, loader, manifests, node, package, parent_death,
    register, reload, rollback, serve, status, upgrade, version,
};
use crate::context::{Context, GlobalArgs};
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::{Format, Report, Ui};

/// A token secrets engine for Vault and OpenBao, and the tool that brings plugins to a server.
#[derive(Debug, Parser)]
#[command(name = "vault-token-plugin", version, max_term_width = 100)]
pub struct App {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Option<Invocation>,
}

/// Which runtime a command runs on.
#[derive(Debug, Subcommand)]
enum Invocation {
    /// Be the plugin; Vault and OpenBao start this, people do not
    Serve(serve::ServeArgs),
    #[command(flatten)]
    Tool(Command),
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a plugin in a development host, registered, mounted and tried; needs no server
    Dev(Box<dev::DevArgs>),
    /// Show what a plugin is and offers, or what differs between two; needs no server
    Inspect(inspect::InspectArgs),
    /// Print what a cluster needs: init container, Helm values, access, alerts, an application
    Manifests(Box<manifests::ManifestsArgs>),
    /// Make a container image of plugins, and the checksums that registration needs; needs no container engine
    Package(Box<package::PackageArgs>),
    /// Copy the plugins that an image carries into the plugin directory; such images start this
    #[command(hide = true)]
    Loader(loader::LoaderArgs),
    /// Place a plugin, register it, mount it, configure it and try it; does only what is missing
    Register(Box<register::RegisterArgs>),
    /// Move every mount of a plugin to another version; what fails is undone by itself
    Upgrade(Box<upgrade::UpgradeArgs>),
    /// Move every mount of a plugin back to the version before
    Rollback(rollback::RollbackArgs),
    /// Remove versions that nothing needs
    Deregister(deregister::DeregisterArgs),
    /// Remove every version that nothing can need any more
    Gc(gc::GcArgs),
    /// Reload a plugin on its mounts, and prove what runs
    Reload(reload::ReloadArgs),
    /// Show what is on disk, in the catalog, configured and running
    Status(status::StatusArgs),
    /// Say what is wrong, what it breaks and what cures it; judges a server, a binary or an error
    Doctor(doctor::DoctorArgs),
    /// Get, renew and revoke credentials, or keep one for a command or in a file
    #[command(subcommand)]
    Creds(creds::CredsCommand),
    /// Work on a node, for this program itself
    #[command(subcommand, hide = true)]
    Node(node::NodeCommand),
    /// Become a command that ends with the process that started this, for this program itself
    #[command(hide = true)]
    ParentDeath(parent_death::ParentDeathArgs),
    /// Print the completion script of a shell
    Completions(completions::CompletionsArgs),
    /// Print the version and what the plugin speaks
    Version(version::VersionArgs),
}

impl Command {
    /// In which format this command prints.
    fn output_format(&self, global: &GlobalArgs) -> Result<Format, CommandError> {
        let is_raw = matches!(self, Command::Node(_) | Command::ParentDeath(_) | Command::Completions(_));
        if is_raw {
            // Their output has no format, so the variable of a shell or of a container cannot be wrong for them.
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
/// Without arguments it is the plugin when a host's cookie is in the environment, because a catalog entry may have no
/// arguments, and prints its help otherwise.
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
        None if serve::is_started_by_host() => Invocation::Serve(serve::ServeArgs {}),
        None => {
            ui.status(&App::command().render_help().to_string());
            return CommandErrorKind::Usage.exit_code();
        }
    };
    let command = match command {
        // On a runtime of its own, which starts its threads once the process is hardened.
        Invocation::Serve(args) => return finish(serve::run(args), &mut ui),
        Invocation::Tool(command) => command,
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
    // What still reads a terminal or waits for a server does not hold the process.
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

    #[test]
    fn global_flags_are_understood_before_and_after_the_command() {
        for line in
            [["x", "--output", "json", "version"], ["x", "version", "-o", "json"], ["x", "doctor", "-o", "json"]]
        {
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
            let Command::Doctor(args) = command else { panic!("{line:?}") };
            assert_eq!(args.output(), Some(OutputFormat::Junit), "{line:?}");
        }
        let app = App::try_parse_from(["x", "status", "-o", "sarif"]).expect("a format");
        let Some(Invocation::Tool(command)) = app.command else { panic!("a command") };
        let error = command.output_format(&app.global).expect_err("status has none");
        assert_eq!(error.kind(), CommandErrorKind::Usage);
    }
}
