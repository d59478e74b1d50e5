//! A binary as it goes over the line.

use std::fs::File;
use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rollout::{Binary, FilePrefix, hex, parse_prefix};
use sha2::{Digest, Sha256};

use super::error::KubernetesError;

const CHUNK_SIZE: usize = 256 * 1024;

/// A binary on its way.
pub(super) struct Compressed {
    /// Compressed.
    pub(super) bytes: Bytes,
    /// What its first bytes tell.
    pub(super) prefix: FilePrefix,
}

/// Compressed once for all nodes. A file that is not any more what was looked at is not sent.
pub(super) async fn compress(binary: Binary) -> Result<Compressed, KubernetesError> {
    let packing = tokio::task::spawn_blocking(move || compress_blocking(&binary));
    packing.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn compress_blocking(binary: &Binary) -> Result<Compressed, KubernetesError> {
    let failed = |source| KubernetesError::ReadBinary { path: binary.path.clone(), source };
    let mut from = File::open(&binary.path).map_err(failed)?;
    // The level that keeps up with a network. Even on a near one, to send all of it takes longer than to unpack it there.
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
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
        packed.write_all(&chunk[..read]).map_err(failed)?;
    }
    let read_back = hex(&hasher.finalize());
    if read_back != binary.sha256 {
        let (path, expected) = (binary.path.clone(), binary.sha256.clone());
        return Err(KubernetesError::BinaryChanged { path, expected, found: read_back });
    }
    Ok(Compressed { bytes: packed.finish().map_err(failed)?.into(), prefix: parse_prefix(&first) })
}
