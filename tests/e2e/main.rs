//! Whole journeys on a real Vault and a real HTTP upstream.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod accounts;
mod door;
mod lab;
mod mounts;

mod alerts;
mod credentials;
mod dev;
mod doctor;
mod empty_root;
mod exec;
mod inputs;
mod interrupts;
mod loader;
mod logins;
mod manifests;
mod metrics;
mod newcomer;
mod nothing_is_lost;
mod operator;
mod package;
mod pods;
mod refusals;
mod register;
mod same_as_vault;
mod secrecy;
mod survival;
mod unpackable;
mod unreachable;
mod upgrade;
mod versions;
