//! What `fuzz` calls: every reader of bytes from outside, with what must hold whatever the bytes are.
//!
//! It is there for tests and with the feature `fuzzing`, which nothing that is shipped has.

pub use crate::framework::fuzzing::{fields, pattern, wal_entry};
pub use crate::wire::fuzzing::{wire_answer, wire_request};

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn nothing_that_a_host_or_its_clients_send_breaks_its_reader() {
        replay("wire_request", wire_request);
        replay("wire_answer", wire_answer);
        replay("fields", fields);
        replay("pattern", pattern);
        replay("wal_entry", wal_entry);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
