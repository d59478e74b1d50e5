//! Compresses a binary for the transfer to pods.

use std::fs::File;
use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rollout::{Binary, FilePrefix, hex, parse_prefix};
use sha2::{Digest, Sha256};

use super::error::KubernetesError;

const CHUNK_SIZE: usize = 256 * 1024;

/// A compressed binary.
pub(super) struct Compressed {
    /// The compressed content.
    pub(super) bytes: Bytes,
    /// What the first bytes of the binary show.
    pub(super) prefix: FilePrefix,
}

/// Compresses a binary once for all nodes.
///
/// # Errors
/// If the file has changed since it was hashed.
pub(super) async fn compress(binary: Binary) -> Result<Compressed, KubernetesError> {
    let task = tokio::task::spawn_blocking(move || compress_blocking(&binary));
    task.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn compress_blocking(binary: &Binary) -> Result<Compressed, KubernetesError> {
    let failed = |source| KubernetesError::ReadBinary { path: binary.path.clone(), source };
    let mut from = File::open(&binary.path).map_err(failed)?;
    // Fast enough for the network. Even on a local network, sending an uncompressed binary takes longer.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_SIZE];
    let mut first = Vec::new();
    loop {
        let read = from.read(&mut chunk).map_err(failed)?;
        if read == 0 {
            break;
        }
        if first.is_empty() {
            first.extend_from_slice(&chunk[..read]);
        }
        hasher.update(&chunk[..read]);
        encoder.write_all(&chunk[..read]).map_err(failed)?;
    }
    let read_back = hex(&hasher.finalize());
    if read_back != binary.sha256 {
        let (path, expected) = (binary.path.clone(), binary.sha256.clone());
        return Err(KubernetesError::BinaryChanged { path, expected, found: read_back });
    }
    Ok(Compressed { bytes: encoder.finish().map_err(failed)?.into(), prefix: parse_prefix(&first) })
}
