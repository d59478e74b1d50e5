//! The entry points of the fuzz targets: one function per parser of external input, with its properties.
//!
//! Compiled only for tests and with the feature `fuzzing`.

pub use crate::framework::fuzzing::{fields, pattern, wal_entry};
pub use crate::wire::fuzzing::{wire_request, wire_response};

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn no_input_of_a_host_or_its_clients_breaks_its_parser() {
        replay("wire_request", wire_request);
        replay("wire_response", wire_response);
        replay("fields", fields);
        replay("pattern", pattern);
        replay("wal_entry", wal_entry);
    }
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;
