//! The file of a store: a log of changes, each with a checksum.
//!
//! A record consists of the length of the payload, a checksum of the length, a checksum of the payload, and the payload. If the
//! process is killed during a write, the last record is shorter than its length; it was never acknowledged and is dropped. Every
//! other mismatch is corruption and an error. The length has its own checksum, so that a corrupt length is not mistaken for an
//! incomplete record.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Entries, StoreError, StoreOp};

const DATA_FILE: &str = "dev-vault.data";
const COMPACTED_FILE: &str = "dev-vault.data.new";
const LOCK_FILE: &str = "lock";
/// The last number is the version of the format.
const MAGIC: &[u8] = b"dev-vault data 1\n";
const HEADER: usize = 8 + 8 + 8;
const PUT: u8 = 1;
const DELETE: u8 = 2;
/// A shorter log is never compacted.
const MIN_COMPACTION_SIZE: u64 = 16 << 20;

/// The log, open for appending, and the lock that excludes other processes.
pub(super) struct DataFile {
    path: PathBuf,
    file: File,
    length: u64,
    size_at_compaction: u64,
    broken: bool,
    _lock: File,
}

impl DataFile {
    pub(super) fn open(directory: &Path) -> Result<(DataFile, Entries), StoreError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(io_error("create", directory))?;
        let lock = lock_directory(directory)?;
        let path = directory.join(DATA_FILE);
        let mut file =
            private_file_options().read(true).create(true).open(&path).map_err(io_error("open", &path))?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(io_error("read", &path))?;

        let mut entries = Entries::new();
        let length = if is_beginning_of_magic(&content) {
            file.set_len(0).map_err(io_error("write", &path))?;
            file.write_all(MAGIC).map_err(io_error("write", &path))?;
            MAGIC.len()
        } else {
            replay(&content, &path, &mut entries)?
        };
        let length = length as u64;
        file.set_len(length).map_err(io_error("write", &path))?;
        file.seek(SeekFrom::End(0)).map_err(io_error("write", &path))?;
        let mut data_file = DataFile {
            path,
            file,
            length,
            size_at_compaction: live_size(&entries),
            broken: false,
            _lock: lock,
        };
        data_file.compact_if_needed(&entries)?;
        Ok((data_file, entries))
    }

    /// Appends the changes to the file. They then survive the end of this process.
    pub(super) fn append(&mut self, changes: &[StoreOp]) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError::WriteFailed { path: self.path.clone() });
        }
        let record = encode_record(changes);
        if let Err(source) = self.file.write_all(&record) {
            // An incomplete record in the middle would make the file unreadable.
            let rollback = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::End(0)));
            self.broken = rollback.is_err();
            return Err(StoreError::File { action: "write", path: self.path.clone(), source });
        }
        self.length += record.len() as u64;
        Ok(())
    }

    pub(super) fn sync(&mut self) -> Result<(), StoreError> {
        self.file.sync_data().map_err(io_error("write", &self.path))
    }

    /// Compacts the log if most of its records are superseded.
    pub(super) fn compact_if_needed(&mut self, entries: &Entries) -> Result<(), StoreError> {
        if self.length < MIN_COMPACTION_SIZE || self.length / 4 < self.size_at_compaction {
            return Ok(());
        }
        let compacted = self.path.with_file_name(COMPACTED_FILE);
        let mut file = private_file_options()
            .create(true)
            .truncate(true)
            .open(&compacted)
            .map_err(io_error("create", &compacted))?;
        let mut length = MAGIC.len() as u64;
        file.write_all(MAGIC).map_err(io_error("write", &compacted))?;
        for (key, value) in entries {
            let record = encode_record(&[StoreOp::Put(key.clone(), value.clone())]);
            file.write_all(&record).map_err(io_error("write", &compacted))?;
            length += record.len() as u64;
        }
        file.sync_all().map_err(io_error("write", &compacted))?;
        fs::rename(&compacted, &self.path).map_err(io_error("replace", &self.path))?;
        (self.file, self.length, self.size_at_compaction) = (file, length, length);
        Ok(())
    }
}

fn lock_directory(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK_FILE);
    let lock = private_file_options().create(true).open(&path).map_err(io_error("open", &path))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { directory: directory.to_owned() }),
        Err(TryLockError::Error(source)) => Err(StoreError::File { action: "lock", path, source }),
    }
}

/// Returns options for a file that only its owner can read, because the values are unencrypted secrets.
fn private_file_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

/// Whether the file is empty, or was left incomplete by a process that was killed while it created the file.
fn is_beginning_of_magic(content: &[u8]) -> bool {
    content.len() < MAGIC.len() && MAGIC.starts_with(content)
}

/// Reads all records into `entries`, and returns the end of the last complete record.
fn replay(content: &[u8], path: &Path, entries: &mut Entries) -> Result<usize, StoreError> {
    if !content.starts_with(MAGIC) {
        return Err(StoreError::UnknownFormat { path: path.to_owned() });
    }
    let mut offset = MAGIC.len();
    while let Some(header) = content.get(offset..offset + HEADER) {
        let corrupt = || StoreError::Damaged { path: path.to_owned(), offset: offset as u64 };
        let (length, checks) = header.split_at(8);
        if checksum(length) != checks[..8] {
            return Err(corrupt());
        }
        let start = offset + HEADER;
        let length = length.try_into().map(u64::from_le_bytes).map_err(|_| corrupt())?;
        let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length));
        let end = end.ok_or_else(corrupt)?;
        let Some(payload) = content.get(start..end) else { return Ok(offset) };
        if checksum(payload) != checks[8..] {
            return Err(corrupt());
        }
        apply_record(payload, entries).ok_or_else(corrupt)?;
        offset = end;
    }
    Ok(offset)
}

fn encode_record(changes: &[StoreOp]) -> Vec<u8> {
    let mut payload = Vec::new();
    for change in changes {
        match change {
            StoreOp::Put(key, value) => {
                payload.push(PUT);
                write_bytes(&mut payload, key.as_bytes());
                write_bytes(&mut payload, value);
            }
            StoreOp::Delete(key) => {
                payload.push(DELETE);
                write_bytes(&mut payload, key.as_bytes());
            }
        }
    }
    let length = (payload.len() as u64).to_le_bytes();
    [&length[..], &checksum(&length), &checksum(&payload), &payload].concat()
}

fn apply_record(mut payload: &[u8], entries: &mut Entries) -> Option<()> {
    while let Some((&kind, rest)) = payload.split_first() {
        payload = rest;
        let key = String::from_utf8(read_bytes(&mut payload)?.to_vec()).ok()?;
        match kind {
            PUT => drop(entries.insert(key, read_bytes(&mut payload)?.to_vec())),
            DELETE => drop(entries.remove(&key)),
            _ => return None,
        }
    }
    Some(())
}

fn write_bytes(payload: &mut Vec<u8>, bytes: &[u8]) {
    payload.extend((bytes.len() as u64).to_le_bytes());
    payload.extend(bytes);
}

fn read_bytes<'a>(payload: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = payload.split_first_chunk::<8>()?;
    let (bytes, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
    *payload = rest;
    Some(bytes)
}

fn checksum(bytes: &[u8]) -> [u8; 8] {
    let mut short = [0; 8];
    short.copy_from_slice(&Sha256::digest(bytes)[..8]);
    short
}

fn live_size(entries: &Entries) -> u64 {
    entries.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| StoreError::File { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;

    fn write_sample(directory: &Path) -> Vec<u8> {
        let store = Store::open(directory).unwrap();
        store.write("a", &"first").unwrap();
        store.apply(vec![StoreOp::Put("b".into(), b"1".to_vec()), StoreOp::Delete("a".into())]).unwrap();
        drop(store);
        fs::read(directory.join(DATA_FILE)).unwrap()
    }

    #[test]
    fn written_values_survive_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        write_sample(directory.path());
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.keys(""), ["b"]);
    }

    #[test]
    fn a_process_killed_during_a_write_loses_only_that_write() {
        let directory = tempfile::tempdir().unwrap();
        let content = write_sample(directory.path());
        for length in 0..content.len() {
            fs::write(directory.path().join(DATA_FILE), &content[..length]).unwrap();
            let keys = Store::open(directory.path()).unwrap().keys("");
            assert!(keys.is_empty() || keys == ["a"], "cut to {length} bytes: {keys:?}");
        }
    }

    #[test]
    fn a_file_with_any_flipped_bit_is_refused_by_name_and_not_changed() {
        let directory = tempfile::tempdir().unwrap();
        let content = write_sample(directory.path());
        for at in 0..content.len() {
            let mut corrupt = content.clone();
            corrupt[at] ^= 0x10;
            fs::write(directory.path().join(DATA_FILE), &corrupt).unwrap();
            let error = Store::open(directory.path()).err().expect("damaged").to_string();
            assert!(error.contains(DATA_FILE), "{error}");
            assert_eq!(fs::read(directory.path().join(DATA_FILE)).unwrap(), corrupt);
        }
    }

    #[test]
    fn a_second_process_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let _first = Store::open(directory.path()).unwrap();
        assert!(matches!(Store::open(directory.path()), Err(StoreError::InUse { .. })));
    }

    #[test]
    fn a_log_of_mostly_superseded_records_is_compacted() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::open(directory.path()).unwrap();
        let value = "x".repeat(1 << 20);
        for _ in 0..20 {
            store.write("key", &value).unwrap();
        }
        drop(store);
        assert!(fs::metadata(directory.path().join(DATA_FILE)).unwrap().len() < MIN_COMPACTION_SIZE);
        let store = Store::open(directory.path()).unwrap();
        assert_eq!(store.read::<String>("key").unwrap().as_deref(), Some(value.as_str()));
    }
}
