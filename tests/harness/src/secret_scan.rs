//! Looks for secrets in everything that was written.

use std::fs;
use std::path::Path;

use memchr::memmem;

use crate::Output;

/// Secrets that must not appear anywhere, and the search for them.
///
/// Failures name the secret and the place, never the secret's value.
#[derive(Default)]
pub struct SecretScan {
    secrets: Vec<(String, Vec<u8>)>,
}

impl SecretScan {
    /// A scan that knows no secret yet.
    pub fn new() -> SecretScan {
        SecretScan::default()
    }

    /// Adds a secret under the name that a failure shows.
    ///
    /// # Panics
    ///
    /// If the value is so short that it would be found by chance.
    pub fn add_secret(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> SecretScan {
        let (name, value) = (name.into(), value.into());
        assert!(value.len() >= 8, "{name} is too short to be searched for");
        self.secrets.push((name, value));
        self
    }

    /// Asserts that no secret is in `content`; `place` names it in the failure.
    ///
    /// # Panics
    ///
    /// If one is, or when the scan knows no secret.
    #[track_caller]
    pub fn assert_no_secret_in(&self, place: &str, content: impl AsRef<[u8]>) {
        assert!(!self.secrets.is_empty(), "a scan for no secret proves nothing");
        for (name, value) in &self.secrets {
            let found = memmem::find(content.as_ref(), value).is_some();
            assert!(!found, "{name} was written to {place}");
        }
    }

    /// Asserts that no secret is in what a program printed.
    ///
    /// # Panics
    ///
    /// If one is.
    #[track_caller]
    pub fn assert_no_secret_in_output(&self, place: &str, output: &Output) {
        self.assert_no_secret_in(&format!("{place}: stdout"), &output.stdout);
        self.assert_no_secret_in(&format!("{place}: stderr"), &output.stderr);
    }

    /// Asserts that no secret is in a file, or in any file below a directory. Links are not followed; sockets and pipes
    /// hold nothing.
    ///
    /// # Panics
    ///
    /// If one is, or when `path` cannot be read.
    #[track_caller]
    pub fn assert_no_secret_below(&self, path: &Path) {
        let cannot_read = |error| -> ! { panic!("cannot read {}: {error}", path.display()) };
        let kind = fs::symlink_metadata(path).unwrap_or_else(|error| cannot_read(error)).file_type();
        if kind.is_dir() {
            for entry in fs::read_dir(path).unwrap_or_else(|error| cannot_read(error)) {
                self.assert_no_secret_below(&entry.unwrap_or_else(|error| cannot_read(error)).path());
            }
        } else if kind.is_file() {
            let content = fs::read(path).unwrap_or_else(|error| cannot_read(error));
            self.assert_no_secret_in(&path.display().to_string(), content);
        }
    }
}
