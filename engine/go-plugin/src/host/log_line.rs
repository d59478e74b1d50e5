//! Parses the output of a plugin into log lines.

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::log::Level;

/// The longest line that is parsed as JSON, in bytes. A longer line is passed on as text in chunks of this size.
const MAX_LINE_BYTES: usize = 64 * 1024;

/// The level prefixes of other loggers.
const LEVEL_PREFIXES: [(&str, Level); 5] = [
    ("[TRACE]", Level::Trace),
    ("[DEBUG]", Level::Debug),
    ("[INFO]", Level::Info),
    ("[WARN]", Level::Warn),
    ("[ERROR]", Level::Error),
];

/// Receives each line. The task that reads the output calls it, so it must not block.
pub type LogSink = Arc<dyn Fn(LogLine) + Send + Sync>;

/// The stream and the format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSource {
    /// A line of the plugin's log: hclog's JSON on standard error.
    Log,
    /// Any other line on standard error: a panic, another logger, a library.
    Text,
    /// A line that the plugin's code prints to standard output, forwarded by the plugin.
    Stdout,
}

/// One line of a plugin's output.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// The stream and the format of the line.
    pub source: LogSource,
    /// The level. A line without a level is [`Level::Debug`], as in a Go host.
    pub level: Level,
    /// The message.
    pub message: String,
    /// The name of the logger, or an empty string.
    pub module: String,
    /// The additional fields.
    pub fields: Map<String, Value>,
}

impl LogLine {
    /// Parses a line of standard error: hclog's JSON, or text with an optional level prefix.
    pub(crate) fn parse(line: &str) -> Self {
        Self::from_json(line).unwrap_or_else(|| {
            let prefixed = LEVEL_PREFIXES.iter().find(|(prefix, _)| line.starts_with(prefix));
            Self::text(LogSource::Text, prefixed.map_or(Level::Debug, |(_, level)| *level), line)
        })
    }

    fn text(source: LogSource, level: Level, message: &str) -> Self {
        Self { source, level, message: message.to_owned(), module: String::new(), fields: Map::new() }
    }

    fn from_json(line: &str) -> Option<Self> {
        if !line.starts_with('{') {
            return None;
        }
        let mut fields: Map<String, Value> = serde_json::from_str(line).ok()?;
        let mut take = |name| match fields.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let level = take("@level")?.parse().ok()?;
        let (message, module) = (take("@message")?, take("@module").unwrap_or_default());
        take("@timestamp");
        Some(Self { source: LogSource::Log, level, message, module, fields })
    }
}

impl fmt::Display for LogLine {
    /// Writes the message and the fields.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        for (name, value) in &self.fields {
            match value {
                Value::String(text) if !text.contains(char::is_whitespace) => write!(f, " {name}={text}")?,
                other => write!(f, " {name}={other}")?,
            }
        }
        Ok(())
    }
}

/// Splits a stream into lines and passes them to a sink.
pub(crate) struct LineSplitter {
    source: LogSource,
    sink: LogSink,
    partial: Vec<u8>,
    /// Whether the lines belong to a Go panic, which is written on many lines.
    in_panic: bool,
}

impl LineSplitter {
    pub(crate) fn new(source: LogSource, sink: LogSink) -> Self {
        Self { source, sink, partial: Vec::new(), in_panic: false }
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) {
        for part in chunk.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(part);
            if part.ends_with(b"\n") || self.partial.len() >= MAX_LINE_BYTES {
                self.flush();
            }
        }
    }

    /// Passes on the last line, which may have no newline.
    pub(crate) fn flush(&mut self) {
        let line = std::mem::take(&mut self.partial);
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches(['\n', '\r']);
        if line.is_empty() {
            return;
        }
        let mut read = match self.source {
            LogSource::Stdout => LogLine::text(LogSource::Stdout, Level::Info, line),
            LogSource::Log | LogSource::Text => LogLine::parse(line),
        };
        if read.source == LogSource::Text {
            self.in_panic |= line.starts_with("panic: ") || line.starts_with("fatal error: ");
            if self.in_panic {
                read.level = Level::Error;
            }
        }
        (self.sink)(read);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn read(source: LogSource, pieces: &[&str]) -> Vec<LogLine> {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let mut lines = LineSplitter::new(source, Arc::new(move |line| sink.lock().unwrap().push(line)));
        for piece in pieces {
            lines.push(piece.as_bytes());
        }
        lines.flush();
        std::mem::take(&mut *seen.lock().unwrap())
    }

    #[test]
    fn a_line_of_hclog_is_parsed_into_level_message_and_fields() {
        let line = r#"{"@level":"warn","@message":"slow","@module":"kv.x","@timestamp":"2026-01-02T03:04:05.000006Z","took":"2 s","n":3}"#;
        let read = read(LogSource::Log, &[&line[..20], &line[20..], "\n"]);
        let [line] = read.as_slice() else { panic!("{read:?}") };
        assert_eq!((line.source, line.level), (LogSource::Log, Level::Warn));
        assert_eq!((line.message.as_str(), line.module.as_str()), ("slow", "kv.x"));
        assert_eq!(line.to_string(), r#"slow n=3 took="2 s""#);
    }

    #[test]
    fn a_line_that_is_not_of_hclog_is_unchanged_text() {
        let odd = ["{\"@level\":7,\"@message\":\"x\"}", "{\"a\":1}", "{", "Usage: tool"];
        for line in odd {
            assert_eq!(LogLine::parse(line), LogLine::text(LogSource::Text, Level::Debug, line));
        }
        assert_eq!(LogLine::parse("[ERROR] disk failed").level, Level::Error);
    }

    #[test]
    fn every_line_of_a_panic_of_go_is_an_error() {
        let read = read(LogSource::Log, &["hello\npanic: oh\n\ngoroutine 1 [running]:\n"]);
        let levels: Vec<_> = read.iter().map(|line| line.level).collect();
        assert_eq!(levels, [Level::Debug, Level::Error, Level::Error]);
    }

    #[test]
    fn an_endless_line_is_split_and_the_last_line_needs_no_newline() {
        let piece = "x".repeat(4096);
        let pieces = vec![piece.as_str(); 33];
        let read = read(LogSource::Stdout, &pieces);
        let lengths: Vec<_> = read.iter().map(|line| line.message.len()).collect();
        assert_eq!(lengths, [MAX_LINE_BYTES, MAX_LINE_BYTES, 4096]);
    }
}
