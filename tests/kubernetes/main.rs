//! Journeys on the pods of a real Kubernetes; needs root.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod doctor;
mod manifests;
mod newcomer;
mod operator;
mod pods;
mod restarts;
mod secrecy;
mod which_pods;

const NAME: &str = "custom-plugin";
const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");
