//! `parent-death`: the step between this program and a command that ends with it, whatever ends it.

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

/// What the step between is told.
#[derive(Debug, Args)]
pub struct ParentDeathArgs {
    /// Process that started this
    #[arg(long)]
    parent: i32,
    /// What happens to the command when that ends
    #[arg(long)]
    on_exit: ParentDeath,
    /// Command to become
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// What happens to a command when this process has ended without a word to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum ParentDeath {
    /// It is told to end, because it has processes of its own to end.
    Terminate,
    /// It is killed.
    Kill,
}

/// As shells have it: the command is there and cannot be run, or is not there.
pub(super) const EXIT_CANNOT_EXECUTE: u8 = 126;
pub(super) const EXIT_NOT_FOUND: u8 = 127;

/// This program, also when its file was replaced or removed meanwhile.
const SELF_EXE: &str = "/proc/self/exe";

/// Has the kernel end this process when its parent ends, and becomes the command.
///
/// That cannot be asked for a process from outside, nor between fork and exec without unsafe code, and it outlasts exec. So
/// this program stands in for the command for a moment.
pub fn run(args: ParentDeathArgs, ui: &mut Ui) -> Result<ExitReport, CommandError> {
    let ParentDeathArgs { parent, on_exit, command } = args;
    let signal = match on_exit {
        ParentDeath::Terminate => Signal::TERM,
        ParentDeath::Kill => Signal::KILL,
    };
    set_parent_process_death_signal(Some(signal)).map_err(|errno| {
        CommandError::failed("could not tie the command to this process").caused_by(io::Error::from(errno))
    })?;
    // The parent may have ended before the kernel was asked.
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        return Err(CommandError::failed("the process that started this has ended"));
    }
    if on_exit == ParentDeath::Terminate {
        for output in ["/proc/self/fd/1", "/proc/self/fd/2"] {
            keep_pipe_open(output);
        }
    }
    let Some((program, args)) = command.split_first() else {
        return Err(CommandError::usage("there is no command to run"));
    };
    let failed = Command::new(program).args(args).exec();
    let code = if failed.kind() == io::ErrorKind::NotFound { EXIT_NOT_FOUND } else { EXIT_CANNOT_EXECUTE };
    ui.error(&CommandError::usage(format!("could not run {}", program.to_string_lossy())).caused_by(failed));
    Ok(ExitReport::new(ExitCode::from(code)))
}

/// Has the command read an output of its own, if that is a pipe. It would be broken once its reader has ended, and a Go program dies
/// of what it logs to a broken one while it ends, with its own processes left behind.
fn keep_pipe_open(output: &str) {
    let is_pipe =
        rustix::fs::stat(output).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo);
    // Where it cannot be had, the command is as it would be in a shell.
    if let (true, Ok(pipe)) = (is_pipe, rustix::fs::open(output, OFlags::RDONLY, Mode::empty())) {
        // Without close-on-exec: it is the command's.
        let _the_commands = pipe.into_raw_fd();
    }
}

/// A command that ends with this process. To be started on the thread that lives as long as the process: the kernel takes the
/// end of the starting thread for that of the parent.
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

/// That the step itself could not be started.
pub(super) fn spawn_error(error: io::Error) -> CommandError {
    CommandError::failed("could not start this program once more, which ties the command to it")
        .caused_by(error)
        .hint("It is found at /proc/self/exe: is /proc mounted?")
}
