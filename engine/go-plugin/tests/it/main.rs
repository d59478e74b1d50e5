//! Tests of the protocol from both sides, with the plugins of `examples` as real processes.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod generated;
mod interop;
mod isolation;
mod launching;
mod official;
mod relay;
mod serving;
mod survival;
