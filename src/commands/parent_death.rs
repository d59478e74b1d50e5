//! `parent-death`: the process between this program and a command that must end with it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::IntoRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use clap::{Args, ValueEnum};
use rustix::fs::{FileType, Mode, OFlags};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use crate::commands::exit_report::ExitReport;
use crate::error::CommandError;
use crate::ui::Ui;

/// Arguments of `parent-death`.
#[derive(Debug, Args)]
pub struct ParentDeathArgs {
    /// Process that started this one
    #[arg(long)]
    parent: i32,
    /// What happens to the command when that ends
    #[arg(long)]
    on_exit: ParentDeath,
    /// Command to become
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// What happens to a command when this process exits without stopping it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ParentDeath {
    /// It is terminated, so that it can stop its own processes.
    Terminate,
    /// It is killed.
    Kill,
}

/// Exit codes as in a shell: the command cannot be executed, or was not found.
pub(super) const EXIT_CANNOT_EXECUTE: u8 = 126;
pub(super) const EXIT_NOT_FOUND: u8 = 127;

/// This executable, also if its file was replaced or removed.
const SELF_EXE: &str = "/proc/self/exe";

/// Asks the kernel to end this process when its parent ends, and executes the command.
///
/// The request cannot be made for another process, nor between fork and exec without unsafe code. It survives exec, so this program makes
/// it and then becomes the command.
pub fn run(args: ParentDeathArgs, ui: &mut Ui) -> Result<ExitReport, CommandError> {
    let ParentDeathArgs { parent, on_exit, command } = args;
    let signal = match on_exit {
        ParentDeath::Terminate => Signal::TERM,
        ParentDeath::Kill => Signal::KILL,
    };
    set_parent_process_death_signal(Some(signal)).map_err(|errno| {
        CommandError::failed("could not request the parent-death signal").caused_by(io::Error::from(errno))
    })?;
    // The parent may have exited before the request.
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        return Err(CommandError::failed("the parent process has exited"));
    }
    if on_exit == ParentDeath::Terminate {
        for output in ["/proc/self/fd/1", "/proc/self/fd/2"] {
            keep_pipe_open(output);
        }
    }
    let Some((program, args)) = command.split_first() else {
        return Err(CommandError::usage("no command given"));
    };
    let failed = Command::new(program).args(args).exec();
    let code = if failed.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_CANNOT_EXECUTE };
    ui.error(&CommandError::usage(format!("could not run {}", program.to_string_lossy())).caused_by(failed));
    Ok(ExitReport::new(ExitCode::from(code)))
}

/// Opens the read end of standard output or error for the command if it is a pipe. Without a reader, a Go program dies of SIGPIPE when it
/// logs while it shuts down, and leaves its own processes behind.
fn keep_pipe_open(output: &str) {
    let is_pipe =
        rustix::fs::stat(output).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
    // If the pipe cannot be reopened, the command inherits it unchanged.
    if let (true, Ok(pipe)) = (is_pipe, rustix::fs::open(output, OFlags::RDONLY, Mode::empty())) {
        // Without close-on-exec, so that the command inherits it.
        let _the_commands = pipe.into_raw_fd();
    }
}

/// A command that ends with this process. Must be started on a thread that lives as long as the process, because the kernel sends the
/// parent-death signal when the starting thread ends.
pub(super) fn command_tied_to_parent(program: &OsStr, on_exit: ParentDeath) -> Command {
    let mut step = Command::new(SELF_EXE);
    step.args(["parent-death", "--parent", &std::process::id().to_string(), "--on-exit"])
        .arg(match on_exit {
            ParentDeath::Terminate => "terminate",
            ParentDeath::Kill => "kill",
        })
        .arg("--")
        .arg(program);
    step
}

/// The error if `parent-death` itself could not be started.
pub(super) fn spawn_error(error: io::Error) -> CommandError {
    CommandError::failed("could not start this program again to run the command")
        .caused_by(error)
        .hint("It is started from /proc/self/exe. Check that /proc is mounted.")
}
