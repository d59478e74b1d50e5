//! The end of a command that has shown what there was to show before, or whose output is another program's.

use std::process::ExitCode;

use serde::Serialize;

use crate::ui::Report;

/// How it ended.
#[derive(Debug, Serialize)]
pub struct Ended {
    #[serde(skip)]
    code: ExitCode,
}

impl Ended {
    /// With this exit code.
    pub(crate) fn with(code: impl Into<ExitCode>) -> Ended {
        Ended { code: code.into() }
    }
}

impl Report for Ended {
    fn render(&self) -> String {
        String::new()
    }

    fn exit_code(&self) -> ExitCode {
        self.code
    }

    fn is_bare(&self) -> bool {
        true
    }
}
