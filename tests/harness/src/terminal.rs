//! A program on a terminal, and the person who answers its prompts.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tempfile::TempDir;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::time::timeout;

/// A program that [`Program::start_on_terminal`](crate::Program::start_on_terminal) has started. All of its streams are one terminal.
///
/// Dropping it kills it.
pub struct TerminalProgram {
    child: Child,
    keyboard: File,
    /// Closed when the program has closed the terminal.
    screen: watch::Receiver<Vec<u8>>,
    command_line: String,
    timeout: Duration,
    _home: Arc<TempDir>,
}

/// What a program on a terminal has come to.
#[derive(Debug)]
pub struct TerminalOutput {
    /// The exit code; `None` after a signal.
    pub code: Option<i32>,
    /// All that the terminal got, answers that were echoed included.
    pub text: String,
}

/// The three streams of a program.
pub(crate) struct TerminalStreams {
    pub(crate) stdin: Stdio,
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
}

impl TerminalProgram {
    /// How many rows its terminal has.
    pub const ROWS: u16 = 50;
    /// How many columns its terminal has: enough for a line with paths of temporary files.
    pub const COLUMNS: u16 = 240;

    pub(crate) fn start(
        spawn: impl FnOnce(TerminalStreams) -> Child,
        home: Arc<TempDir>,
        command_line: String,
        timeout: Duration,
    ) -> TerminalProgram {
        let (controller, streams) = open_terminal();
        let child = spawn(streams);
        let screen = read_screen(controller.try_clone().expect("a descriptor is free"));
        TerminalProgram { child, keyboard: controller, screen, command_line, timeout, _home: home }
    }

    /// Waits until the terminal shows `text`.
    ///
    /// # Panics
    ///
    /// When the program ends before, or does not write it in time.
    pub async fn wait_for(&mut self, text: &str) {
        let shown = |screen: &Vec<u8>| String::from_utf8_lossy(screen).contains(text);
        let waited = timeout(self.timeout, self.screen.wait_for(shown)).await.is_ok_and(|seen| seen.is_ok());
        assert!(waited, "`{}` does not write {text:?}: {}", self.command_line, self.text());
    }

    /// Types these keys; `\r` is Enter.
    ///
    /// # Panics
    ///
    /// When the terminal is closed.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the terminal is open");
    }

    /// Waits for the end of the program.
    ///
    /// # Panics
    ///
    /// When it does not end in time.
    pub async fn wait(mut self) -> TerminalOutput {
        let ended = timeout(self.timeout, self.child.wait()).await;
        let status =
            ended.unwrap_or_else(|_| panic!("`{}` does not end: {}", self.command_line, self.text()));
        let code = status.expect("our own child can be waited for").code();
        // Everything has been read once nobody has the terminal open.
        let _ = timeout(self.timeout, async { while self.screen.changed().await.is_ok() {} }).await;
        TerminalOutput { code, text: self.text() }
    }

    /// All that the terminal got so far, with the sequences that move its cursor.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.screen.borrow()).into_owned()
    }
}

fn open_terminal() -> (File, TerminalStreams) {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("the system has pseudoterminals");
    grantpt(&controller).expect("our own terminal");
    unlockpt(&controller).expect("our own terminal");
    let name = ptsname(&controller, Vec::new()).expect("a terminal has a name");
    // The tests themselves must not get it as their controlling terminal.
    let terminal = open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("our own terminal");
    let size = Winsize {
        ws_row: TerminalProgram::ROWS,
        ws_col: TerminalProgram::COLUMNS,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal, size).expect("our own terminal");
    let stream = || Stdio::from(terminal.try_clone().expect("a descriptor is free"));
    let streams = TerminalStreams { stdin: stream(), stdout: stream(), stderr: stream() };
    (File::from(controller), streams)
}

/// Reads until the last program has closed the terminal, which Linux says with an error.
fn read_screen(mut controller: File) -> watch::Receiver<Vec<u8>> {
    let (sender, screen) = watch::channel(Vec::new());
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = controller.read(&mut buffer) {
            sender.send_modify(|screen| screen.extend_from_slice(&buffer[..count]));
        }
    });
    screen
}
