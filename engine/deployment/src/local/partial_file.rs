//! A file that is not whole yet, under a name of its own that nobody could have put there before.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::rand::{GetRandomFlags, getrandom};

/// Ends the name of every such file, by which `doctor` knows what a run that was killed has left.
const PART_SUFFIX: &str = "part";

/// A new file beside the one that it becomes; it is removed when it is dropped before that.
pub(super) struct PartialFile {
    pub(super) file: File,
    pub(super) path: PathBuf,
    renamed: bool,
}

/// Why there is none.
pub(super) enum PartialFileError {
    /// Another run places the same file.
    Busy,
    /// The file system said no.
    Io(io::Error),
}

impl PartialFile {
    /// Creates one for `file`, and removes what runs that were killed have left of the same file.
    pub(super) fn create(directory: &Path, file: &str) -> Result<PartialFile, PartialFileError> {
        let path = directory
            .join(format!(".{file}.{:08x}.{PART_SUFFIX}", random_suffix().map_err(PartialFileError::Io)?));
        let created = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let part = PartialFile { file: created.map_err(PartialFileError::Io)?, path, renamed: false };
        // A run that looks for what is left takes one without a lock for that.
        flock(&part.file, FlockOperation::NonBlockingLockExclusive).map_err(|_| PartialFileError::Busy)?;
        for other in partial_files_of(directory, file).map_err(PartialFileError::Io)? {
            if other != part.path && is_locked(&other) {
                return Err(PartialFileError::Busy);
            }
            if other != part.path {
                // One of another user stays: `doctor` names it.
                let _ = fs::remove_file(&other);
            }
        }
        match part.file.metadata() {
            Ok(metadata) if metadata.nlink() == 0 => Err(PartialFileError::Busy),
            Ok(_) => Ok(part),
            Err(error) => Err(PartialFileError::Io(error)),
        }
    }

    /// Gives it its name. Whether what has that name now is this file: where others may write to the directory, they can have put
    /// another one in its place.
    pub(super) fn rename(mut self, target: &Path) -> io::Result<(File, RenamedFile)> {
        fs::rename(&self.path, target)?;
        self.renamed = true;
        let (ours, there) = (self.file.metadata()?, fs::symlink_metadata(target)?);
        let same = (ours.dev(), ours.ino()) == (there.dev(), there.ino());
        Ok((self.file.try_clone()?, if same { RenamedFile::Ours } else { RenamedFile::Replaced }))
    }
}

/// From the kernel itself: a static binary that is run in a root without `/dev` has no other source.
fn random_suffix() -> io::Result<u32> {
    let mut bytes = [0; 4];
    match getrandom(&mut bytes, GetRandomFlags::empty())? {
        4 => Ok(u32::from_ne_bytes(bytes)),
        _ => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Whether a name leads to the file that was given it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum RenamedFile {
    Ours,
    Replaced,
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        if !self.renamed {
            // What cannot be removed now is removed by the next run.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Files of this kind for `file`, of this version of the program and of those before, which named them all alike.
fn partial_files_of(directory: &Path, file: &str) -> io::Result<Vec<PathBuf>> {
    let is_one = |name: &str| {
        let word = name.strip_prefix(&format!(".{file}.")).and_then(|rest| rest.strip_suffix(PART_SUFFIX));
        word.is_some_and(|word| {
            let hex = word.strip_suffix('.').unwrap_or(word);
            hex.is_empty() || (hex.len() == 8 && hex.bytes().all(|sign| sign.is_ascii_hexdigit()))
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
