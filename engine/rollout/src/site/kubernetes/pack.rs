//! A binary as it goes over the line.

use std::fs::File;
use std::io::{Read, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};

use super::error::KubernetesError;
use crate::binary::{Binary, hex};
use crate::site::SiteError;

const CHUNK: usize = 256 * 1024;

/// Compressed once for all nodes. A file that is not any more what was looked at is not sent.
pub(super) async fn pack(binary: Binary) -> Result<Bytes, SiteError> {
    let packing = tokio::task::spawn_blocking(move || pack_blocking(&binary));
    packing.await.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

fn pack_blocking(binary: &Binary) -> Result<Bytes, SiteError> {
    let failed = |source| KubernetesError::Source { path: binary.path.clone(), source };
    let mut from = File::open(&binary.path).map_err(failed)?;
    // The level that keeps up with a network.
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = from.read(&mut chunk).map_err(failed)?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        packed.write_all(&chunk[..read]).map_err(failed)?;
    }
    let read_back = hex(&hasher.finalize());
    if read_back != binary.sha256 {
        return Err(SiteError::Corrupt {
            path: binary.path.clone(),
            read_back,
            wanted: binary.sha256.clone(),
        });
    }
    Ok(packed.finish().map_err(failed)?.into())
}
