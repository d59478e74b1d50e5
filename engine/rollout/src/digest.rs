//! sha256 and hexadecimal.

use std::io::{self, Read};

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
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Decodes hexadecimal text.
pub(crate) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes().chunks(2);
    bytes.map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()).collect()
}
