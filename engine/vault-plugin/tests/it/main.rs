//! Tests of the public API.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

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
