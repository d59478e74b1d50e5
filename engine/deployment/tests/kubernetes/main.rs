//! The deployment on Kubernetes, on a real cluster with real Vaults.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod lab;

mod changes;
mod observation;
mod permissions;
mod without_shell;
