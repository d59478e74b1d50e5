//! Whole journeys on a real Vault and a real HTTP upstream.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod door;
mod lab;

mod credentials;
mod inputs;
mod interrupts;
mod refusals;
mod register;
mod survival;
mod unreachable;
