//! Whole journeys on a real Vault and a real HTTP upstream.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod lab;

mod credentials;
mod register;
mod survival;
