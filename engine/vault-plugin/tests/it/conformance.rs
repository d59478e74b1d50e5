//! What the Go SDK's own tests ask of its mock engine, asked of ours through the official client; and of Go's, so that it is
//! known to be what Go does.

use std::path::PathBuf;

use harness::Program;
use harness::build::{go_driver, prebuilt_example};
use serde_json::Value;

#[tokio::test]
async fn the_official_client_finds_in_our_mock_what_it_finds_in_gos() {
    let ours = cases(&[prebuilt_example("mock")]).await;
    let go = cases(&[go_driver().await, "mock".into()]).await;
    assert!(go.len() > 20, "{go:?}");
    assert_eq!(ours, go);
}

/// The names of the cases, all of which must hold for this plugin.
async fn cases(plugin: &[PathBuf]) -> Vec<String> {
    let driver = Program::new(go_driver().await);
    let said = driver.run(["conformance".into()].iter().chain(plugin)).await.success();
    let case = |line: &str| serde_json::from_str::<Value>(line).unwrap()["case"].as_str().unwrap().to_owned();
    said.lines().map(case).collect()
}
