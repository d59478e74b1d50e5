//! Content by its name, which is its sha256.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// `sha256:` and 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Of some bytes.
    pub fn sha256(content: &[u8]) -> Self {
        Self::from_hash(&Sha256::digest(content))
    }

    /// Of a whole file, which is at its beginning afterwards.
    pub(crate) async fn sha256_file(mut file: File) -> io::Result<(File, Self)> {
        let hash = move || {
            file.seek(SeekFrom::Start(0))?;
            let mut hashing = HashingWriter::new(io::sink());
            io::copy(&mut file, &mut hashing)?;
            file.seek(SeekFrom::Start(0))?;
            let (_, digest, _) = hashing.finish();
            Ok((file, digest))
        };
        tokio::task::spawn_blocking(hash).await.map_err(io::Error::other).flatten()
    }

    /// As written in documents.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits alone; also the name of the blob's file in a layout.
    pub fn hex(&self) -> &str {
        self.0.strip_prefix("sha256:").unwrap_or(&self.0)
    }

    fn from_hash(hash: &[u8]) -> Self {
        Self(format!("sha256:{}", HEXLOWER.encode(hash)))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Passes on what is written, and hashes and counts it.
pub(crate) struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    size: u64,
}

impl<W: Write> HashingWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256::new(), size: 0 }
    }

    pub(crate) fn finish(self) -> (W, Digest, u64) {
        (self.inner, Digest::from_hash(&self.hasher.finalize()), self.size)
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, content: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(content)?;
        self.hasher.update(&content[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_has_the_digest_of_the_whole() {
        let mut hashing = HashingWriter::new(Vec::new());
        for part in ["a", "b", "c"] {
            hashing.write_all(part.as_bytes()).expect("memory takes it");
        }
        let (content, digest, size) = hashing.finish();
        assert_eq!((content.as_slice(), size), (b"abc".as_slice(), 3));
        assert_eq!(digest, Digest::sha256(b"abc"));
        assert_eq!(digest.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
