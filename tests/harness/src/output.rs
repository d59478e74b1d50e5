//! Result of a finished program.

/// Exit code and output of a finished program.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "assert the exit code, or take stdout with `success`"]
pub struct Output {
    /// Exit code; `None` if a signal ended the program.
    pub code: Option<i32>,
    /// Standard output, invalid UTF-8 replaced.
    pub stdout: String,
    /// Standard error, invalid UTF-8 replaced.
    pub stderr: String,
}

impl Output {
    /// Standard output of a program that must have exited with code 0.
    ///
    /// # Panics
    ///
    /// If it has not; the message contains both streams.
    #[track_caller]
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self.stdout
    }

    /// Standard output of a program that must have exited with code 0, parsed as one JSON document.
    ///
    /// # Panics
    ///
    /// If it has not, or its output is not JSON.
    #[track_caller]
    pub fn json(self) -> serde_json::Value {
        let stdout = self.success();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {stdout}"))
    }
}
