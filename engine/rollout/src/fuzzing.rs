//! What `fuzz` calls: every reader of bytes from outside, with what must hold whatever the bytes are.
//!
//! It is there for tests and with the feature `fuzzing`, which nothing that is shipped has.

use std::path::Path;

use crate::Sha256Sums;

pub use crate::deployment::kubernetes::fuzzing::node_facts;

/// `SHA256SUMS`: what is understood leads nowhere else, and is written and read again as the same.
pub fn sums(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(sums) = text.parse::<Sha256Sums>() else { return };
    assert_eq!(sums.to_string().parse(), Ok(sums.clone()));
    for (file, sha256) in sums.iter() {
        let is_inside =
            Path::new(file).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        assert!(is_inside && sha256.len() == 64, "{file:?}");
    }
}

/// A plugin binary.
pub fn binary(bytes: &[u8]) {
    crate::binary::detect_format(bytes);
}

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn nothing_that_a_node_or_a_file_says_breaks_its_reader() {
        replay("node_facts", node_facts);
        replay("sums", sums);
        replay("binary", binary);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
