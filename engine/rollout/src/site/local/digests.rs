//! What the files of a directory hash to. A file that has not changed is read once, however often a run looks at it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::binary::hash;

/// What is known, for all clones of a site.
#[derive(Clone, Debug, Default)]
pub(super) struct Digests(Arc<Mutex<HashMap<Stamp, String>>>);

/// Which file it is, and what of it changes when its content does. A time can be set back, but not that of the last change of
/// the file's own record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

/// The kernel's clock for files goes in steps of up to 10 ms: two writes in one step look like one.
const CLOCK_STEP: Duration = Duration::from_millis(20);

impl Digests {
    /// What a file hashes to, in hex.
    pub(super) fn of(&self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        let began = SystemTime::now();
        let before = Stamp::of(&file)?;
        if let Some(known) = self.known().get(&before) {
            return Ok(known.clone());
        }
        let sha256 = hash(&mut file)?;
        if Stamp::of(&file)? == before && is_settled(before.changed, began) {
            self.known().insert(before, sha256.clone());
        }
        Ok(sha256)
    }

    /// Notes what was read of a file that nobody else wrote to, and that has been given its name since: this changes its record,
    /// and nothing of its content.
    pub(super) fn renamed(&self, file: &File, read: &Read) -> io::Result<()> {
        let now = Stamp::of(file)?;
        if (Stamp { changed: read.stamp.changed, ..now }) == read.stamp {
            self.known().insert(now, read.sha256.clone());
        }
        Ok(())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Stamp, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file that was read, and what it was then.
pub(super) struct Read {
    pub(super) sha256: String,
    stamp: Stamp,
}

impl Read {
    /// Reads an open file from its beginning, whatever is known of it.
    pub(super) fn new(file: &mut File) -> io::Result<Read> {
        file.rewind()?;
        let stamp = Stamp::of(file)?;
        Ok(Read { sha256: hash(file)?, stamp })
    }
}

impl Stamp {
    fn of(file: &File) -> io::Result<Stamp> {
        let metadata = file.metadata()?;
        Ok(Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            written: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Whether what is changed after `moment` gets another time than `time`.
fn is_settled((seconds, nanoseconds): (i64, i64), moment: SystemTime) -> bool {
    let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(seconds), u32::try_from(nanoseconds)) else {
        return false;
    };
    // A file system that keeps whole seconds steps by them, or by two.
    let step = if nanoseconds == 0 { Duration::from_secs(2) } else { CLOCK_STEP };
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    moment.duration_since(time).is_ok_and(|since| since >= step)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::binary::hex_sha256;

    /// A file whose last change is old enough to be remembered, as far as its times tell.
    fn file(content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("plugin");
        fs::write(&path, content).expect("written");
        (directory, path)
    }

    fn settled(digests: &Digests, path: &Path) -> String {
        loop {
            let sha256 = digests.of(path).expect("readable");
            if !digests.known().is_empty() {
                return sha256;
            }
        }
    }

    #[test]
    fn what_has_changed_is_read_again_though_its_size_and_time_are_the_same() {
        let (_directory, path) = file(b"one");
        let digests = Digests::default();
        assert_eq!(settled(&digests, &path), hex_sha256(b"one"));
        let written = fs::metadata(&path).expect("there").modified().expect("a time");
        fs::write(&path, b"two").expect("written");
        File::options().write(true).open(&path).and_then(|file| file.set_modified(written)).expect("set");
        assert_eq!(digests.of(&path).expect("readable"), hex_sha256(b"two"));
        let other = path.with_file_name("other");
        fs::write(&other, b"six").expect("written");
        fs::rename(&other, &path).expect("renamed");
        assert_eq!(digests.of(&path).expect("readable"), hex_sha256(b"six"));
    }

    #[test]
    fn what_has_not_changed_is_not_read_again() {
        let (_directory, path) = file(b"one");
        let digests = Digests::default();
        settled(&digests, &path);
        digests.known().values_mut().for_each(|known| *known = "known".to_owned());
        assert_eq!(digests.of(&path).expect("readable"), "known");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("set");
        assert_eq!(digests.of(&path).expect("readable"), hex_sha256(b"one"));
    }

    #[test]
    fn what_is_noted_at_a_renaming_is_the_file_that_was_read() {
        let (_directory, path) = file(b"one");
        let read = Read::new(&mut File::open(&path).expect("there")).expect("readable");
        let digests = Digests::default();
        let renamed = path.with_file_name("renamed");
        fs::rename(&path, &renamed).expect("renamed");
        digests.renamed(&File::open(&renamed).expect("open"), &read).expect("there");
        assert_eq!(digests.known().len(), 1);
        fs::write(&path, b"two").expect("written");
        digests.renamed(&File::open(&path).expect("open"), &read).expect("there");
        assert_eq!(digests.known().len(), 1);
    }

    #[test]
    fn a_time_in_whole_seconds_may_be_one_that_is_not_kept_more_closely() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(11_500);
        for (time, is) in
            [((9, 0), true), ((10, 0), false), ((11, 1), true), ((11, 490_000_000), false), ((12, 1), false)]
        {
            assert_eq!(is_settled(time, moment), is, "{time:?}");
        }
    }
}
