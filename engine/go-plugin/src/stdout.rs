//! Reserves standard output for the handshake line.
//!
//! A host reads the first line of a plugin's stdout as the handshake and may stop reading afterwards. A stray `println!`, even of
//! a dependency, could break the start or block the process. Therefore file descriptor 1 is redirected to a pipe, which a
//! thread drains, and only [`HandshakeOutput`] holds the real stdout.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

/// The maximum size of a chunk in bytes, as in go-plugin.
const CHUNK_SIZE: usize = 1024;

/// How many chunks are buffered until the host reads them. Further output is dropped, because a plugin must not block if its
/// output is not read.
const MAX_BUFFERED_CHUNKS: usize = 1024;

/// Redirects standard output to a pipe.
///
/// # Errors
/// No file descriptor or thread is available.
pub(crate) fn redirect() -> io::Result<(HandshakeOutput, StdoutCapture)> {
    let real = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdout(), 3)?;
    let (mut reader, writer) = io::pipe()?;
    let (sender, chunks) = mpsc::channel(MAX_BUFFERED_CHUNKS);
    std::thread::Builder::new().name("stdout".to_owned()).spawn(move || drain(&mut reader, &sender))?;
    rustix::stdio::dup2_stdout(writer)?;
    Ok((HandshakeOutput(File::from(real)), StdoutCapture(Arc::new(Mutex::new(chunks)))))
}

/// The real standard output.
pub(crate) struct HandshakeOutput(File);

impl HandshakeOutput {
    /// Writes the line and closes the output.
    pub(crate) fn write_line(mut self, line: &str) -> io::Result<()> {
        self.0.write_all(format!("{line}\n").as_bytes())
    }
}

/// The output that the process writes to file descriptor 1.
#[derive(Clone)]
pub(crate) struct StdoutCapture(Arc<Mutex<mpsc::Receiver<Vec<u8>>>>);

impl StdoutCapture {
    /// Waits for the next chunk. Returns `None` at the end. A second caller waits until the first is dropped.
    pub(crate) async fn next(&self) -> Option<Vec<u8>> {
        self.0.lock().await.recv().await
    }
}

fn drain(reader: &mut impl Read, sender: &mpsc::Sender<Vec<u8>>) {
    let mut chunk = [0; CHUNK_SIZE];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return,
            // Drop it if the buffer is full.
            Ok(length) => drop(sender.try_send(chunk[..length].to_vec())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_is_drained_in_chunks_even_if_the_buffer_is_full() {
        let (sender, mut chunks) = mpsc::channel(2);
        drain(&mut [b'x'; 5 * CHUNK_SIZE].as_slice(), &sender);
        drop(sender);
        let mut seen = Vec::new();
        while let Some(chunk) = chunks.blocking_recv() {
            seen.push(chunk.len());
        }
        assert_eq!(seen, [CHUNK_SIZE, CHUNK_SIZE]);
    }
}
