//! A program under test on a terminal, and what a person sees there.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::process::Child;

use crate::wait::eventually;

/// A program that [`Program::start_on_terminal`](crate::Program::start_on_terminal) has started. It is killed when this is dropped.
pub struct Terminal {
    keyboard: File,
    screen: Arc<Mutex<vt100::Parser>>,
    _child: Child,
}

/// Characters in a row that look the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StyledText {
    /// The characters.
    pub text: String,
    /// The number of their colour among the sixteen of every terminal; `None` for the usual one.
    pub color: Option<u8>,
    /// Whether they are bold.
    pub is_bold: bool,
    /// Whether they are dim.
    pub is_dim: bool,
}

/// The two ends of a new terminal: ours, and the one that a program gets.
pub(crate) fn open_terminal(rows: u16, columns: u16) -> (OwnedFd, OwnedFd) {
    let ours =
        openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a new terminal");
    grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("it is ours");
    let name = ptsname(&ours, Vec::new()).expect("it has a name");
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = open(&name, flags, Mode::empty()).expect("the other end");
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&theirs, size).expect("a terminal has a size");
    (ours, theirs)
}

impl Terminal {
    pub(crate) fn new(ours: OwnedFd, rows: u16, columns: u16, child: Child) -> Terminal {
        let [rows, columns] =
            [rows, columns].map(|size| NonZeroU16::new(size).expect("a terminal has a size"));
        let screen = Arc::new(Mutex::new(vt100::Parser::new(rows, columns, 0)));
        let keyboard = File::from(ours.try_clone().expect("a second descriptor"));
        let mut output = File::from(ours);
        let shown = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            // An error is the end of the program.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown.lock().process(&bytes[..count]);
            }
        });
        Terminal { keyboard, screen, _child: child }
    }

    /// Types.
    ///
    /// # Panics
    ///
    /// When the program has ended.
    pub fn type_keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("the program reads its terminal");
    }

    /// Waits until this text is on the screen.
    ///
    /// # Panics
    ///
    /// When it is not there in time; the message has what is there instead.
    pub async fn wait_for(&self, text: &str) {
        eventually(text, async || {
            let shown = self.screen.lock().screen().contents();
            if shown.contains(text) { Ok(()) } else { Err(shown) }
        })
        .await;
    }

    /// What is on the screen, row by row, without the empty ones at its end.
    pub fn rows(&self) -> Vec<Vec<StyledText>> {
        let parser = self.screen.lock();
        let screen = parser.screen();
        let (rows, columns) = screen.size();
        let mut shown: Vec<Vec<StyledText>> = (0..rows.get())
            .map(|row| styled_row((0..columns.get()).filter_map(|column| screen.cell(row, column))))
            .collect();
        while shown.last().is_some_and(Vec::is_empty) {
            shown.pop();
        }
        shown
    }
}

fn styled_row<'a>(cells: impl Iterator<Item = &'a vt100::Cell>) -> Vec<StyledText> {
    let mut row: Vec<StyledText> = Vec::new();
    for cell in cells {
        let color = match cell.fgcolor() {
            vt100::Color::Idx(number) => Some(number),
            vt100::Color::Default | vt100::Color::Rgb(..) => None,
        };
        let text = if cell.has_contents() { cell.contents() } else { " " };
        let next = StyledText { text: text.to_owned(), color, is_bold: cell.bold(), is_dim: cell.dim() };
        match row.last_mut() {
            Some(last) if (last.color, last.is_bold, last.is_dim) == (color, next.is_bold, next.is_dim) => {
                last.text.push_str(text);
            }
            _ => row.push(next),
        }
    }
    if let Some(last) = row.last_mut() {
        last.text.truncate(last.text.trim_end().len());
    }
    row.retain(|styled| !styled.text.is_empty());
    row
}
