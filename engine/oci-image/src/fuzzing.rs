//! What `fuzz` calls: the reader of bytes from outside, with what must hold whatever the bytes are.
//!
//! It is there for tests and with the feature `fuzzing`, which nothing that is shipped has.

/// What a registry says of an error: it becomes one line that has an end.
pub fn registry_answer(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let shown = crate::registry_error::one_line_message(text);
    assert!(!shown.contains('\n') && shown.chars().count() <= 200, "{shown:?}");
}

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn nothing_that_a_registry_says_breaks_its_reader() {
        replay("registry_answer", registry_answer);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
