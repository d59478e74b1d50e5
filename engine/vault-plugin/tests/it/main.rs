//! The SDK from outside.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod conformance;
mod differential;
mod framework;
mod generated;
mod go_plugins;
mod hardening;
mod host;
mod launch_failures;
mod logins;
mod rollback;
