//! SHA-256 digests of content.

use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};

use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// A digest: `sha256:` and 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// Computes the digest of some bytes.
    pub fn sha256(content: &[u8]) -> Self {
        Self::from_hash(&Sha256::digest(content))
    }

    /// Computes the digest of a whole file, and rewinds the file.
    pub(crate) async fn sha256_file(mut file: File) -> io::Result<(File, Self)> {
        let hash = move || {
            file.seek(SeekFrom::Start(0))?;
            let mut writer = HashingWriter::new(io::sink());
            io::copy(&mut file, &mut writer)?;
            file.seek(SeekFrom::Start(0))?;
            let (_, digest, _) = writer.finish();
            Ok((file, digest))
        };
        tokio::task::spawn_blocking(hash).await.map_err(io::Error::other).flatten()
    }

    /// Returns the digest with `sha256:`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the hex digits, which are also the file name of a blob in a layout.
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

/// Forwards everything written to `inner`, and computes its digest and size.
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
    fn the_digest_covers_all_writes() {
        let mut writer = HashingWriter::new(Vec::new());
        for part in ["a", "b", "c"] {
            writer.write_all(part.as_bytes()).expect("written");
        }
        let (content, digest, size) = writer.finish();
        assert_eq!((content.as_slice(), size), (b"abc".as_slice(), 3));
        assert_eq!(digest, Digest::sha256(b"abc"));
        assert_eq!(digest.hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
