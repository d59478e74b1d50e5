//! `creds watch`: keeps a credential in a file valid until it is interrupted.

use clap::Args;
use lease_keeper::{Credential, Event, LifetimeWatcher};
use tokio::time::Instant;

use super::delivery::{self, FileMapping};
use super::lease_events::LeaseEvent;
use super::login::LoginArgs;
use super::session::{WRITE_RETRY_DELAY, report_with_unrevoked, sleep_until_or_forever};
use super::signals::{SignalEvent, SignalListener};
use crate::commands::exit_report::ExitReport;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// Arguments of `creds watch`.
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

/// Keeps the files up to date. With `--output json` each event is one line.
///
/// # Errors
/// If there is no credential, it cannot be written the first time, or it cannot be revoked.
pub async fn run(args: WatchArgs, context: &Context, ui: &mut Ui) -> Result<ExitReport, CommandError> {
    let WatchArgs { path, files, login } = args;
    let mut signals = SignalListener::new()?;
    let mut watcher = login.start_watcher(path.clone(), context)?;
    let ended = watch_until_interrupt(&mut watcher, &mut signals, &path, &files, ui).await;
    delivery::remove_files(&files).iter().for_each(|left| ui.warn(left));
    let unrevoked = watcher.shutdown().await;
    if unrevoked.is_empty() && ended.is_ok() {
        ui.report_item(&LeaseEvent::Revoked { path })?;
    }
    report_with_unrevoked(ended.map(|()| 0), unrevoked)
}

async fn watch_until_interrupt(
    watcher: &mut LifetimeWatcher,
    signals: &mut SignalListener,
    path: &str,
    files: &[FileMapping],
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let mut newest: Option<Credential> = None;
    let mut write_at = None;
    loop {
        tokio::select! {
            event = watcher.next() => {
                let lease_event = LeaseEvent::from_event(&event, path);
                match event {
                    Event::Failed { error } => {
                        return Err(CommandError::failed(format!("could not get a credential from {path}")).caused_by(error));
                    }
                    Event::Issued { credential, warnings, .. } => {
                        warnings.iter().for_each(|warning| ui.warn(warning));
                        // The event is written after the file, so that its reader finds the new content.
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
                if let Some(lease_event) = lease_event {
                    ui.report_item(&lease_event)?;
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
            signal_event = signals.next() => if let SignalEvent::Terminate(_) = signal_event {
                return match newest {
                    Some(_) => Ok(()),
                    None => Err(CommandError::interrupted("before a credential was issued")),
                };
            },
        }
    }
}
