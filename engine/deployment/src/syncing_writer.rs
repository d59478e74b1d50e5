//! Files that are written to disk in small parts.

use std::fs::File;
use std::io::{self, Write};

/// Bytes between two syncs. A disk that writes 100 MB/s is busy for 40 ms.
const SYNC_INTERVAL_BYTES: usize = 4 * 1024 * 1024;

/// Writes to a file, and syncs it at regular intervals. The caller syncs the last part.
///
/// A file system commits the writes of all processes together. A Vault on the same disk syncs each of its entries; without this writer, it
/// would wait until the whole binary is on disk, and so would its clients.
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
