//! The part of [`crate::fuzzing`] that reads what a plugin is and says.

use std::sync::Arc;

use parking_lot::Mutex;

use super::executable::Executable;
use super::log_line::{LineSplitter, LogLine, LogSource};

/// The output of a plugin: it makes no difference where the pipe cuts it, and every line can be shown.
pub fn log_lines(bytes: &[u8]) {
    let Some((&size, output)) = bytes.split_first() else { return };
    for origin in [LogSource::Log, LogSource::Stdout] {
        let whole = read(origin, [output]);
        assert_eq!(whole, read(origin, output.chunks(usize::from(size).max(1))));
        for line in whole {
            assert!(line.source == LogSource::Log || !line.to_string().is_empty());
        }
    }
}

/// The head of a file that is to be started.
pub fn executable(bytes: &[u8]) {
    let executable = Executable::parse(bytes);
    assert!(!executable.to_string().is_empty());
    // No longer than what was read, where every byte may become a replacement of three.
    assert!(executable.interpreter.as_ref().is_none_or(|name| name.len() <= 3 * bytes.len()));
    executable.is_native();
}

fn read<'a>(origin: LogSource, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<LogLine> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let mut lines = LineSplitter::new(origin, Arc::new(move |line| sink.lock().push(line)));
    for piece in pieces {
        lines.push(piece);
    }
    lines.flush();
    std::mem::take(&mut *seen.lock())
}
