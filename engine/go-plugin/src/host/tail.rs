//! The end of what a process writes, for error messages.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::task::JoinHandle;

/// Enough for a stack trace, in bytes.
const KEPT: usize = 16 * 1024;

/// How long to wait for the rest when the process has ended; a child of its own may hold the pipe open.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Reads a stream to its end, so that the writer never blocks, and keeps the last of it.
pub(crate) struct Tail {
    kept: Arc<Mutex<VecDeque<u8>>>,
    reader: JoinHandle<()>,
}

impl Tail {
    pub(crate) fn of(mut stream: impl AsyncRead + Send + Unpin + 'static) -> Self {
        let kept = Arc::new(Mutex::new(VecDeque::new()));
        let shared = Arc::clone(&kept);
        let reader = tokio::spawn(async move {
            let mut chunk = [0; 4096];
            while let Ok(length @ 1..) = stream.read(&mut chunk).await {
                let mut kept = shared.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend(&chunk[..length]);
                let excess = kept.len().saturating_sub(KEPT);
                kept.drain(..excess);
            }
        });
        Self { kept, reader }
    }

    /// What has been read so far.
    pub(crate) fn text(&self) -> String {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(kept.make_contiguous()).into_owned()
    }

    /// What there is when the writer has ended.
    pub(crate) async fn into_text(mut self) -> String {
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.reader).await;
        self.text()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_end_of_a_long_text_is_kept() {
        let text = format!("{}the end", "x".repeat(3 * KEPT));
        let (mut writer, reader) = tokio::io::duplex(64);
        let tail = Tail::of(reader);
        tokio::io::AsyncWriteExt::write_all(&mut writer, text.as_bytes()).await.unwrap();
        drop(writer);
        let kept = tail.into_text().await;
        assert_eq!(kept.len(), KEPT);
        assert!(kept.ends_with("xthe end"));
    }
}
