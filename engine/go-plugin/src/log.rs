//! A logger that writes hclog's JSON to standard error, which go-plugin hosts merge into their own log.

use std::fmt;
use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value};

/// The maximum length of a line in bytes, without the newline. A host parses up to 64 KiB as JSON and treats a longer line as text.
const MAX_LINE_BYTES: usize = 64 * 1024 - 1;

/// How much of the message, and of all fields, is kept of a line that is too long, in bytes. JSON encodes a byte in at most six
/// bytes, so both together stay below [`MAX_LINE_BYTES`].
const MAX_TRUNCATED_BYTES: usize = 4 * 1024;

/// The level of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Single steps.
    Trace,
    /// Information for troubleshooting.
    Debug,
    /// Information for operators.
    Info,
    /// An unexpected condition that was handled.
    Warn,
    /// A failure.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

/// The text is not a log level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log level: use trace, debug, info, warn or error")]
pub struct ParseLevelError(String);

impl FromStr for Level {
    type Err = ParseLevelError;

    /// Parses a level in any case. Accepts `warning` and `err`, as Vault does.
    fn from_str(text: &str) -> Result<Self, ParseLevelError> {
        match text.trim().to_ascii_lowercase().as_str() {
            "trace" => Ok(Self::Trace),
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" | "warning" => Ok(Self::Warn),
            "error" | "err" => Ok(Self::Error),
            _ => Err(ParseLevelError(text.to_owned())),
        }
    }
}

/// Writes log lines. Clones are cheap and share all state.
#[derive(Clone, Debug)]
pub struct Logger {
    name: Arc<str>,
    level: Level,
    fields: Arc<Map<String, Value>>,
}

impl Logger {
    /// Returns a logger that writes lines of `level` and above, with `name` as their module.
    #[must_use]
    pub fn new(name: &str, level: Level) -> Self {
        Self { name: name.into(), level, fields: Arc::default() }
    }

    /// Returns a logger that adds a field to every line.
    ///
    /// Keys that begin with `@` are reserved for hclog, and a host crashes if one of them is not a string. The `@` is replaced
    /// with `_`.
    #[must_use]
    pub fn with(&self, key: &str, value: impl Into<Value>) -> Self {
        let key = if key.starts_with('@') { key.replacen('@', "_", 1) } else { key.to_owned() };
        let mut fields = Map::clone(&self.fields);
        fields.insert(key, value.into());
        Self { fields: Arc::new(fields), ..self.clone() }
    }

    /// Whether a line of this level is written. Use it to avoid formatting lines that are not.
    #[must_use]
    pub fn is_enabled(&self, level: Level) -> bool {
        level >= self.level
    }

    /// Writes a line of level [`Level::Trace`].
    pub fn trace(&self, message: impl AsRef<str>) {
        self.log(Level::Trace, message.as_ref());
    }

    /// Writes a line of level [`Level::Debug`].
    pub fn debug(&self, message: impl AsRef<str>) {
        self.log(Level::Debug, message.as_ref());
    }

    /// Writes a line of level [`Level::Info`].
    pub fn info(&self, message: impl AsRef<str>) {
        self.log(Level::Info, message.as_ref());
    }

    /// Writes a line of level [`Level::Warn`].
    pub fn warn(&self, message: impl AsRef<str>) {
        self.log(Level::Warn, message.as_ref());
    }

    /// Writes a line of level [`Level::Error`].
    pub fn error(&self, message: impl AsRef<str>) {
        self.log(Level::Error, message.as_ref());
    }

    #[expect(clippy::disallowed_methods, reason = "the host reads the log from standard error")]
    fn log(&self, level: Level, message: &str) {
        if self.is_enabled(level) {
            let line = self.render(Timestamp::now(), level, message);
            // A closed stderr cannot be reported.
            let _ = std::io::stderr().lock().write_all(line.as_bytes());
        }
    }

    fn render(&self, at: Timestamp, level: Level, message: &str) -> String {
        let whole = self.line(at, level, message, Map::clone(&self.fields));
        if whole.len() <= MAX_LINE_BYTES {
            return whole;
        }
        let mut left = MAX_TRUNCATED_BYTES;
        let mut fields = Map::clone(&self.fields);
        fields.retain(|key, value| {
            let size = key.len() + value.to_string().len();
            let fits = size <= left;
            left -= if fits { size } else { 0 };
            fits
        });
        self.line(at, level, &truncate(message), fields)
    }

    fn line(&self, at: Timestamp, level: Level, message: &str, mut line: Map<String, Value>) -> String {
        line.insert("@level".into(), level.to_string().into());
        line.insert("@message".into(), message.into());
        line.insert("@module".into(), (*self.name).into());
        line.insert("@timestamp".into(), at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string().into());
        format!("{}\n", Value::Object(line))
    }
}

/// Installs a panic hook that logs each panic as one line of level error, instead of Rust's output.
pub fn report_panics(logger: &Logger) {
    let logger = logger.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let payload = panic.payload();
        let message = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("unknown payload");
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let thread = std::thread::current().name().unwrap_or_default().to_owned();
        logger.with("location", location).with("thread", thread).error(format!("panicked: {message}"));
    }));
}

/// Truncates the message to [`MAX_TRUNCATED_BYTES`], between two characters.
fn truncate(message: &str) -> String {
    if message.len() <= MAX_TRUNCATED_BYTES {
        return message.to_owned();
    }
    let end = (0..=MAX_TRUNCATED_BYTES).rev().find(|&end| message.is_char_boundary(end)).unwrap_or_default();
    format!("{}...", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(logger: &Logger, message: &str) -> String {
        let at = Timestamp::new(1_700_000_000, 12_345_678).unwrap();
        logger.render(at, Level::Warn, message)
    }

    fn parse(line: &str) -> Value {
        assert!(line.ends_with('\n') && line.len() <= MAX_LINE_BYTES, "{} bytes", line.len());
        serde_json::from_str(line).unwrap()
    }

    #[test]
    fn a_line_has_the_form_of_hclog() {
        let logger = Logger::new("engine", Level::Info).with("mount", "custom/").with("attempt", 2);
        assert_eq!(
            render(&logger, "two\nlines"),
            concat!(
                r#"{"@level":"warn","@message":"two\nlines","@module":"engine","#,
                r#""@timestamp":"2023-11-14T22:13:20.012345Z","attempt":2,"mount":"custom/"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_field_cannot_use_a_reserved_key_of_hclog() {
        let line = parse(&render(&Logger::new("engine", Level::Info).with("@level", 7), "x"));
        assert_eq!(line["@level"], "warn");
        assert_eq!(line["_level"], 7);
    }

    #[test]
    fn a_message_that_is_too_long_is_truncated_between_characters() {
        for message in ["ä".repeat(MAX_LINE_BYTES), "\u{1}".repeat(MAX_LINE_BYTES)] {
            let line = parse(&render(&Logger::new("engine", Level::Info).with("mount", "custom/"), &message));
            assert!(line["@message"].as_str().unwrap().ends_with("..."));
            assert_eq!(line["mount"], "custom/");
        }
    }

    #[test]
    fn a_field_that_is_too_long_is_omitted_and_the_message_is_kept() {
        let logger = Logger::new("engine", Level::Info)
            .with("body", "x".repeat(MAX_LINE_BYTES))
            .with("mount", "custom/");
        let line = parse(&render(&logger, "kept"));
        assert_eq!(line["@message"], "kept");
        assert_eq!(line["mount"], "custom/");
        assert!(line.get("body").is_none());
    }

    #[test]
    fn levels_are_parsed_like_in_vault() {
        for (text, level) in [("TRACE", Level::Trace), ("warning", Level::Warn), ("err", Level::Error)] {
            assert_eq!(text.parse(), Ok(level));
        }
        assert!("loud".parse::<Level>().is_err());
        assert!(Logger::new("engine", Level::Info).is_enabled(Level::Warn));
        assert!(!Logger::new("engine", Level::Info).is_enabled(Level::Debug));
    }
}
