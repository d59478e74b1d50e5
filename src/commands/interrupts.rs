//! Handles SIGINT, SIGTERM and SIGHUP: they stop a command immediately before any change, and after the current step later.

use std::fs;
use std::future;
use std::time::Duration;

use rollout::CancelFlag;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::{CommandError, CommandErrorKind};
use crate::ui::StatusWriter;

/// The signals that ask a run to stop. A supervisor or a terminal may send several of them.
struct StopSignals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
}

/// A received signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StopSignal {
    /// SIGINT. A second one stops the run immediately.
    Sigint,
    /// SIGTERM or SIGHUP, from a supervisor or a closed terminal.
    Other,
}

/// Reaction of a run to a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Response {
    /// Stops after the current step, and prints this message.
    StopAfterStep(&'static str),
    /// Exits immediately.
    Exit,
    /// Does nothing, because the stop was requested before.
    Ignore,
}

/// The signals received so far. A cancelled CI job sends SIGINT and then SIGTERM, so only a second SIGINT stops immediately.
#[derive(Debug, Default)]
struct Received {
    interrupted: bool,
    other: bool,
}

impl Received {
    fn respond(&mut self, signal: StopSignal) -> Response {
        match signal {
            StopSignal::Sigint if std::mem::replace(&mut self.interrupted, true) => Response::Exit,
            StopSignal::Sigint => {
                Response::StopAfterStep("Stopping after this step; interrupt again to exit immediately.")
            }
            StopSignal::Other if std::mem::replace(&mut self.other, true) || self.interrupted => {
                Response::Ignore
            }
            StopSignal::Other => {
                Response::StopAfterStep("Stopping after this step; interrupt twice to exit immediately.")
            }
        }
    }
}

impl StopSignals {
    /// Starts to listen. A signal that the caller ignores, as `nohup` does, stays ignored.
    fn listen() -> Result<Self, CommandError> {
        // If the kernel does not show the mask, no signal counts as ignored.
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let catch = |kind: SignalKind| {
            if is_ignored(&status, kind) {
                return Ok(None);
            }
            signal(kind)
                .map(Some)
                .map_err(|error| CommandError::failed("could not listen for signals").caused_by(error))
        };
        Ok(Self {
            interrupt: catch(SignalKind::interrupt())?,
            terminate: catch(SignalKind::terminate())?,
            hang_up: catch(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> StopSignal {
        tokio::select! {
            () = recv_signal(&mut self.interrupt) => StopSignal::Sigint,
            () = recv_signal(&mut self.terminate) => StopSignal::Other,
            () = recv_signal(&mut self.hang_up) => StopSignal::Other,
        }
    }
}

async fn recv_signal(signal: &mut Option<Signal>) {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return;
    }
    future::pending::<()>().await;
}

/// Whether the process ignores a signal, according to its status in `/proc`. Must be called before a handler is installed.
fn is_ignored(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}

/// Runs work that changes nothing, before the first change. A signal stops it immediately, including the processes that it has started.
pub(crate) async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    unless_interrupted_at(BEFORE_ANY_CHANGE, work).await
}

/// Like [`unless_interrupted`]; `when` describes what has been changed so far.
pub(crate) async fn unless_interrupted_at<T>(
    when: &str,
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let mut signals = StopSignals::listen()?;
    let (interrupt_sender, interrupted) = oneshot::channel();
    // In a separate task, because a prompt blocks the task that does the work.
    let watching = tokio::spawn(async move {
        signals.next().await;
        let _ended = interrupt_sender.send(());
        tokio::time::sleep(SHUTDOWN_GRACE_PERIOD).await;
        std::process::exit(CommandErrorKind::Interrupted.code().into());
    });
    let ended = tokio::select! {
        ended = work => ended,
        Ok(()) = interrupted => Err(CommandError::interrupted(when)),
    };
    watching.abort();
    ended
}

/// Time in which unblocked work has stopped.
const SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_millis(500);

const BEFORE_ANY_CHANGE: &str = "before anything was changed";

/// Stop requests of a run that changes something.
#[derive(Debug, Default)]
pub(crate) struct Interrupts {
    cancel: CancelFlag,
    listener: Option<JoinHandle<()>>,
}

impl Interrupts {
    /// The flag that the first signal sets after [`Interrupts::stop_after_step_on_signal`].
    pub(crate) fn cancel_flag(&self) -> &CancelFlag {
        &self.cancel
    }

    /// Makes a signal exit the process. Used while a prompt blocks the thread and nothing has been changed.
    pub(crate) fn exit_on_signal(&mut self, status_writer: StatusWriter) -> Result<(), CommandError> {
        let mut signals = StopSignals::listen()?;
        self.replace_listener(tokio::spawn(async move {
            signals.next().await;
            status_writer.print(CommandError::interrupted(BEFORE_ANY_CHANGE).render().trim_end());
            std::process::exit(CommandErrorKind::Interrupted.code().into());
        }));
        Ok(())
    }

    /// Makes the first signal request a stop after the current step. Only a second SIGINT exits immediately.
    pub(crate) fn stop_after_step_on_signal(
        &mut self,
        status_writer: StatusWriter,
    ) -> Result<(), CommandError> {
        let (mut signals, cancel) = (StopSignals::listen()?, self.cancel.clone());
        self.replace_listener(tokio::spawn(async move {
            let mut received = Received::default();
            loop {
                match received.respond(signals.next().await) {
                    Response::StopAfterStep(text) => {
                        cancel.cancel();
                        status_writer.print(text);
                    }
                    Response::Exit => std::process::exit(CommandErrorKind::Interrupted.code().into()),
                    Response::Ignore => {}
                }
            }
        }));
        Ok(())
    }

    /// The previous listener is stopped after the new one has started, so that no signal is lost.
    fn replace_listener(&mut self, watching: JoinHandle<()>) {
        if let Some(before) = self.listener.replace(watching) {
            before.abort();
        }
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        if let Some(watching) = &self.listener {
            watching.abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn responses(signals: &[StopSignal]) -> Vec<Response> {
        let mut received = Received::default();
        signals.iter().map(|&signal| received.respond(signal)).collect()
    }

    #[test]
    fn only_a_second_interrupt_leaves() {
        use StopSignal::{Other, Sigint};
        let again = Response::StopAfterStep("Stopping after this step; interrupt again to exit immediately.");
        let twice = Response::StopAfterStep("Stopping after this step; interrupt twice to exit immediately.");
        assert_eq!(responses(&[Sigint, Sigint]), [again, Response::Exit]);
        assert_eq!(responses(&[Sigint, Other, Other]), [again, Response::Ignore, Response::Ignore]);
        assert_eq!(responses(&[Other, Other]), [twice, Response::Ignore]);
        assert_eq!(responses(&[Other, Sigint, Sigint]), [twice, again, Response::Exit]);
    }

    #[test]
    fn an_ignored_signal_is_read_from_the_status_of_the_process() {
        let status = "SigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0000000000000440\n";
        assert!(is_ignored(status, SignalKind::hangup()));
        for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
            assert!(!is_ignored(status, kind));
        }
        for unreadable in ["", "SigIgn:", "SigIgn:\tx"] {
            assert!(!is_ignored(unreadable, SignalKind::hangup()), "{unreadable:?}");
        }
    }
}
