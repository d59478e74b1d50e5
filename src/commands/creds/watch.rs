//! `creds watch`: a credential in a file that is always fresh, until an interrupt.

use clap::Args;
use lease_keeper::{Credential, Event, LifetimeWatcher};
use tokio::time::Instant;

use super::delivery::{self, FileMapping};
use super::exec::{WRITE_RETRY_DELAY, exit_report, sleep_until_or_forever};
use super::lease_events::LeaseEvent;
use super::login::LoginArgs;
use super::signals::{SignalEvent, SignalListener};
use crate::commands::exit_report::ExitReport;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// Which credential, and where it goes.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Path with the mount, such as custom/creds/developer
    path: String,
    /// Write a field, or json for all, to a file
    ///
    /// The file has mode 0600, and is removed at the end. The flag is repeatable.
    #[arg(long = "write-file", required = true, value_name = "PATH=FIELD")]
    files: Vec<FileMapping>,
    #[command(flatten)]
    login: LoginArgs,
}

/// Keeps the files fresh. With `--output json` each event is one line.
///
/// # Errors
/// When there is no credential, it cannot be written at first, or it cannot be revoked.
pub async fn run(args: WatchArgs, context: &Context, ui: &mut Ui) -> Result<ExitReport, CommandError> {
    let WatchArgs { path, files, login } = args;
    let mut signals = SignalListener::new()?;
    let mut keeping = login.start_watcher(path.clone(), context)?;
    let ended = watch_until_interrupt(&mut keeping, &mut signals, &path, &files, ui).await;
    delivery::remove_files(&files).iter().for_each(|left| ui.warn(left));
    let lives_on = keeping.shutdown().await;
    if lives_on.is_empty() && ended.is_ok() {
        ui.report_item(&LeaseEvent::Revoked { path })?;
    }
    exit_report(ended.map(|()| 0), lives_on)
}

async fn watch_until_interrupt(
    keeping: &mut LifetimeWatcher,
    signals: &mut SignalListener,
    path: &str,
    files: &[FileMapping],
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let mut newest: Option<Credential> = None;
    let mut write_at = None;
    loop {
        tokio::select! {
            event = keeping.next() => {
                let told = LeaseEvent::from_event(&event, path);
                match event {
                    Event::Failed { error } => {
                        return Err(CommandError::failed(format!("there is no credential of {path}")).caused_by(error));
                    }
                    Event::Issued { credential, warnings, .. } => {
                        warnings.iter().for_each(|warning| ui.warn(warning));
                        // Who reads of it finds it in the file.
                        match delivery::write_files(files, &credential) {
                            Ok(()) => write_at = None,
                            Err(error) if newest.is_none() => return Err(error),
                            Err(error) => {
                                ui.error(&error);
                                write_at = Some(Instant::now() + WRITE_RETRY_DELAY);
                            }
                        }
                        newest = Some(credential);
                    }
                    _ => {}
                }
                if let Some(told) = told {
                    ui.report_item(&told)?;
                }
            }
            () = sleep_until_or_forever(write_at) => {
                let written = newest.as_ref().map(|credential| delivery::write_files(files, credential));
                write_at = None;
                if let Some(Err(error)) = written {
                    ui.error(&error);
                    write_at = Some(Instant::now() + WRITE_RETRY_DELAY);
                }
            }
            came = signals.next() => if let SignalEvent::Terminate(_) = came {
                return match newest {
                    Some(_) => Ok(()),
                    None => Err(CommandError::interrupted("before there was a credential")),
                };
            },
        }
    }
}
