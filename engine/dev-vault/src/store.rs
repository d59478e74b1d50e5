//! The storage of the server: one ordered map from keys to values, in memory and optionally in a file.
//!
//! The server and the mounts keep no other state, so it contains every acknowledged write.

mod file;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;

use file::DataFile;

type Entries = BTreeMap<String, Vec<u8>>;

/// One operation; the operations of one [`Store::apply`] are atomic, also across a crash.
#[derive(Clone)]
pub(crate) enum StoreOp {
    Put(String, Vec<u8>),
    Delete(String),
}

impl StoreOp {
    /// Writes a value as JSON.
    pub(crate) fn put<T: Serialize>(key: impl Into<String>, value: &T) -> Result<StoreOp, StoreError> {
        let key = key.into();
        match serde_json::to_vec(value) {
            Ok(value) => Ok(StoreOp::Put(key, value)),
            Err(source) => Err(StoreError::Encode { key, source }),
        }
    }
}

pub(crate) struct Store(Mutex<StoreState>);

struct StoreState {
    entries: Entries,
    file: Option<DataFile>,
}

impl Store {
    /// A store without a file.
    pub(crate) fn in_memory() -> Store {
        Store(Mutex::new(StoreState { entries: Entries::new(), file: None }))
    }

    /// The store in `directory`, which is created if it is missing.
    pub(crate) fn open(directory: &Path) -> Result<Store, StoreError> {
        let (file, entries) = DataFile::open(directory)?;
        Ok(Store(Mutex::new(StoreState { entries, file: Some(file) })))
    }

    pub(crate) fn get(&self, key: &str) -> Option<Vec<u8>> {
        self.0.lock().entries.get(key).cloned()
    }

    /// The JSON value at `key`.
    pub(crate) fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, StoreError> {
        let state = self.0.lock();
        let Some(value) = state.entries.get(key) else { return Ok(None) };
        serde_json::from_slice(value)
            .map(Some)
            .map_err(|source| StoreError::Decode { key: key.to_owned(), source })
    }

    pub(crate) fn write<T: Serialize>(&self, key: &str, value: &T) -> Result<(), StoreError> {
        self.apply(vec![StoreOp::put(key, value)?])
    }

    pub(crate) fn delete(&self, key: &str) -> Result<(), StoreError> {
        if self.0.lock().entries.contains_key(key) {
            self.apply(vec![StoreOp::Delete(key.to_owned())])?;
        }
        Ok(())
    }

    /// Makes all changes, in order, visible and durable at once.
    pub(crate) fn apply(&self, changes: Vec<StoreOp>) -> Result<(), StoreError> {
        let mut state = self.0.lock();
        let StoreState { entries, file } = &mut *state;
        if let Some(file) = file {
            file.append(&changes)?;
        }
        for change in changes {
            match change {
                StoreOp::Put(key, value) => drop(entries.insert(key, value)),
                StoreOp::Delete(key) => drop(entries.remove(&key)),
            }
        }
        if let Some(file) = file {
            file.compact_if_needed(entries)?;
        }
        Ok(())
    }

    /// The names directly below `prefix`, sorted; folders end in a slash.
    pub(crate) fn list(&self, prefix: &str) -> Vec<String> {
        let state = self.0.lock();
        let below = keys_below(&state.entries, prefix).filter_map(|key| key.strip_prefix(prefix));
        let names: BTreeSet<&str> = below
            .map(|rest| rest.find('/').map_or(rest, |slash| &rest[..=slash]))
            .filter(|name| !name.is_empty())
            .collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Every key that starts with `prefix`, sorted and whole.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        keys_below(&self.0.lock().entries, prefix).map(str::to_owned).collect()
    }

    /// Flushes the file to the disk.
    pub(crate) fn sync(&self) -> Result<(), StoreError> {
        match &mut self.0.lock().file {
            Some(file) => file.sync(),
            None => Ok(()),
        }
    }
}

fn keys_below<'a>(entries: &'a Entries, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    entries
        .range::<str, _>((std::ops::Bound::Included(prefix), std::ops::Bound::Unbounded))
        .map(|(key, _)| key.as_str())
        .take_while(move |key| key.starts_with(prefix))
}

/// Errors of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory or its file cannot be used.
    #[error("cannot {action} {}", .path.display())]
    File {
        /// The failed operation.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Another process uses the directory.
    #[error("{} is in use by another process", .directory.display())]
    InUse {
        /// The directory.
        directory: PathBuf,
    },
    /// The file has another format or version.
    #[error(
        "{} is not a data file of this version; move it away to start without data (the file is unchanged)",
        .path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
    },
    /// The file is corrupt.
    #[error(
        "{} is corrupt at byte {offset}; restore it from a backup, or move it away to start without data (the file is unchanged)",
        .path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The offset of the record that does not match its checksum.
        offset: u64,
    },
    /// An earlier write failed and could not be undone.
    #[error("cannot write {}: an earlier write failed and could not be undone", .path.display())]
    WriteFailed {
        /// The file.
        path: PathBuf,
    },
    /// The value cannot be encoded as JSON.
    #[error("cannot encode the value for {key:?}")]
    Encode {
        /// The key.
        key: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// The stored value cannot be decoded. Its content is not shown.
    #[error("cannot decode the stored value {key:?}")]
    Decode {
        /// The key.
        key: String,
        /// The cause.
        source: serde_json::Error,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_direct_children_and_each_folder_once() {
        let store = Store::in_memory();
        for key in ["a/x", "a/y/1", "a/y/2", "ab", "a/"] {
            store.write(key, &1).unwrap();
        }
        assert_eq!(store.list("a/"), ["x", "y/"]);
        assert_eq!(store.keys("a/y"), ["a/y/1", "a/y/2"]);
        assert_eq!(store.list("nothing"), Vec::<String>::new());
    }
}
