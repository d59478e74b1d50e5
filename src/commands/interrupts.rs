//! SIGINT, SIGTERM and SIGHUP: at once while nothing has changed, after the step from then on.

use std::fs;
use std::future;
use std::time::Duration;

use rollout::CancelFlag;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::{CommandError, CommandErrorKind};
use crate::ui::StatusWriter;

/// The signals that ask a run to stop. A supervisor or a terminal may send several of them, one after the other.
struct StopSignals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hang_up: Option<Signal>,
}

/// Which signal came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StopSignal {
    /// SIGINT: somebody at a terminal, who may send a second one to leave at once.
    Sigint,
    /// SIGTERM or SIGHUP: a supervisor, or a terminal that has gone.
    Other,
}

/// What a run does about a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Response {
    /// Stops after the step, and says this.
    StopAfterStep(&'static str),
    /// Leaves at once.
    Exit,
    /// The stop was already asked for.
    Ignore,
}

/// The signals that came so far. A cancelled CI job sends SIGINT and then SIGTERM, so only a second SIGINT leaves at once.
#[derive(Debug, Default)]
struct Received {
    interrupted: bool,
    other: bool,
}

impl Received {
    fn respond(&mut self, came: StopSignal) -> Response {
        match came {
            StopSignal::Sigint if std::mem::replace(&mut self.interrupted, true) => Response::Exit,
            StopSignal::Sigint => {
                Response::StopAfterStep("Stopping after this step; interrupt again to leave at once.")
            }
            StopSignal::Other if std::mem::replace(&mut self.other, true) || self.interrupted => {
                Response::Ignore
            }
            StopSignal::Other => {
                Response::StopAfterStep("Stopping after this step; interrupt twice to leave at once.")
            }
        }
    }
}

impl StopSignals {
    /// Listens from now on. A signal that the caller ignores, as `nohup` does, stays ignored.
    fn listen() -> Result<Self, CommandError> {
        // Where the kernel does not say, nothing is ignored.
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

/// Whether the process ignores a signal, by the mask in its status. No handler may be installed yet.
fn is_ignored(status: &str, kind: SignalKind) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask >> (kind.as_raw_value() - 1) & 1 == 1
}

/// Does what changes nothing, before anything has changed; a signal ends it at once, with all that it has started.
pub(crate) async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    unless_interrupted_at(BEFORE_ANY_CHANGE, work).await
}

/// As [`unless_interrupted`]; `when` says what has changed by then.
pub(crate) async fn unless_interrupted_at<T>(
    when: &str,
    work: impl Future<Output = Result<T, CommandError>>,
) -> Result<T, CommandError> {
    let mut signals = StopSignals::listen()?;
    let (tell, told) = oneshot::channel();
    // A task of its own, because a prompt at the terminal blocks the one that works.
    let watching = tokio::spawn(async move {
        signals.next().await;
        let _ended = tell.send(());
        tokio::time::sleep(SHUTDOWN_GRACE_PERIOD).await;
        std::process::exit(CommandErrorKind::Interrupted.code().into());
    });
    let ended = tokio::select! {
        ended = work => ended,
        Ok(()) = told => Err(CommandError::interrupted(when)),
    };
    watching.abort();
    ended
}

/// What is not blocked stops at once.
const SHUTDOWN_GRACE_PERIOD: Duration = Duration::from_millis(500);

const BEFORE_ANY_CHANGE: &str = "before anything was changed";

/// What signals ask of a run that changes something.
#[derive(Debug, Default)]
pub(crate) struct Interrupts {
    cancel: CancelFlag,
    listener: Option<JoinHandle<()>>,
}

impl Interrupts {
    /// Set by the first signal after [`Interrupts::stop_after_step_on_signal`].
    pub(crate) fn cancel_flag(&self) -> &CancelFlag {
        &self.cancel
    }

    /// From now on a signal ends the process, as nothing has changed yet: a prompt at the terminal blocks whoever waits for it.
    pub(crate) fn exit_on_signal(&mut self, aside: StatusWriter) -> Result<(), CommandError> {
        let mut signals = StopSignals::listen()?;
        self.replace_listener(tokio::spawn(async move {
            signals.next().await;
            aside.print(CommandError::interrupted(BEFORE_ANY_CHANGE).render().trim_end());
            std::process::exit(CommandErrorKind::Interrupted.code().into());
        }));
        Ok(())
    }

    /// From now on the first signal asks for a stop after the step; only a second SIGINT leaves at once.
    pub(crate) fn stop_after_step_on_signal(&mut self, aside: StatusWriter) -> Result<(), CommandError> {
        let (mut signals, cancel) = (StopSignals::listen()?, self.cancel.clone());
        self.replace_listener(tokio::spawn(async move {
            let mut received = Received::default();
            loop {
                match received.respond(signals.next().await) {
                    Response::StopAfterStep(text) => {
                        cancel.cancel();
                        aside.print(text);
                    }
                    Response::Exit => std::process::exit(CommandErrorKind::Interrupted.code().into()),
                    Response::Ignore => {}
                }
            }
        }));
        Ok(())
    }

    /// The one before listens until the next one does, so that no signal is lost.
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

    fn responses(came: &[StopSignal]) -> Vec<Response> {
        let mut received = Received::default();
        came.iter().map(|&signal| received.respond(signal)).collect()
    }

    #[test]
    fn only_a_second_interrupt_leaves() {
        use StopSignal::{Other, Sigint};
        let again = Response::StopAfterStep("Stopping after this step; interrupt again to leave at once.");
        let twice = Response::StopAfterStep("Stopping after this step; interrupt twice to leave at once.");
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
