//! Why an image could not be made or kept.

use std::io;
use std::path::PathBuf;

/// An image that was not made, or not put where it was wanted. Nothing of it is left.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The file system said no.
    #[error("could not {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody wrote it in between.
    #[error("{path} changed while it was packed: it is not the file that was checked")]
    FileChanged {
        /// Which file.
        path: PathBuf,
    },
    /// As wanted.
    #[error("packing was stopped")]
    Cancelled,
    /// There is something else.
    #[error("{path} exists and is not an OCI layout")]
    TargetExists {
        /// Where the layout was wanted.
        path: PathBuf,
    },
    /// A document could not be written down.
    #[error("could not write the documents of the image")]
    Document(#[source] serde_json::Error),
}

impl PackError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::StorageFull => format!(
                "The disk is full: free some space where {} lies, or name another place. Nothing half written is left.",
                path.display()
            ),
            Self::Io { source, path, .. } if source.kind() == io::ErrorKind::ReadOnlyFilesystem => {
                format!("{} lies on a read-only file system: name another place.", path.display())
            }
            Self::Io { .. } => "Nothing half written is left: run it again when that is cured.".to_owned(),
            Self::Cancelled => "Run it again.".to_owned(),
            Self::FileChanged { path } => {
                format!("Wait until whatever builds {} is done, and run it again.", path.display())
            }
            Self::TargetExists { path } => {
                format!("Name a directory that is new or empty, or remove {}.", path.display())
            }
            Self::Document(_) => {
                "This is a fault of this program: report it with the command line.".to_owned()
            }
        }
    }

    pub(crate) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action: what, path, source }
    }
}
