//! The command of `dev -- COMMAND`, and the signals that stop it or the server.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;

use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::server::DevServer;
use crate::commands::parent_death::{ParentDeath, command_tied_to_parent, spawn_error};
use crate::error::CommandError;

/// A running command. It is killed if this process exits first.
pub(super) struct DevChild {
    process: tokio::process::Child,
    name: String,
}

/// Variables that tell the command how to reach the server.
const ADDR_VARIABLE: &str = "VAULT_ADDR";
const TOKEN_VARIABLE: &str = "VAULT_TOKEN";
/// Variables that would select another server or namespace, or a proxy that does not reach this machine.
pub(super) const CONFLICTING_VARIABLES: [&str; 10] = [
    "BAO_ADDR",
    "BAO_TOKEN",
    "BAO_NAMESPACE",
    "VAULT_NAMESPACE",
    "VAULT_AGENT_ADDR",
    "BAO_AGENT_ADDR",
    "VAULT_PROXY_ADDR",
    "BAO_PROXY_ADDR",
    "VAULT_HTTP_PROXY",
    "BAO_HTTP_PROXY",
];

impl DevChild {
    /// Must be called on a thread that lives as long as the process; see [`command_tied_to_parent`].
    pub(super) fn start(
        program: &OsStr,
        args: &[OsString],
        server: &DevServer,
    ) -> Result<DevChild, CommandError> {
        let mut command = Command::from(command_tied_to_parent(program, ParentDeath::Kill));
        command.args(args).env(ADDR_VARIABLE, server.address()).env(TOKEN_VARIABLE, server.token().expose());
        for variable in CONFLICTING_VARIABLES {
            command.env_remove(variable);
        }
        let name = program.to_string_lossy().into_owned();
        let process = command.kill_on_drop(true).spawn().map_err(spawn_error)?;
        Ok(DevChild { process, name })
    }

    /// Asks the command to exit, unless it has exited.
    pub(super) fn terminate(&self) {
        let pid = self.process.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // Fails if the command has just exited.
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
}

/// Waits until the command exits; without a command, waits forever. As in a shell, the code after a signal is 128 plus the signal's number.
pub(super) async fn wait_exited(child: &mut Option<DevChild>) -> Result<ExitCode, CommandError> {
    let Some(DevChild { process, name }) = child else { return std::future::pending().await };
    let status = process
        .wait()
        .await
        .map_err(|error| CommandError::failed(format!("could not wait for {name}")).caused_by(error))?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// A received signal.
pub(super) enum TerminationSignal {
    /// Ctrl-C, which the terminal has sent to the command too.
    Interrupt,
    /// SIGTERM of a supervisor, which only this process gets.
    Terminate,
}

/// Listens for SIGINT and SIGTERM.
pub(super) struct TerminationSignals {
    interrupt: Signal,
    terminate: Signal,
}

impl TerminationSignals {
    pub(super) fn new() -> Result<TerminationSignals, CommandError> {
        let catch = |kind| -> io::Result<Signal> { signal(kind) };
        let caught = catch(SignalKind::interrupt()).and_then(|terminal| {
            Ok(TerminationSignals { interrupt: terminal, terminate: catch(SignalKind::terminate())? })
        });
        caught.map_err(|error| CommandError::failed("could not listen for interrupts").caused_by(error))
    }

    pub(super) async fn next(&mut self) -> TerminationSignal {
        tokio::select! {
            _ = self.interrupt.recv() => TerminationSignal::Interrupt,
            _ = self.terminate.recv() => TerminationSignal::Terminate,
        }
    }
}
