//! `creds watch`: a credential in a file that is always fresh, until an interrupt.

use clap::Args;
use lease_keeper::{Credential, Event, Keeping};
use tokio::time::Instant;

use super::delivery::{self, File};
use super::exec::{WRITE_AGAIN, at, conclude};
use super::login::LoginArgs;
use super::signals::{Came, Signals};
use super::told::Told;
use crate::commands::ended::Ended;
use crate::context::Context;
use crate::error::CommandError;
use crate::ui::Ui;

/// Which credential, and where it goes.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Full path, such as custom/creds/developer
    path: String,
    /// Write this field, or json for all, into this file with mode 0600, and take the file away at the end; may be repeated
    #[arg(long = "file", required = true, value_name = "PATH=FIELD")]
    files: Vec<File>,
    #[command(flatten)]
    login: LoginArgs,
}

/// Keeps the files fresh. With `--output json` each event is one line.
///
/// # Errors
/// When there is no credential, it cannot be written at first, or it cannot be revoked.
pub async fn run(args: WatchArgs, context: &Context, ui: &mut Ui) -> Result<Ended, CommandError> {
    let WatchArgs { path, files, login } = args;
    let mut signals = Signals::new()?;
    let mut keeping = login.keep(path.clone(), context)?;
    let ended = until_an_interrupt(&mut keeping, &mut signals, &path, &files, ui).await;
    delivery::remove(&files).iter().for_each(|left| ui.warn(left));
    let lives_on = keeping.end().await;
    if lives_on.is_empty() && ended.is_ok() {
        ui.line(&Told::Revoked { path })?;
    }
    conclude(ended.map(|()| 0), lives_on)
}

async fn until_an_interrupt(
    keeping: &mut Keeping,
    signals: &mut Signals,
    path: &str,
    files: &[File],
    ui: &mut Ui,
) -> Result<(), CommandError> {
    let mut newest: Option<Credential> = None;
    let mut write_at = None;
    loop {
        tokio::select! {
            event = keeping.next() => {
                let told = Told::of(&event, path);
                match event {
                    Event::Failed { error } => {
                        return Err(CommandError::failed(format!("there is no credential of {path}")).because(error));
                    }
                    Event::Issued { credential, warnings, .. } => {
                        warnings.iter().for_each(|warning| ui.warn(warning));
                        // Who reads of it finds it in the file.
                        match delivery::write(files, &credential) {
                            Ok(()) => write_at = None,
                            Err(error) if newest.is_none() => return Err(error),
                            Err(error) => {
                                ui.error(&error);
                                write_at = Some(Instant::now() + WRITE_AGAIN);
                            }
                        }
                        newest = Some(credential);
                    }
                    _ => {}
                }
                if let Some(told) = told {
                    ui.line(&told)?;
                }
            }
            () = at(write_at) => {
                let written = newest.as_ref().map(|credential| delivery::write(files, credential));
                write_at = None;
                if let Some(Err(error)) = written {
                    ui.error(&error);
                    write_at = Some(Instant::now() + WRITE_AGAIN);
                }
            }
            came = signals.next() => if let Came::End(_) = came {
                return match newest {
                    Some(_) => Ok(()),
                    None => Err(CommandError::interrupted("before there was a credential")),
                };
            },
        }
    }
}
