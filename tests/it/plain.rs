//! The commands that need nothing.

use harness::Program;

use crate::lab::{BINARY, assert_seen, seen};

#[tokio::test]
async fn the_version_is_told_to_people_and_pipelines() {
    let program = Program::new(BINARY);
    assert_seen("version", &seen(&program.run(["version"]).await, &[]));
    assert_seen("version --output json", &seen(&program.run(["version", "--output", "json"]).await, &[]));
}

#[tokio::test]
async fn serve_by_hand_explains_itself() {
    assert_seen("serve by hand", &seen(&Program::new(BINARY).run(["serve"]).await, &[]));
}

#[tokio::test]
async fn every_shell_gets_its_script() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Program::new(BINARY).run(["completions", shell]).await.success();
        assert!(script.contains("vault-token-plugin"), "{shell}");
    }
    let unknown = Program::new(BINARY).run(["completions", "tcsh"]).await;
    assert_seen("completions of an unknown shell", &seen(&unknown, &[]));
}
