//! Tests of layouts and archives on disk, and of pushes to an in-memory registry.

#![expect(clippy::unwrap_used, reason = "a failed expectation fails the test")]

mod fake_registry;
mod faults;
mod layout;
mod limits;
mod samples;
