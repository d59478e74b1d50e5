//! Runs the cases of the Go SDK's own tests with the official client: on our mock engine, and on that of Go to verify the
//! cases.

use std::path::PathBuf;

use harness::Program;
use harness::build::{go_driver, prebuilt_example};
use serde_json::Value;

#[tokio::test]
async fn the_official_client_gets_the_same_results_from_our_mock_and_from_gos() {
    let ours = cases(&[prebuilt_example("mock")]).await;
    let go = cases(&[go_driver().await, "mock".into()]).await;
    assert!(go.len() > 20, "{go:?}");
    assert_eq!(ours, go);
}

/// Runs all cases on a plugin, and returns their names.
async fn cases(plugin: &[PathBuf]) -> Vec<String> {
    let driver = Program::new(go_driver().await);
    let output = driver.run(["conformance".into()].iter().chain(plugin)).await.success();
    let case = |line: &str| serde_json::from_str::<Value>(line).unwrap()["case"].as_str().unwrap().to_owned();
    output.lines().map(case).collect()
}
