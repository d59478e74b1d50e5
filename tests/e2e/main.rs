//! Journeys on a real Vault or OpenBao and a real HTTP upstream, on this machine and as an ordinary user.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod accounts;
mod door;
mod exit_codes;
mod failing_server;
mod lab;
mod mounts;

mod alerts;
mod both_ways;
mod connection;
mod credentials;
mod dev;
mod doctor;
mod empty_root;
mod exec;
mod inputs;
mod interrupts;
mod loader;
mod logins;
mod metrics;
mod no_harm;
mod nodes;
mod nothing_is_lost;
mod openbao;
mod package;
mod refusals;
mod register;
mod same_as_vault;
mod secrecy;
mod survival;
mod unpackable;
mod unreachable;
mod upgrade;
mod versions;
