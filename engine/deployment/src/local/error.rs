//! Errors of a directory of this machine.

use std::io;
use std::path::PathBuf;

use rollout::DeploymentError;

/// A directory of this machine that could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// An operation on a file failed.
    #[error("could not {action} {path}")]
    Io {
        /// The operation.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Another process writes the same file.
    #[error("another run is writing {path} at the moment")]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// What was read back differs from what was written.
    #[error("{path} was read back with the sha256 {found}, expected {expected}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// As read back.
        found: String,
        /// As written.
        expected: String,
    },
    /// Another file has the name.
    #[error("{path} exists with a different content")]
    FileConflict {
        /// The file.
        path: PathBuf,
    },
}

impl From<LocalError> for DeploymentError {
    fn from(error: LocalError) -> Self {
        Self::other(error)
    }
}

/// An operation that a directory of this machine does not have.
pub(super) fn unsupported(operation: &'static str) -> DeploymentError {
    DeploymentError::Unsupported { deployment: "a directory of this machine", operation }
}
