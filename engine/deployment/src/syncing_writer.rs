//! Files that come to the disk bit by bit.

use std::fs::File;
use std::io::{self, Write};

/// Bytes; a disk that writes a hundred million of them in a second is busy with so many for 40 ms.
const SYNC_INTERVAL_BYTES: usize = 4 * 1024 * 1024;

/// Writes into a file in pieces, each of them on the disk before the next one comes. The last is the caller's to sync.
///
/// A Vault that shares the disk waits for what is written there at once with each entry of its own, as its file system commits
/// both together, and its clients wait with it.
pub(super) struct SyncingWriter<'a> {
    file: &'a File,
    pending: usize,
}

impl<'a> SyncingWriter<'a> {
    pub(super) fn new(file: &'a File) -> Self {
        SyncingWriter { file, pending: 0 }
    }
}

impl Write for SyncingWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.pending += written;
        if self.pending >= SYNC_INTERVAL_BYTES {
            self.file.sync_data()?;
            self.pending = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
