//! Layouts and archives on the disk, and pushes to a registry of the test's own.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod faults;
mod limits;
mod registry;
mod samples;
mod written;
