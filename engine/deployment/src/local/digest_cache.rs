//! Checksums of files, cached as long as the files do not change.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use parking_lot::Mutex;
use rollout::sha256_of_reader;

/// The cache, shared by all clones.
#[derive(Clone, Debug, Default)]
pub(super) struct DigestCache(Arc<Mutex<HashMap<FileStamp, String>>>);

/// Identity of a file and of its content. The modification time can be set back, the change time (`ctime`) cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FileStamp {
    device: u64,
    inode: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

/// The kernel's clock for file times advances in steps of up to 10 ms: two writes within one step get the same time.
const TIMESTAMP_GRANULARITY: Duration = Duration::from_millis(20);

impl DigestCache {
    /// Returns the hex sha256 of a file.
    pub(super) fn sha256_of(&self, path: &Path) -> io::Result<String> {
        let mut file = File::open(path)?;
        let began = SystemTime::now();
        let before = FileStamp::of_file(&file)?;
        if let Some(known) = self.0.lock().get(&before) {
            return Ok(known.clone());
        }
        let sha256 = sha256_of_reader(&mut file)?;
        if FileStamp::of_file(&file)? == before && is_settled(before.ctime, began) {
            self.0.lock().insert(before, sha256.clone());
        }
        Ok(sha256)
    }

    /// Records the checksum of a file that was renamed after it was read. Renaming changes `ctime`, and not the content; no other process
    /// may have written to the file.
    pub(super) fn record_renamed(&self, file: &File, read: &HashedFile) -> io::Result<()> {
        let now = FileStamp::of_file(file)?;
        if (FileStamp { ctime: read.stamp.ctime, ..now }) == read.stamp {
            self.0.lock().insert(now, read.sha256.clone());
        }
        Ok(())
    }
}

/// The checksum of an open file, and the file's identity at that time.
pub(super) struct HashedFile {
    pub(super) sha256: String,
    stamp: FileStamp,
}

impl HashedFile {
    /// Reads an open file from the beginning, without the cache.
    pub(super) fn new(file: &mut File) -> io::Result<HashedFile> {
        file.rewind()?;
        let stamp = FileStamp::of_file(file)?;
        Ok(HashedFile { sha256: sha256_of_reader(file)?, stamp })
    }
}

impl FileStamp {
    fn of_file(file: &File) -> io::Result<FileStamp> {
        let metadata = file.metadata()?;
        Ok(FileStamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Whether a change after `moment` gets a time other than `time`.
fn is_settled((seconds, nanoseconds): (i64, i64), moment: SystemTime) -> bool {
    let (Ok(seconds), Ok(nanoseconds)) = (u64::try_from(seconds), u32::try_from(nanoseconds)) else {
        return false;
    };
    // Some file systems store whole seconds, or even numbers of seconds.
    let step = if nanoseconds == 0 { Duration::from_secs(2) } else { TIMESTAMP_GRANULARITY };
    let time = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
    moment.duration_since(time).is_ok_and(|since| since >= step)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use rollout::hex_sha256;

    /// A new file.
    fn file(content: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("plugin");
        fs::write(&path, content).expect("written");
        (directory, path)
    }

    fn sha256_once_cached(digests: &DigestCache, path: &Path) -> String {
        loop {
            let sha256 = digests.sha256_of(path).expect("readable");
            if !digests.0.lock().is_empty() {
                return sha256;
            }
        }
    }

    #[test]
    fn what_has_changed_is_read_again_though_its_size_and_time_are_the_same() {
        let (_directory, path) = file(b"one");
        let digests = DigestCache::default();
        assert_eq!(sha256_once_cached(&digests, &path), hex_sha256(b"one"));
        let written = fs::metadata(&path).expect("there").modified().expect("a time");
        fs::write(&path, b"two").expect("written");
        File::options().write(true).open(&path).and_then(|file| file.set_modified(written)).expect("set");
        assert_eq!(digests.sha256_of(&path).expect("readable"), hex_sha256(b"two"));
        let other = path.with_file_name("other");
        fs::write(&other, b"six").expect("written");
        fs::rename(&other, &path).expect("renamed");
        assert_eq!(digests.sha256_of(&path).expect("readable"), hex_sha256(b"six"));
    }

    #[test]
    fn what_has_not_changed_is_not_read_again() {
        let (_directory, path) = file(b"one");
        let digests = DigestCache::default();
        sha256_once_cached(&digests, &path);
        digests.0.lock().values_mut().for_each(|known| *known = "known".to_owned());
        assert_eq!(digests.sha256_of(&path).expect("readable"), "known");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("set");
        assert_eq!(digests.sha256_of(&path).expect("readable"), hex_sha256(b"one"));
    }

    #[test]
    fn what_is_noted_at_a_renaming_is_the_file_that_was_read() {
        let (_directory, path) = file(b"one");
        let read = HashedFile::new(&mut File::open(&path).expect("there")).expect("readable");
        let digests = DigestCache::default();
        let renamed = path.with_file_name("renamed");
        fs::rename(&path, &renamed).expect("renamed");
        digests.record_renamed(&File::open(&renamed).expect("open"), &read).expect("there");
        assert_eq!(digests.0.lock().len(), 1);
        fs::write(&path, b"two").expect("written");
        digests.record_renamed(&File::open(&path).expect("open"), &read).expect("there");
        assert_eq!(digests.0.lock().len(), 1);
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
