//! The command that is run against the host, and the interrupts that end one or the other.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitCode;

use tokio::process::Command;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::server::DevServer;
use crate::commands::parent_death::{ParentDeath, command_tied_to_parent, spawn_error};
use crate::error::CommandError;

/// A running command. It is killed if we end before it does.
pub(super) struct DevChild {
    process: tokio::process::Child,
    name: String,
}

/// What the command finds in its environment, beside ours: how to reach the host.
const ADDR_VARIABLE: &str = "VAULT_ADDR";
const TOKEN_VARIABLE: &str = "VAULT_TOKEN";
/// Variables that lead a client to another server or another namespace, or to a proxy that does not reach this machine.
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
    /// To be called on the thread that lives as long as the process, as [`command_tied_to_parent`] says.
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

    /// Asks it to end; one that has ended already is not asked.
    pub(super) fn terminate(&self) {
        let pid = self.process.id().and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            // Fails when it ends at this moment.
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }
}

/// Waits for the end of the command: for ever if there is none. As in a shell, a signal is 128 and its number.
pub(super) async fn wait_exited(child: &mut Option<DevChild>) -> Result<ExitCode, CommandError> {
    let Some(DevChild { process, name }) = child else { return std::future::pending().await };
    let status = process
        .wait()
        .await
        .map_err(|error| CommandError::failed(format!("could not wait for {name}")).caused_by(error))?;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}

/// What somebody wants who stops us.
pub(super) enum TerminationSignal {
    /// Ctrl-C: the terminal has sent it to the command as well.
    Interrupt,
    /// A supervisor, which knows only us.
    Terminate,
}

/// Interrupts from a terminal and from a supervisor.
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
