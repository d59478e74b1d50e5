//! The end of a command that has shown what there was to show before, or whose output is another program's.

use std::process::ExitCode;

use serde::Serialize;

use crate::ui::Report;

/// How it ended.
#[derive(Debug, Serialize)]
pub struct ExitReport {
    #[serde(skip)]
    code: ExitCode,
}

impl ExitReport {
    /// With this exit code.
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
