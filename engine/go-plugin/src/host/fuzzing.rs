//! The part of [`crate::fuzzing`] that parses the file and the output of a plugin.

use std::sync::Arc;

use parking_lot::Mutex;

use super::executable::Executable;
use super::log_line::{LineSplitter, LogLine, LogSource};

/// The output of a plugin. Property: the lines do not depend on how the stream is divided into chunks, and every line can be
/// displayed.
pub fn log_lines(bytes: &[u8]) {
    let Some((&size, output)) = bytes.split_first() else { return };
    for source in [LogSource::Log, LogSource::Stdout] {
        let whole = read(source, [output]);
        assert_eq!(whole, read(source, output.chunks(usize::from(size).max(1))));
        for line in whole {
            assert!(line.source == LogSource::Log || !line.to_string().is_empty());
        }
    }
}

/// The head of an executable file.
pub fn executable(bytes: &[u8]) {
    let executable = Executable::parse(bytes);
    assert!(!executable.to_string().is_empty());
    // Not longer than the input, in which every byte may become a replacement character of three bytes.
    assert!(executable.interpreter.as_ref().is_none_or(|name| name.len() <= 3 * bytes.len()));
    executable.is_native();
}

fn read<'a>(source: LogSource, chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<LogLine> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let mut splitter = LineSplitter::new(source, Arc::new(move |line| sink.lock().push(line)));
    for chunk in chunks {
        splitter.push(chunk);
    }
    splitter.flush();
    std::mem::take(&mut *lines.lock())
}
