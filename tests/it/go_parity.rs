//! The engine compared with its Go twin: the same generated requests, and everything that is observable of them.

use harness::{Program, build};

use crate::lab::BINARY;

/// A few hundred requests of every kind; `tests/differential` sends a million.
const SEQUENCE_COUNT: &str = "150";

#[tokio::test]
async fn the_engine_does_what_its_go_twin_does() {
    let twin = build::go_twin().await;
    let driver = Program::new(build::go_driver().await);
    let args = ["sequences", "-count", SEQUENCE_COUNT, "-b", BINARY, "-a", twin.to_str().unwrap()];
    let said = driver.run(args).await.success();
    assert!(said.contains("no difference"), "{said}");
}
