//! Files that are being written, under a new random name, so that no other user can have prepared them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::rand::{GetRandomFlags, getrandom};

/// Suffix of their names, by which `doctor` recognizes what a killed run has left.
const PART_SUFFIX: &str = "part";

/// A new file in the directory of its target. It is removed on drop, unless it was renamed.
pub(super) struct PartialFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
    renamed: bool,
}

/// Why it could not be created.
pub(super) enum PartialFileError {
    /// Another run writes the same file.
    Busy,
    /// A file operation failed.
    Io(io::Error),
}

impl PartialFile {
    /// Creates a partial file for `file`, and removes those that killed runs have left of it.
    pub(super) fn create(directory: &Path, file: &str) -> Result<PartialFile, PartialFileError> {
        let path = directory
            .join(format!(".{file}.{:08x}.{PART_SUFFIX}", random_suffix().map_err(PartialFileError::Io)?));
        let created = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let part = PartialFile { file: created.map_err(PartialFileError::Io)?, path, renamed: false };
        // Another run removes files that are not locked.
        flock(&part.file, FlockOperation::NonBlockingLockExclusive).map_err(|_| PartialFileError::Busy)?;
        for other in partial_files_of(directory, file).map_err(PartialFileError::Io)? {
            if other != part.path && is_locked(&other) {
                return Err(PartialFileError::Busy);
            }
            if other != part.path {
                // A file of another user cannot be removed; `doctor` reports it.
                let _ = fs::remove_file(&other);
            }
        }
        match part.file.metadata() {
            Ok(metadata) if metadata.nlink() == 0 => Err(PartialFileError::Busy),
            Ok(_) => Ok(part),
            Err(error) => Err(PartialFileError::Io(error)),
        }
    }

    /// Renames it to `target`, and checks that the target is this file: users that can write to the directory may have replaced the partial
    /// file.
    pub(super) fn rename(mut self, target: &Path) -> io::Result<(File, RenamedFile)> {
        fs::rename(&self.path, target)?;
        self.renamed = true;
        let (ours, there) = (self.file.metadata()?, fs::symlink_metadata(target)?);
        let same = (ours.dev(), ours.ino()) == (there.dev(), there.ino());
        Ok((self.file.try_clone()?, if same { RenamedFile::Ours } else { RenamedFile::Replaced }))
    }
}

/// Reads from the kernel directly: there may be no `/dev` in the root file system of a static binary.
fn random_suffix() -> io::Result<u32> {
    let mut bytes = [0; 4];
    match getrandom(&mut bytes, GetRandomFlags::empty())? {
        4 => Ok(u32::from_ne_bytes(bytes)),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Whether a target is the file that was renamed to it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RenamedFile {
    Ours,
    Replaced,
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.renamed {
            // The next run removes it, if this fails.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The partial files of `file`. Older versions of this program used one fixed name.
fn partial_files_of(directory: &Path, file: &str) -> io::Result<Vec<PathBuf>> {
    let is_one = |name: &str| {
        let middle = name.strip_prefix(&format!(".{file}.")).and_then(|rest| rest.strip_suffix(PART_SUFFIX));
        middle.is_some_and(|middle| {
            let hex = middle.strip_suffix('.').unwrap_or(middle);
            hex.is_empty() || (hex.len() == 8 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()))
        })
    };
    let names =
        fs::read_dir(directory)?.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_one));
    Ok(names.map(|entry| entry.path()).collect())
}

fn is_locked(path: &Path) -> bool {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let locked =
        opened.map(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(io::Error::from));
    matches!(locked, Ok(Err(error)) if error.kind() == ErrorKind::WouldBlock)
}
