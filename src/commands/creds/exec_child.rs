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

/// What our own token is in: the credential is all that the command gets.
const TOKEN_VARIABLES: [&str; 2] = ["VAULT_TOKEN", "BAO_TOKEN"];

impl ExecChild {
    /// Starts the command, which dies with this process. To be called on the thread that lives as long as the process: the
    /// kernel takes the end of the starting thread for that of the parent.
    pub(super) fn start(
        command: &[OsString],
        variables: &BTreeMap<String, SecretString>,
        tokens: TokenForwarding,
    ) -> Result<ExecChild, CommandError> {
        let Some((program, args)) = command.split_first() else {
            return Err(CommandError::usage("there is no command to run"));
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

    /// Sends a signal. One that has ended is not reaped before we know, so that the number is still its own.
    pub(super) fn send(&self, signal: Signal) {
        let _ended = kill_process(self.pid, signal);
    }
}

/// Whether the command gets our own token as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TokenForwarding {
    Withhold,
    Forward,
}
