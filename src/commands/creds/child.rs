//! The command that uses a credential.

use std::collections::BTreeMap;
use std::ffi::OsString;

use rustix::process::{Pid, Signal, kill_process};
use vault_api::Secret;

use crate::commands::tied::{Fate, not_started, tied};
use crate::error::CommandError;

/// A running command. It is reaped by [`super::signals::reap`].
pub(super) struct Child {
    pid: Pid,
}

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
        let Some((program, args)) = command.split_first() else {
            return Err(CommandError::usage("there is no command to run"));
        };
        let mut step = tied(program, Fate::Killed);
        step.args(args);
        if tokens == Tokens::Withheld {
            for name in TOKENS {
                step.env_remove(name);
            }
        }
        step.envs(variables.iter().map(|(name, secret)| (name, secret.expose())));
        let child = step.spawn().map_err(not_started)?;
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
