//! The commands that need nothing.

use harness::Program;

use crate::lab::{BINARY, assert_snapshot, snapshot_text};

#[tokio::test]
async fn the_version_is_told_to_people_and_pipelines() {
    let program = Program::new(BINARY);
    assert_snapshot("version", &snapshot_text(&program.run(["version"]).await, &[]));
    assert_snapshot(
        "version --output json",
        &snapshot_text(&program.run(["version", "--output", "json"]).await, &[]),
    );
}

#[tokio::test]
async fn serve_by_hand_explains_itself() {
    assert_snapshot("serve by hand", &snapshot_text(&Program::new(BINARY).run(["serve"]).await, &[]));
}

#[tokio::test]
async fn every_shell_gets_its_script() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Program::new(BINARY).run(["completions", shell]).await.success();
        assert!(script.contains("vault-token-plugin"), "{shell}");
    }
    let unknown = Program::new(BINARY).run(["completions", "tcsh"]).await;
    assert_snapshot("completions of an unknown shell", &snapshot_text(&unknown, &[]));
}
