//! The readers of external bytes that `fuzz` calls, each with the properties that hold for any input.
//!
//! Compiled for tests and with the feature `fuzzing`, which is never enabled in a release.

use std::path::{Component, Path};

use crate::Sha256Sums;

pub use crate::kubernetes::fuzzing::node_facts;

/// `SHA256SUMS`: what is parsed stays inside the directory, and is the same after it is written and parsed again.
pub fn sums(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(sums) = text.parse::<Sha256Sums>() else { return };
    assert_eq!(sums.to_string().parse(), Ok(sums.clone()));
    for (file, sha256) in sums.iter() {
        let is_inside = Path::new(file).components().all(|part| matches!(part, Component::Normal(_)));
        assert!(is_inside && sha256.len() == 64, "{file:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn no_output_of_a_node_and_no_checksum_file_breaks_its_parser() {
        replay("node_facts", node_facts);
        replay("sums", sums);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
