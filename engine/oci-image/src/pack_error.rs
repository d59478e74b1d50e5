//! Errors of building and storing an image.

use std::io;
use std::path::PathBuf;

/// An image could not be built or stored. Nothing is left behind.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A file system operation failed.
    #[error("could not {action} {path}")]
    Io {
        /// The operation in the imperative: "read".
        action: &'static str,
        /// Path of the file.
        path: PathBuf,
        /// The I/O error.
        #[source]
        source: io::Error,
    },
    /// The file has changed since its size and digest were computed.
    #[error("{path} changed while it was packed")]
    FileChanged {
        /// Path of the file.
        path: PathBuf,
    },
    /// The `progress` callback cancelled the operation.
    #[error("packing was cancelled")]
    Cancelled,
    /// The target is not a layout, and not an empty directory.
    #[error("{path} exists and is not an OCI layout")]
    TargetExists {
        /// Path of the target.
        path: PathBuf,
    },
    /// A document of the image could not be serialized.
    #[error("could not serialize a document of the image")]
    Document(#[source] serde_json::Error),
}

impl PackError {
    /// Tells the user how to fix the error.
    pub fn hint(&self) -> String {
        match self {
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::StorageFull => format!(
                "The disk is full. Free some space on the file system of {}, or choose another directory. No partial file is left.",
                path.display()
            ),
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                format!("{} is on a read-only file system. Choose another directory.", path.display())
            }
            Self::Io { .. } => "Fix the cause and run the command again. No partial file is left.".to_owned(),
            Self::Cancelled => "Run the command again.".to_owned(),
            Self::FileChanged { path } => {
                format!("Wait until {} is no longer written, and run the command again.", path.display())
            }
            Self::TargetExists { path } => {
                format!("Choose a new or empty directory, or remove {}.", path.display())
            }
            Self::Document(_) => "This is a bug: report it with the command line.".to_owned(),
        }
    }

    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}
