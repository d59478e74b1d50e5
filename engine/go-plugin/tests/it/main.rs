//! The protocol as its two sides see it, with the plugin of `examples/relay` as a real process.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod generated;
mod interop;
mod launching;
mod relay;
mod serving;
mod survival;
