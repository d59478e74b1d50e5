//! Entry points of the fuzz targets: parsers of untrusted bytes, with the invariants that hold for any input.
//!
//! Compiled for tests, and with the feature `fuzzing`, which release builds do not enable.

/// Extracts the message of an error response. The result is one line of limited length.
pub fn registry_response(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let message = crate::registry_error::one_line_message(text);
    assert!(!message.contains('\n') && message.chars().count() <= 200, "{message:?}");
}

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn no_response_of_a_registry_breaks_the_parser() {
        replay("registry_response", registry_response);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
