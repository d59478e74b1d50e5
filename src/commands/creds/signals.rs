//! Signals of a process between a supervisor and a child.

use rustix::process::{Pid, Signal, WaitOptions, wait};
use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

use crate::error::CommandError;

/// A received signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalEvent {
    /// A child has exited: the command or, if this is the first process of a container, any process.
    ChildExited,
    /// A request to exit.
    Terminate(Signal),
    /// Any other signal, which is forwarded.
    Forward(Signal),
}

/// All signals that a supervisor or a terminal sends.
pub(super) struct SignalListener {
    children: Stream,
    terminate: Stream,
    interrupt: Stream,
    hang_up: Stream,
    quit: Stream,
    user_1: Stream,
    user_2: Stream,
    window_change: Stream,
}

impl SignalListener {
    pub(super) fn new() -> Result<SignalListener, CommandError> {
        let catch = |kind| {
            signal(kind)
                .map_err(|error| CommandError::failed("could not listen for signals").caused_by(error))
        };
        Ok(SignalListener {
            children: catch(SignalKind::child())?,
            terminate: catch(SignalKind::terminate())?,
            interrupt: catch(SignalKind::interrupt())?,
            hang_up: catch(SignalKind::hangup())?,
            quit: catch(SignalKind::quit())?,
            user_1: catch(SignalKind::user_defined1())?,
            user_2: catch(SignalKind::user_defined2())?,
            window_change: catch(SignalKind::window_change())?,
        })
    }

    pub(super) async fn next(&mut self) -> SignalEvent {
        tokio::select! {
            _ = self.children.recv() => SignalEvent::ChildExited,
            _ = self.terminate.recv() => SignalEvent::Terminate(Signal::TERM),
            _ = self.interrupt.recv() => SignalEvent::Terminate(Signal::INT),
            _ = self.hang_up.recv() => SignalEvent::Forward(Signal::HUP),
            _ = self.quit.recv() => SignalEvent::Forward(Signal::QUIT),
            _ = self.user_1.recv() => SignalEvent::Forward(Signal::USR1),
            _ = self.user_2.recv() => SignalEvent::Forward(Signal::USR2),
            _ = self.window_change.recv() => SignalEvent::Forward(Signal::WINCH),
        }
    }
}

/// Reaps every child that has exited, including those adopted as the first process of a container. Returns the exit code of `child` if it
/// has exited; after a signal that is 128 plus the signal's number.
pub(super) fn reap(child: Pid) -> Option<u8> {
    let mut ended = None;
    // Fails if there is no child at all.
    while let Ok(Some((pid, status))) = wait(WaitOptions::NOHANG) {
        if pid == child {
            let code =
                status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal));
            ended = Some(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX));
        }
    }
    ended
}

/// Parses the name of a signal, with or without `SIG`.
pub(super) fn signal_by_name(name: &str) -> Option<Signal> {
    let name = name.to_ascii_uppercase();
    Some(match name.strip_prefix("SIG").unwrap_or(&name) {
        "HUP" => Signal::HUP,
        "INT" => Signal::INT,
        "QUIT" => Signal::QUIT,
        "USR1" => Signal::USR1,
        "USR2" => Signal::USR2,
        "TERM" => Signal::TERM,
        "WINCH" => Signal::WINCH,
        "CONT" => Signal::CONT,
        _ => return None,
    })
}
