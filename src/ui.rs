//! The only module that prints: data on standard output, everything else on standard error.

mod step_progress;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use dialoguer::{Confirm, Input, Password};
use indicatif::{ProgressBar, ProgressStyle};
use rollout::{Event, Plan, printable};
use serde::Serialize;
use vault_api::SecretString;

use crate::error::CommandError;

/// The version of every JSON document. It is raised when a field changes its name or meaning.
const SCHEMA_VERSION: u32 = 2;

/// Format of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Human,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// Verbosity of standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Status, warnings and errors.
    Normal,
    /// Only warnings and errors.
    Quiet,
}

/// Whether the steps of a plan are listed before it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlanListing {
    /// Listed, for confirmation or as the result of a dry run.
    Shown,
    /// Not listed, because each step is shown while it runs.
    Omitted,
}

/// A handle through which another task prints status lines.
#[derive(Clone, Copy, Debug)]
pub struct StatusWriter(Verbosity);

impl StatusWriter {
    /// Prints a status line on standard error.
    pub fn print(self, text: &str) {
        if self.0 == Verbosity::Normal {
            // Ignore a closed stderr.
            let _ = writeln!(stderr(), "{}", printable(text));
        }
    }
}

/// Result of a command.
pub trait Report: Serialize {
    /// Renders the report for people; ends with a line break unless it is empty.
    fn render(&self) -> String;

    /// The exit code.
    fn exit_code(&self) -> ExitCode {
        ExitCode::SUCCESS
    }

    /// Whether the command has changed something that clients use.
    fn made_changes(&self) -> bool {
        false
    }

    /// Whether it is raw text that has no JSON form (a completion script, the value of one field).
    fn is_raw(&self) -> bool {
        false
    }
}

/// The printer.
#[derive(Debug)]
pub struct Ui {
    format: Format,
    verbosity: Verbosity,
    interactive: bool,
    bar: Option<ProgressBar>,
    step_progress: step_progress::StepProgress,
    event_stream: bool,
}

#[derive(Serialize)]
struct VersionedDocument<'a, T> {
    schema_version: u32,
    #[serde(flatten)]
    content: &'a T,
}

/// A document that is one line of an event stream.
#[derive(Serialize)]
struct EventDocument<'a, T> {
    schema_version: u32,
    event: &'static str,
    #[serde(flatten)]
    content: &'a T,
}

impl Ui {
    /// Inspects the terminal once. Under `CI` nothing is asked and nothing is animated, as without a terminal.
    pub fn new(format: Format, verbosity: Verbosity) -> Self {
        let terminal =
            io::stdin().is_terminal() && stderr().is_terminal() && std::env::var_os("CI").is_none();
        Self {
            format,
            verbosity,
            interactive: terminal,
            bar: None,
            step_progress: step_progress::StepProgress::default(),
            event_stream: false,
        }
    }

    /// Whether a user can be asked.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// Writes one JSON line per event from here on, the last one for the result.
    pub fn enable_event_stream(&mut self) {
        self.event_stream = self.format == Format::Json;
    }

    /// Writes a plan to the event stream, and lists its steps on standard error unless the listing is omitted.
    pub fn show_plan(&mut self, plan: &Plan, listing: PlanListing) {
        self.write_event_line(&EventDocument {
            schema_version: SCHEMA_VERSION,
            event: "planned",
            content: plan,
        });
        if listing == PlanListing::Omitted {
            return;
        }
        let steps: Vec<String> =
            plan.steps.iter().enumerate().map(|(at, step)| format!("  {}. {step}", at + 1)).collect();
        self.status(&format!("Plan:\n{}", steps.join("\n")));
    }

    /// Prints the result of a command.
    ///
    /// # Errors
    /// If standard output cannot be written; a closed pipe is not an error.
    pub fn report(&mut self, report: &impl Report) -> Result<(), CommandError> {
        if self.event_stream {
            self.write_event_line(&EventDocument {
                schema_version: SCHEMA_VERSION,
                event: "finished",
                content: report,
            });
            return Ok(());
        }
        let document = VersionedDocument { schema_version: SCHEMA_VERSION, content: report };
        let text = match self.format {
            _ if report.is_raw() => report.render(),
            Format::Human => printable(&report.render()),
            Format::Json => {
                escape_control_characters(
                    serde_json::to_string_pretty(&document).map_err(serialization_error)?,
                ) + "\n"
            }
            Format::Yaml => yaml::to_string(&document).map_err(serialization_error)?,
        };
        write_stdout(text)
    }

    /// Prints one of several results: a line of JSON, or a document of YAML. In human format it is a status line.
    ///
    /// # Errors
    /// As [`Ui::report`].
    pub fn report_item(&mut self, report: &impl Report) -> Result<(), CommandError> {
        let document = VersionedDocument { schema_version: SCHEMA_VERSION, content: report };
        match self.format {
            Format::Human => {
                self.status(report.render().trim_end());
                Ok(())
            }
            Format::Json => write_stdout(
                escape_control_characters(serde_json::to_string(&document).map_err(serialization_error)?)
                    + "\n",
            ),
            Format::Yaml => {
                write_stdout(format!("---\n{}", yaml::to_string(&document).map_err(serialization_error)?))
            }
        }
    }

    /// On a terminal, prints a report in place of the previous one; otherwise below it.
    ///
    /// # Errors
    /// If standard output cannot be written.
    pub fn redraw(&mut self, report: &impl Report) -> Result<(), CommandError> {
        if self.format == Format::Human && stdout().is_terminal() {
            // Cursor to the top left, and clear the screen below it.
            let _ = stdout().write_all(b"\x1b[H\x1b[J");
        }
        if self.event_stream {
            self.write_event_line(&EventDocument {
                schema_version: SCHEMA_VERSION,
                event: "observed",
                content: report,
            });
            return Ok(());
        }
        self.report(report)
    }

    /// Prints a status line on standard error.
    pub fn status(&mut self, text: &str) {
        if self.verbosity == Verbosity::Normal {
            self.write_stderr(text);
        }
    }

    /// Returns a handle through which another task prints status lines.
    pub fn status_writer(&self) -> StatusWriter {
        StatusWriter(self.verbosity)
    }

    /// Prints a warning.
    pub fn warn(&mut self, text: &str) {
        self.write_stderr(&format!("Warning: {text}"));
    }

    /// Prints the error of a command.
    pub fn error(&mut self, error: &CommandError) {
        self.end_progress();
        let document = error.document();
        self.write_event_line(&EventDocument {
            schema_version: SCHEMA_VERSION,
            event: "failed",
            content: &document,
        });
        let document = VersionedDocument { schema_version: SCHEMA_VERSION, content: &document };
        let text = match self.format {
            Format::Human => error.render(),
            Format::Json => serde_json::to_string_pretty(&document).unwrap_or_else(|_| error.render()),
            Format::Yaml => yaml::to_string(&document).unwrap_or_else(|_| error.render()),
        };
        self.write_stderr(text.trim_end());
    }

    /// Shows an event of a run.
    pub fn show_event(&mut self, event: &Event) {
        self.write_event_line(&VersionedDocument { schema_version: SCHEMA_VERSION, content: event });
        match event {
            Event::StepStarted { number, total_steps: of, step } => {
                let text = format!("[{number}/{of}] {step}");
                if self.is_animated() {
                    self.step_progress.start(text);
                } else {
                    self.status(&text);
                }
            }
            Event::CopyProgress { node, done, total } if self.is_animated() => {
                self.step_progress.set_node_progress(node, *done, *total);
            }
            Event::StepDone { number, total_steps: of, step, warnings } => {
                if let Some(elapsed) = self.step_progress.finish() {
                    self.status(&format!("[{number}/{of}] {step} ({:.1} s)", elapsed.as_secs_f64()));
                }
                warnings.iter().for_each(|warning| self.warn(warning));
            }
            Event::Waiting { reason: on } if self.is_animated() => {
                self.step_progress.set_message(on.to_string());
            }
            Event::Waiting { reason: on } => self.status(&on.to_string()),
            Event::StepUndone { step } => self.status(&format!("undone: {step}")),
            Event::RollingBack { mounts, cause: because } => {
                let mounts: Vec<String> = mounts.iter().map(ToString::to_string).collect();
                self.warn(&format!("moving {} back: {because}", mounts.join(", ")));
            }
            Event::ReadBackMismatch { path, fields } => {
                self.warn(&format!("{path} was written and reads back differently: {}", fields.join(", ")));
            }
            // The step and the result report the smoke test.
            _ => {}
        }
    }

    /// Shows the progress of an operation on a terminal.
    pub fn progress(&mut self, what: &'static str, done: u64, total: u64) {
        if !self.is_animated() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::new(total);
            if let Ok(style) = ProgressStyle::with_template("  {msg} [{bar:30}] {bytes}/{total_bytes}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar.with_message(what)
        });
        bar.set_position(done);
    }

    /// Clears the progress bars.
    pub fn end_progress(&mut self) {
        self.step_progress.finish();
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    /// Whether output on the terminal may be animated.
    fn is_animated(&self) -> bool {
        self.interactive && self.verbosity == Verbosity::Normal && std::env::var_os("NO_COLOR").is_none()
    }

    /// Writes one line to the event stream, if it is enabled.
    fn write_event_line(&mut self, document: &impl Serialize) {
        if !self.event_stream {
            return;
        }
        if let Ok(text) = serde_json::to_string(document) {
            let mut out = stdout();
            // A closed pipe must not stop a run that is half done.
            let _ = writeln!(out, "{}", escape_control_characters(text)).and_then(|()| out.flush());
        }
    }

    /// Asks for confirmation.
    ///
    /// # Errors
    /// If the terminal cannot be read.
    pub fn confirm(&mut self, question: &str) -> Result<bool, CommandError> {
        Confirm::new().with_prompt(printable(question)).default(false).interact().map_err(prompt_error)
    }

    /// Asks for a text.
    ///
    /// # Errors
    /// If the terminal cannot be read.
    pub fn prompt(&mut self, question: &str, default: Option<&str>) -> Result<String, CommandError> {
        let input = Input::<String>::new().with_prompt(question);
        let input = match default {
            Some(default) => input.default(default.to_owned()),
            None => input,
        };
        input.interact_text().map_err(prompt_error)
    }

    /// Asks for a secret, without echo.
    ///
    /// # Errors
    /// If the terminal cannot be read.
    pub fn prompt_secret(&mut self, question: &str) -> Result<SecretString, CommandError> {
        Password::new().with_prompt(question).interact().map(SecretString::new).map_err(prompt_error)
    }

    fn write_stderr(&mut self, text: &str) {
        // Ignore a closed stderr.
        let text = printable(text);
        let line = || writeln!(stderr(), "{text}").ok();
        match &self.bar {
            Some(bar) => bar.suspend(line),
            None => self.step_progress.suspend(line),
        };
    }
}

fn write_stdout(text: String) -> Result<(), CommandError> {
    let text =
        if stdout().is_terminal() && !text.is_empty() && !text.ends_with('\n') { text + "\n" } else { text };
    match stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(CommandError::failed("could not write to standard output").caused_by(error))
        }
        _ => Ok(()),
    }
}

/// Escapes the control characters that JSON permits in strings and that terminals interpret.
fn escape_control_characters(json: String) -> String {
    let is_raw = |letter: char| letter.is_control() && letter != '\n';
    if !json.contains(is_raw) {
        return json;
    }
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if is_raw(letter) {
            text.push_str(&format!("\\u{:04x}", u32::from(letter)));
        } else {
            text.push(letter);
        }
    }
    text
}

fn serialization_error(error: impl std::fmt::Display) -> CommandError {
    CommandError::failed(format!("could not serialize the document: {error}"))
}

fn prompt_error(error: dialoguer::Error) -> CommandError {
    let dialoguer::Error::IO(io) = &error;
    if io.kind() == io::ErrorKind::Interrupted {
        return CommandError::interrupted("before anything was changed");
    }
    CommandError::usage("could not read from the terminal").caused_by(error)
}

#[expect(clippy::disallowed_methods, reason = "this is the printer that standard output belongs to")]
fn stdout() -> io::Stdout {
    io::stdout()
}

#[expect(clippy::disallowed_methods, reason = "this is the printer that standard error belongs to")]
fn stderr() -> io::Stderr {
    io::stderr()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_no_raw_control_characters_and_the_same_content() {
        let words = "a\u{1b}[2J\u{9b}2J\u{7f}\nü";
        let json = serde_json::to_string_pretty(&[words, "b"]).expect("JSON");
        let escaped = escape_control_characters(json);
        assert!(!escaped.contains(|letter: char| letter.is_control() && letter != '\n'), "{escaped:?}");
        assert_eq!(serde_json::from_str::<[String; 2]>(&escaped).expect("JSON"), [words, "b"]);
    }
}
