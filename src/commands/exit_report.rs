//! Report of a command that prints nothing itself: it has streamed its output, or has run another program.

use std::process::ExitCode;

use serde::Serialize;

use crate::ui::Report;

/// The exit code of a command.
#[derive(Debug, Serialize)]
pub struct ExitReport {
    #[serde(skip)]
    code: ExitCode,
}

impl ExitReport {
    /// Creates a report with this exit code.
    pub(crate) fn new(code: impl Into<ExitCode>) -> ExitReport {
        ExitReport { code: code.into() }
    }
}

impl Report for ExitReport {
    fn render(&self) -> String {
        String::new()
    }

    fn exit_code(&self) -> ExitCode {
        self.code
    }

    fn is_raw(&self) -> bool {
        true
    }
}
