//! sha256 and hexadecimal.

use std::io::{self, Read};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};

/// Bytes read at once.
const CHUNK_SIZE: usize = 256 * 1024;

/// Hex sha256 of what a reader yields until its end.
pub(crate) fn sha256_of_reader(from: &mut impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_SIZE];
    loop {
        match from.read(&mut chunk)? {
            0 => return Ok(hex(&hasher.finalize())),
            read => hasher.update(&chunk[..read]),
        }
    }
}

/// Hex sha256 of `content`.
pub(crate) fn hex_sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

/// `bytes` in lowercase hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

/// The bytes that `text` stands for, in upper or lower case; `None` if it is not hexadecimal.
pub(crate) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok()
}
