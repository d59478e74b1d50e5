//! Keeps the last part of a process's output for error messages, and splits the output into log lines.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::log_line::LineSplitter;

/// How much output is kept, in bytes. Sufficient for a stack trace.
const MAX_TAIL_BYTES: usize = 16 * 1024;

/// How long to wait for remaining output after the process has exited. A child of it may keep the pipe open.
const OUTPUT_GRACE_PERIOD: Duration = Duration::from_millis(200);

/// Reads a stream to its end, so that the writer never blocks, and keeps the last part of it.
pub(crate) struct OutputTail {
    buffer: Arc<Mutex<VecDeque<u8>>>,
    reader: JoinHandle<()>,
    /// Closed after the end of the stream was read.
    open: watch::Receiver<()>,
}

impl OutputTail {
    /// Reads `stream` in a task, and passes it to `lines` if given.
    pub(crate) fn capture(
        mut stream: impl AsyncRead + Send + Unpin + 'static,
        mut lines: Option<LineSplitter>,
    ) -> Self {
        let buffer = Arc::new(Mutex::new(VecDeque::new()));
        let shared = Arc::clone(&buffer);
        let (open, reading) = watch::channel(());
        let reader = tokio::spawn(async move {
            let _open = open;
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut chunk).await {
                let chunk = &chunk[..length];
                {
                    let mut buffer = shared.lock();
                    buffer.extend(chunk);
                    let excess = buffer.len().saturating_sub(MAX_TAIL_BYTES);
                    buffer.drain(..excess);
                }
                if let Some(lines) = &mut lines {
                    lines.push(chunk);
                }
            }
            if let Some(lines) = &mut lines {
                lines.flush();
            }
        });
        Self { buffer, reader, open: reading }
    }

    /// Returns the last part of what was read so far.
    pub(crate) fn text(&self) -> String {
        let mut buffer = self.buffer.lock();
        String::from_utf8_lossy(buffer.make_contiguous()).into_owned()
    }

    /// Waits for the end of the stream, up to [`OUTPUT_GRACE_PERIOD`].
    pub(crate) async fn wait_closed(&self) {
        let mut reading = self.open.clone();
        // No value is ever sent; the channel only closes.
        let _ = tokio::time::timeout(OUTPUT_GRACE_PERIOD, reading.changed()).await;
    }
}

impl Drop for OutputTail {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_end_of_a_long_output_is_kept() {
        let text = format!("{}the end", "x".repeat(3 * MAX_TAIL_BYTES));
        let (mut writer, reader) = tokio::io::duplex(64);
        let tail = OutputTail::capture(reader, None);
        tokio::io::AsyncWriteExt::write_all(&mut writer, text.as_bytes()).await.unwrap();
        drop(writer);
        tail.wait_closed().await;
        let kept = tail.text();
        assert_eq!(kept.len(), MAX_TAIL_BYTES);
        assert!(kept.ends_with("xthe end"));
    }
}
