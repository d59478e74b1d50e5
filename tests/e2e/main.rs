//! Whole journeys on a real Vault and a real HTTP upstream.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod accounts;
mod lab;

mod credentials;
mod empty_root;
mod nothing_is_lost;
mod register;
mod secrecy;
mod survival;
mod versions;
