//! The harness with real servers and a real Go plugin.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod cluster;
mod vault;
