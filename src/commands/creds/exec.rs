//! `creds exec`: a credential for the time of one command.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use clap::{ArgAction, Args};
use lease_keeper::{Credential, Event, LifetimeWatcher, UnrevokedSecret};
use rustix::process::Signal;
use tokio::time::{Instant, sleep_until};

use super::delivery::{self, EnvMapping, FileMapping};
use super::exec_child::{ExecChild, TokenForwarding};
use super::lease_events::LeaseEvent;
use super::login::LoginArgs;
use super::signals::{SignalEvent, SignalListener, reap, signal_by_name};
use crate::commands::exit_report::ExitReport;
use crate::context::Context;
use crate::duration;
use crate::error::{CommandError, CommandErrorKind};
use crate::ui::{Report as _, Ui};

/// Which credential, for which command, and how it gets there.
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

/// How a command learns of another credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnChange {
    /// It is ended and started anew.
    Restart,
    /// By this signal.
    Signal(Signal),
    /// It looks at its file by itself.
    None,
}

/// A text that says nothing of that kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is restart, none, HUP, INT, QUIT, USR1, USR2, TERM, WINCH or CONT")]
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

/// Runs the command with a credential that lives as long as it does, and revokes it whatever ends first.
///
/// # Errors
/// When there is no credential, the command cannot be started, or the credential cannot be revoked.
pub async fn run(args: ExecArgs, context: &Context, ui: &mut Ui) -> Result<ExitReport, CommandError> {
    let ExecArgs { path, variables, files, on_change, grace, keep_vault_token, login, command } = args;
    let by_variables = files.is_empty() || !variables.is_empty();
    if by_variables && on_change != OnChange::Restart {
        return Err(CommandError::usage("a running command does not see a change of its variables").hint(
            "Leave out --set-env and use --write-file with --on-change, or have the command restarted.",
        ));
    }
    let tokens = if keep_vault_token { TokenForwarding::Forward } else { TokenForwarding::Withhold };
    let mut signals = SignalListener::new()?;
    let mut keeping = login.start_watcher(path.clone(), context)?;
    let run = ExecSession {
        path: &path,
        variables: &variables,
        files: &files,
        on_change,
        grace,
        tokens,
        command: &command,
    };
    let ended = run.supervise(&mut keeping, &mut signals, ui).await;
    delivery::remove_files(&files).iter().for_each(|left| ui.warn(left));
    let lives_on = keeping.shutdown().await;
    exit_report(ended, lives_on)
}

/// What the caller is told: how the command ended, unless something lives on.
pub(super) fn exit_report(
    ended: Result<u8, CommandError>,
    lives_on: Vec<UnrevokedSecret>,
) -> Result<ExitReport, CommandError> {
    if lives_on.is_empty() {
        return ended.map(ExitReport::new);
    }
    let error = match ended {
        Ok(code) => CommandError::new(
            CommandErrorKind::ManualIntervention,
            format!("the credential could not be revoked (the command itself ended with {code})"),
        ),
        Err(error) => {
            CommandError::new(CommandErrorKind::ManualIntervention, "the credential could not be revoked")
                .caused_by(error)
        }
    };
    Err(lives_on.iter().map(|secret| format!("{secret}.")).fold(error, CommandError::hint))
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

/// What the command is about to do.
#[derive(Clone, Copy, PartialEq)]
enum ChildState {
    Running,
    /// It was asked to end, and is started again when it has.
    Restarting,
    /// It was asked to end, and so do we.
    Stopping,
}

/// How long a file that could not be written waits for another attempt.
pub(super) const WRITE_RETRY_DELAY: Duration = Duration::from_secs(5);

impl ExecSession<'_> {
    async fn supervise(
        &self,
        keeping: &mut LifetimeWatcher,
        signals: &mut SignalListener,
        ui: &mut Ui,
    ) -> Result<u8, CommandError> {
        let mut credential = first_credential(keeping, signals, self.path, ui).await?;
        delivery::write_files(self.files, &credential)?;
        let mut child = self.start(&credential)?;
        let mut course = ChildState::Running;
        let (mut kill_at, mut write_at) = (None, None);
        loop {
            tokio::select! {
                event = keeping.next() => {
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
                    } else if course == ChildState::Running {
                        match self.on_change {
                            OnChange::None => {}
                            OnChange::Signal(signal) => child.send(signal),
                            OnChange::Restart => {
                                course = ChildState::Restarting;
                                kill_at = Some(self.terminate(&child, Signal::TERM));
                            }
                        }
                    }
                }
                came = signals.next() => match came {
                    SignalEvent::ChildExited => {
                        let Some(code) = reap(child.pid()) else { continue };
                        if course != ChildState::Restarting {
                            return Ok(code);
                        }
                        child = self.start(&credential)?;
                        (course, kill_at) = (ChildState::Running, None);
                        keeping.revoke_previous();
                    }
                    // A terminal has sent it to the command as well, which may have its own use for it.
                    SignalEvent::Terminate(Signal::INT) | SignalEvent::Forward(Signal::QUIT) if ui.is_interactive() => {}
                    // The second one is impatient.
                    SignalEvent::Terminate(_) if course == ChildState::Stopping => child.send(Signal::KILL),
                    SignalEvent::Terminate(signal) => {
                        course = ChildState::Stopping;
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

    /// Asks the command to end, and says when it has had time enough for that.
    fn terminate(&self, child: &ExecChild, signal: Signal) -> Instant {
        child.send(signal);
        Instant::now() + self.grace
    }
}

/// The first credential.
pub(super) async fn first_credential(
    keeping: &mut LifetimeWatcher,
    signals: &mut SignalListener,
    path: &str,
    ui: &mut Ui,
) -> Result<Credential, CommandError> {
    loop {
        tokio::select! {
            event = keeping.next() => {
                print_event(&event, path, ui);
                match event {
                    Event::Issued { credential, .. } => return Ok(credential),
                    Event::Failed { error } => {
                        return Err(CommandError::failed(format!("there is no credential of {path}")).caused_by(error));
                    }
                    _ => {}
                }
            }
            came = signals.next() => if let SignalEvent::Terminate(_) = came {
                return Err(CommandError::interrupted("before there was a credential"));
            },
        }
    }
}

fn print_event(event: &Event, path: &str, ui: &mut Ui) {
    match LeaseEvent::from_event(event, path) {
        Some(retrying @ LeaseEvent::Retrying { .. }) => ui.warn(retrying.render().trim_end()),
        Some(told) => ui.status(told.render().trim_end()),
        None => {}
    }
    if let Event::Issued { warnings, .. } = event {
        warnings.iter().for_each(|warning| ui.warn(warning));
    }
}

/// A moment, or never.
pub(super) async fn sleep_until_or_forever(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use lease_keeper::RevocationStatus;

    use super::*;

    #[test]
    fn what_lives_on_is_named_and_needs_a_person() {
        let left = UnrevokedSecret {
            subject: "lease custom/creds/a/1".into(),
            revocation: RevocationStatus::Failed,
            cause: "no connection".into(),
        };
        let error = exit_report(Ok(0), vec![left]).expect_err("it lives on");
        assert_eq!(error.kind(), CommandErrorKind::ManualIntervention);
        assert!(
            error.render().contains("lease custom/creds/a/1 is still valid (no connection)"),
            "{}",
            error.render()
        );
        assert!(exit_report(Ok(7), vec![]).is_ok());
    }

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
