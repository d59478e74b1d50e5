//! The engine beside its Go twin: the same generated requests, and everything that can be seen of them compared.

use std::process::Command;

/// A few hundred requests of every kind; `tests/differential` sends a million.
const SEQUENCES: &str = "150";

#[tokio::test]
async fn the_engine_does_what_its_go_twin_does() {
    let twin = harness::build::go_twin().await;
    let output = Command::new(harness::build::go_driver().await)
        .args(["sequences", "-count", SEQUENCES, "-b", env!("CARGO_BIN_EXE_vault-token-plugin"), "-a"])
        .arg(twin)
        .output()
        .unwrap_or_else(|error| panic!("cannot run the driver: {error}"));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("no difference"), "{said}");
}
