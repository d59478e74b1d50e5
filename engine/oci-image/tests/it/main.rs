//! Layouts and archives on the disk, and pushes to a registry of the test's own.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod fake_registry;
mod faults;
mod layout;
mod limits;
mod samples;
