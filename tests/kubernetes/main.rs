//! Journeys on the pods of a real Kubernetes; needs root.

#![expect(clippy::unwrap_used, reason = "a test ends where something does not hold")]

mod doctor;
mod first_credential_doc;
mod manifests;
mod operator_permissions;
mod pods;
mod presets;
mod restarts;
mod target_selection;
mod token_exposure;

const NAME: &str = "custom-plugin";
const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");
