//! Rung 3: the repository as a whole, and the binary that users run.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod dev_command;
mod lab;

mod creds_exec;
mod creds_login;
mod creds_watch;
mod dev;
mod doctor;
mod foreign;
mod hardening;
mod host;
mod house;
mod inspect;
mod install;
mod load;
mod manifests;
mod operate;
mod place;
mod plain;
mod proxy;
mod sensitive;
mod twin;
mod upgrade;
