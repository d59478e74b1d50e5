//! The command that uses a credential, and the step between us and it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use clap::Args;
use rustix::process::{Pid, Signal, getppid, kill_process, set_parent_process_death_signal};
use vault_api::Secret;

use crate::commands::ended::Ended;
use crate::error::CommandError;
use crate::ui::Ui;

/// What the step between is told.
#[derive(Debug, Args)]
pub struct ChildArgs {
    /// Process that started this
    #[arg(long)]
    parent: i32,
    /// Command to become
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// As shells have it: the command is there and cannot be run, or is not there.
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Has the kernel kill this process when its parent ends, and becomes the command.
///
/// That cannot be asked for a process from outside, nor between fork and exec without unsafe code, and it outlasts exec. So
/// this program stands in for the command for a moment.
pub fn become_command(args: ChildArgs, ui: &mut Ui) -> Result<Ended, CommandError> {
    let ChildArgs { parent, command } = args;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|errno| {
        CommandError::failed("could not tie the command to this process").because(io::Error::from(errno))
    })?;
    // The parent may have ended before the kernel was asked.
    if getppid().map(Pid::as_raw_pid) != Some(parent) {
        return Err(CommandError::failed("the process that started this has ended"));
    }
    let Some((program, args)) = command.split_first() else {
        return Err(CommandError::usage("there is no command to run"));
    };
    let failed = Command::new(program).args(args).exec();
    let code = if failed.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_RUN };
    ui.error(&CommandError::usage(format!("could not run {}", program.to_string_lossy())).because(failed));
    Ok(Ended::with(ExitCode::from(code)))
}

/// A running command. It is reaped by [`super::signals::reap`].
pub(super) struct Child {
    pid: Pid,
}

/// This program, also when its file was replaced or removed meanwhile.
const OURSELVES: &str = "/proc/self/exe";
/// What our own token is in: the credential is all that the command gets.
const TOKENS: [&str; 2] = ["VAULT_TOKEN", "BAO_TOKEN"];

impl Child {
    /// Starts the command, which dies with this process. To be called on the thread that lives as long as the process: the
    /// kernel takes the end of the starting thread for that of the parent.
    pub(super) fn start(
        command: &[OsString],
        variables: &BTreeMap<String, Secret>,
        tokens: Tokens,
    ) -> Result<Child, CommandError> {
        let mut step = Command::new(OURSELVES);
        step.args(["creds", "exec-child", "--parent"])
            .arg(std::process::id().to_string())
            .arg("--")
            .args(command);
        if tokens == Tokens::Withheld {
            for name in TOKENS {
                step.env_remove(name);
            }
        }
        step.envs(variables.iter().map(|(name, secret)| (name, secret.expose())));
        let child = step.spawn().map_err(|error| {
            CommandError::failed("could not start this program once more, which ties the command to it")
                .because(error)
                .hint("It is found at /proc/self/exe: is /proc mounted?")
        })?;
        let pid = Pid::from_raw(child.id().cast_signed());
        pid.map(|pid| Child { pid }).ok_or_else(|| CommandError::failed("the command has no process id"))
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal. One that has ended is not reaped before we know, so that the number is still its own.
    pub(super) fn send(&self, signal: Signal) {
        let _ended = kill_process(self.pid, signal);
    }
}

/// Whether the command gets our own token as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tokens {
    Withheld,
    PassedOn,
}
