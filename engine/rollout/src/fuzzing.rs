//! The parsers of external bytes that `fuzz` calls, each with the properties that hold for any input.
//!
//! Compiled for tests and with the feature `fuzzing`, which is never enabled in a release.

/// The header of a plugin binary.
pub fn binary(bytes: &[u8]) {
    crate::binary::detect_format(bytes);
}

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn no_binary_breaks_its_parser() {
        replay("binary", binary);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
