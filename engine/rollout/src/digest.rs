//! sha256 and hexadecimal.

use std::io::{self, Read};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};

/// Size of a read.
const CHUNK_SIZE: usize = 256 * 1024;

/// Returns the hex sha256 of everything that a reader yields.
pub fn sha256_of_reader(from: &mut impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_SIZE];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&chunk[..read]),
        }
    }
}

/// Returns the hex sha256 of `content`.
pub fn hex_sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// Returns `bytes` in lowercase hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// Decodes hexadecimal text in upper or lower case; `None` if it is not hexadecimal.
pub fn decode_hex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}
