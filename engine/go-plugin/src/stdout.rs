//! Standard output, which belongs to the handshake: one line goes there, and nothing else can.
//!
//! A host reads the first line of a plugin's stdout as the handshake and may stop reading afterwards, so a stray
//! `println!`, of a dependency even, could break the start or block the process. Therefore file descriptor 1 becomes a
//! pipe into this process, which a thread always empties, and only [`HandshakeOutput`] holds the real stdout.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

/// The largest piece that is handed on, in bytes, as in Go.
const CHUNK_SIZE: usize = 1024;

/// How many pieces are kept until somebody listens; what comes on top is dropped, because a plugin must not stop only
/// because its output is not read.
const MAX_BUFFERED_CHUNKS: usize = 1024;

/// Takes standard output away from the process.
///
/// # Errors
/// No file descriptor or thread is left.
pub(crate) fn redirect() -> io::Result<(HandshakeOutput, StdoutCapture)> {
    let real = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let (mut reader, writer) = io::pipe()?;
    let (kept, chunks) = mpsc::channel(MAX_BUFFERED_CHUNKS);
    std::thread::Builder::new().name("stdout".to_owned()).spawn(move || drain(&mut reader, &kept))?;
    rustix::stdio::dup2_stdout(writer)?;
    Ok((HandshakeOutput(File::from(real)), StdoutCapture(Arc::new(Mutex::new(chunks)))))
}

/// The real standard output.
pub(crate) struct HandshakeOutput(File);

impl HandshakeOutput {
    /// Writes the one line, and closes.
    pub(crate) fn write_line(mut self, line: &str) -> io::Result<()> {
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}

/// What the process has written to file descriptor 1, for the one who listens.
#[derive(Clone)]
pub(crate) struct StdoutCapture(Arc<Mutex<mpsc::Receiver<Vec<u8>>>>);

impl StdoutCapture {
    /// Waits for the next piece; `None` when there will be no more. A second listener waits until the first is gone.
    pub(crate) async fn next(&self) -> Option<Vec<u8>> {
        self.0.lock().await.recv().await
    }
}

fn drain(reader: &mut impl Read, kept: &mpsc::Sender<Vec<u8>>) {
    let mut chunk = [0; CHUNK_SIZE];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return,
            // Full, because nobody listens: drop it.
            Ok(length) => drop(kept.try_send(chunk[..length].to_vec())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_emptied_in_small_pieces_even_when_nobody_listens() {
        let (kept, mut chunks) = mpsc::channel(2);
        drain(&mut [b'x'; 5 * CHUNK_SIZE].as_slice(), &kept);
        drop(kept);
        let mut seen = Vec::new();
        while let Some(chunk) = chunks.blocking_recv() {
            seen.push(chunk.len());
        }
        assert_eq!(seen, [CHUNK_SIZE, CHUNK_SIZE]);
    }
}
