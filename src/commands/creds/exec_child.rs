//! The command that uses a credential.

use std::collections::BTreeMap;
use std::ffi::OsString;

use rustix::process::{Pid, Signal, kill_process};
use vault_api::SecretString;

use crate::commands::parent_death::{ParentDeath, command_tied_to_parent, spawn_error};
use crate::error::CommandError;

/// A running command. It is reaped by [`super::signals::reap`].
pub(super) struct ExecChild {
    pid: Pid,
}

/// Variables with the caller's Vault token. The command gets only the credential.
const TOKEN_VARIABLES: [&str; 2] = ["VAULT_TOKEN", "BAO_TOKEN"];

impl ExecChild {
    /// Starts the command, which is killed when this process ends. Must be called on a thread that lives as long as the process, because
    /// the kernel sends the parent-death signal when the starting thread ends.
    pub(super) fn start(
        command: &[OsString],
        variables: &BTreeMap<String, SecretString>,
        tokens: TokenForwarding,
    ) -> Result<ExecChild, CommandError> {
        let Some((program, args)) = command.split_first() else {
            return Err(CommandError::usage("no command given"));
        };
        let mut step = command_tied_to_parent(program, ParentDeath::Kill);
        step.args(args);
        if tokens == TokenForwarding::Withhold {
            for name in TOKEN_VARIABLES {
                step.env_remove(name);
            }
        }
        step.envs(variables.iter().map(|(name, secret)| (name, secret.expose())));
        let child = step.spawn().map_err(spawn_error)?;
        let pid = Pid::from_raw(child.id().cast_signed());
        pid.map(|pid| ExecChild { pid }).ok_or_else(|| CommandError::failed("the command has no process id"))
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal. A command that has exited stays a zombie until it is reaped here, so its process id is not reused before.
    pub(super) fn send(&self, signal: Signal) {
        let _ended = kill_process(self.pid, signal);
    }
}

/// Whether the command inherits the caller's Vault token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenForwarding {
    Withhold,
    Forward,
}
