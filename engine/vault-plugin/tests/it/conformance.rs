//! What the Go SDK's own tests ask of its mock engine, asked of ours through the official client; and of Go's, so that it is
//! known to be what Go does.

use std::process::Command;

use harness::build::example_of_this_build;
use serde_json::Value;

#[tokio::test]
async fn the_official_client_finds_in_our_mock_what_it_finds_in_gos() {
    let driver = harness::build::go_driver().await;
    let ours = cases(Command::new(&driver).arg("conformance").arg(example_of_this_build("mock")));
    let go = cases(Command::new(&driver).arg("conformance").arg(&driver).arg("mock"));
    assert!(go.len() > 20, "{go:?}");
    assert_eq!(ours, go);
}

/// The names of the cases, all of which must hold.
fn cases(command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let case = |line: &str| serde_json::from_str::<Value>(line).unwrap()["case"].as_str().unwrap().to_owned();
    said.lines().map(case).collect()
}
