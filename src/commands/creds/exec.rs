//! `creds exec`: runs a command with a credential.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Args};
use lease_keeper::{Credential, Event, LifetimeWatcher};
use rustix::process::Signal;
use tokio::time::Instant;

use super::delivery::{self, EnvMapping, FileMapping};
use super::exec_child::{ExecChild, TokenForwarding};
use super::lease_events::LeaseEvent;
use super::login::LoginArgs;
use super::session::{WRITE_RETRY_DELAY, report_with_unrevoked, sleep_until_or_forever};
use super::signals::{SignalEvent, SignalListener, reap, signal_by_name};
use crate::commands::exit_report::ExitReport;
use crate::context::Context;
use crate::duration;
use crate::error::CommandError;
use crate::ui::{Report as _, Ui};

/// Arguments of `creds exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Path with the mount, such as custom/creds/developer
    path: String,
    /// Set a variable to a field [default: all]
    ///
    /// By default every field becomes a variable with its name in capitals, unless there is a --write-file. The flag is repeatable.
    #[arg(long = "set-env", value_name = "NAME=FIELD")]
    variables: Vec<EnvMapping>,
    /// Write a field, or json for all, to a file
    ///
    /// The file has mode 0600, and is removed at the end. The flag is repeatable.
    #[arg(long = "write-file", value_name = "PATH=FIELD")]
    files: Vec<FileMapping>,
    /// Reaction to a new credential: restart, none or a signal
    #[arg(long, default_value = "restart", value_name = "HOW", hide_short_help = true)]
    on_change: OnChange,
    /// Time to exit after a signal, before the command is killed
    #[arg(long, default_value = "10s", value_name = "DURATION", value_parser = duration::parse, hide_short_help = true)]
    grace: Duration,
    /// Keep VAULT_TOKEN and BAO_TOKEN in the command's environment
    #[arg(long, action = ArgAction::SetTrue, hide_short_help = true)]
    keep_vault_token: bool,
    /// Command to run; its exit code is returned
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
    #[command(flatten)]
    login: LoginArgs,
}

/// How the command is notified of a new credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnChange {
    /// It is stopped and started again.
    Restart,
    /// It gets this signal.
    Signal(Signal),
    /// It watches its file.
    None,
}

/// Not a reaction.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected restart, none, HUP, INT, QUIT, USR1, USR2, TERM, WINCH or CONT")]
pub(super) struct OnChangeError;

impl FromStr for OnChange {
    type Err = OnChangeError;

    fn from_str(text: &str) -> Result<OnChange, OnChangeError> {
        match text {
            "restart" => Ok(OnChange::Restart),
            "none" => Ok(OnChange::None),
            name => signal_by_name(name).map(OnChange::Signal).ok_or(OnChangeError),
        }
    }
}

/// Runs the command with a credential that stays valid until the command exits, and then revokes it.
///
/// # Errors
/// If there is no credential, the command cannot be started, or the credential cannot be revoked.
pub async fn run(args: ExecArgs, context: &Context, ui: &mut Ui) -> Result<ExitReport, CommandError> {
    let ExecArgs { path, variables, files, on_change, grace, keep_vault_token, login, command } = args;
    let by_variables = files.is_empty() || !variables.is_empty();
    if by_variables && on_change != OnChange::Restart {
        return Err(CommandError::usage("a running command does not see a change of its variables")
            .hint("Use --write-file without --set-env, or --on-change restart."));
    }
    let tokens = if keep_vault_token { TokenForwarding::Forward } else { TokenForwarding::Withhold };
    let mut signals = SignalListener::new()?;
    let mut watcher = login.start_watcher(path.clone(), context)?;
    let run = ExecSession {
        path: &path,
        variables: &variables,
        files: &files,
        on_change,
        grace,
        tokens,
        command: &command,
    };
    let result = run.supervise(&mut watcher, &mut signals, ui).await;
    delivery::remove_files(&files).iter().for_each(|left| ui.warn(left));
    let unrevoked = watcher.shutdown().await;
    report_with_unrevoked(result, unrevoked)
}

struct ExecSession<'a> {
    path: &'a str,
    variables: &'a [EnvMapping],
    files: &'a [FileMapping],
    on_change: OnChange,
    grace: Duration,
    tokens: TokenForwarding,
    command: &'a [OsString],
}

/// What the command is going to do.
#[derive(Clone, Copy, PartialEq)]
enum ChildState {
    Running,
    /// It was asked to exit, and is started again afterwards.
    Restarting,
    /// It was asked to exit, and this process exits afterwards.
    Stopping,
}

impl ExecSession<'_> {
    async fn supervise(
        &self,
        watcher: &mut LifetimeWatcher,
        signals: &mut SignalListener,
        ui: &mut Ui,
    ) -> Result<u8, CommandError> {
        let mut credential = first_credential(watcher, signals, self.path, ui).await?;
        delivery::write_files(self.files, &credential)?;
        let mut child = self.start(&credential)?;
        let mut state = ChildState::Running;
        let (mut kill_at, mut write_at) = (None, None);
        loop {
            tokio::select! {
                event = watcher.next() => {
                    print_event(&event, self.path, ui);
                    if let Event::Issued { credential: another, .. } = event {
                        credential = another;
                        write_at = Some(Instant::now());
                    }
                }
                () = sleep_until_or_forever(write_at) => {
                    write_at = None;
                    if let Err(error) = delivery::write_files(self.files, &credential) {
                        ui.error(&error);
                        write_at = Some(Instant::now() + WRITE_RETRY_DELAY);
                    } else if state == ChildState::Running {
                        match self.on_change {
                            OnChange::None => {}
                            OnChange::Signal(signal) => child.send(signal),
                            OnChange::Restart => {
                                state = ChildState::Restarting;
                                kill_at = Some(self.terminate(&child, Signal::TERM));
                            }
                        }
                    }
                }
                signal_event = signals.next() => match signal_event {
                    SignalEvent::ChildExited => {
                        let Some(code) = reap(child.pid()) else { continue };
                        if state != ChildState::Restarting {
                            return Ok(code);
                        }
                        child = self.start(&credential)?;
                        (state, kill_at) = (ChildState::Running, None);
                        watcher.revoke_previous();
                    }
                    // The terminal has sent the signal to the command too, which may handle it.
                    SignalEvent::Terminate(Signal::INT) | SignalEvent::Forward(Signal::QUIT) if ui.is_interactive() => {}
                    // A second Ctrl-C asks for an immediate exit.
                    SignalEvent::Terminate(_) if state == ChildState::Stopping => child.send(Signal::KILL),
                    SignalEvent::Terminate(signal) => {
                        state = ChildState::Stopping;
                        kill_at = Some(self.terminate(&child, signal));
                    }
                    SignalEvent::Forward(signal) => child.send(signal),
                },
                () = sleep_until_or_forever(kill_at) => {
                    kill_at = None;
                    child.send(Signal::KILL);
                }
            }
        }
    }

    fn start(&self, credential: &Credential) -> Result<ExecChild, CommandError> {
        let variables = delivery::env_variables(self.variables, self.files, credential)?;
        ExecChild::start(self.command, &variables, self.tokens)
    }

    /// Asks the command to exit, and returns the time at which it is killed.
    fn terminate(&self, child: &ExecChild, signal: Signal) -> Instant {
        child.send(signal);
        Instant::now() + self.grace
    }
}

/// Waits for the first credential.
async fn first_credential(
    watcher: &mut LifetimeWatcher,
    signals: &mut SignalListener,
    path: &str,
    ui: &mut Ui,
) -> Result<Credential, CommandError> {
    loop {
        tokio::select! {
            event = watcher.next() => {
                print_event(&event, path, ui);
                match event {
                    Event::Issued { credential, .. } => return Ok(credential),
                    Event::Failed { error } => {
                        return Err(CommandError::failed(format!("could not get a credential from {path}")).caused_by(error));
                    }
                    _ => {}
                }
            }
            signal_event = signals.next() => if let SignalEvent::Terminate(_) = signal_event {
                return Err(CommandError::interrupted("before a credential was issued"));
            },
        }
    }
}

fn print_event(event: &Event, path: &str, ui: &mut Ui) {
    match LeaseEvent::from_event(event, path) {
        Some(retrying @ LeaseEvent::Retrying { .. }) => ui.warn(retrying.render().trim_end()),
        Some(lease_event) => ui.status(lease_event.render().trim_end()),
        None => {}
    }
    if let Event::Issued { warnings, .. } = event {
        warnings.iter().for_each(|warning| ui.warn(warning));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_by_restart_by_a_signal_or_not() {
        assert_eq!("restart".parse(), Ok(OnChange::Restart));
        assert_eq!("none".parse(), Ok(OnChange::None));
        for name in ["HUP", "SIGHUP", "hup"] {
            assert_eq!(name.parse(), Ok(OnChange::Signal(Signal::HUP)), "{name}");
        }
        assert_eq!("KILL".parse::<OnChange>(), Err(OnChangeError));
    }
}
