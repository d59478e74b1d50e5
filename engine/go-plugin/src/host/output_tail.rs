//! The end of what a process writes, for error messages, and its lines for whoever listens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::log_line::LineSplitter;

/// Enough for a stack trace, in bytes.
const MAX_TAIL_BYTES: usize = 16 * 1024;

/// How long to wait for the rest when the process has ended; a child of its own may hold the pipe open.
const OUTPUT_GRACE_PERIOD: Duration = Duration::from_millis(200);

/// Reads a stream to its end, so that the writer never blocks, and keeps the last of it.
pub(crate) struct OutputTail {
    buffer: Arc<Mutex<VecDeque<u8>>>,
    reader: JoinHandle<()>,
    /// Closed when everything is read.
    open: watch::Receiver<()>,
}

impl OutputTail {
    /// Reads `stream`, and makes `lines` of it where there are any to make.
    pub(crate) fn capture(
        mut stream: impl AsyncRead + Send + Unpin + 'static,
        mut lines: Option<LineSplitter>,
    ) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let shared = Arc::clone(&kept);
        let (open, reading) = watch::channel(());
        let reader = tokio::spawn(async move {
            let _open = open;
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut chunk).await {
                let chunk = &chunk[..length];
                {
                    let mut kept = shared.lock();
                    kept.extend(chunk);
                    let excess = kept.len().saturating_sub(MAX_TAIL_BYTES);
                    kept.drain(..excess);
                }
                if let Some(lines) = &mut lines {
                    lines.push(chunk);
                }
            }
            if let Some(lines) = &mut lines {
                lines.flush();
            }
        });
        Self { buffer: kept, reader, open: reading }
    }

    /// What has been read so far.
    pub(crate) fn text(&self) -> String {
        let mut kept = self.buffer.lock();
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }

    /// Waits a moment for what a writer that has ended said last.
    pub(crate) async fn wait_closed(&self) {
        let mut reading = self.open.clone();
        // The channel never changes; it only closes.
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
    async fn only_the_end_of_a_long_text_is_kept() {
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
