//! Rung 3: the repository as a whole, and the binary that users run.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod lab;
mod stage;

mod dev;
mod host;
mod house;
mod inspect;
mod install;
mod load;
mod operate;
mod plain;
