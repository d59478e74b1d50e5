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
async fn the_variable_of_vaults_command_line_sets_the_output_format() {
    let version = async |variable: &str, value: &str, flags: &[&str]| {
        Program::new(BINARY).env(variable, value).run([&["version"], flags].concat()).await
    };
    let human = Program::new(BINARY).run(["version"]).await.success();
    assert_eq!(version("VAULT_FORMAT", "table", &[]).await.success(), human);
    assert_eq!(version("VAULT_FORMAT", "json", &[]).await.json()["name"], "vault-token-plugin");
    assert!(version("BAO_FORMAT", "yaml", &[]).await.success().contains("name: vault-token-plugin\n"));
    assert_eq!(version("VAULT_FORMAT", "json", &["-o", "human"]).await.success(), human);

    let unknown = version("VAULT_FORMAT", "pretty", &[]).await;
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""), "{unknown:?}");
    for words in ["VAULT_FORMAT is \"pretty\"", "Set VAULT_FORMAT to table, json or yaml", "-o human|json|yaml"] {
        assert!(unknown.stderr.contains(words), "{unknown:?}");
    }
}

/// Vault starts a plugin with its own environment, and a shell reads completions when it starts.
#[tokio::test]
async fn a_wrong_output_format_keeps_neither_the_plugin_nor_the_shell_from_starting() {
    let program = Program::new(BINARY).env("VAULT_FORMAT", "nonsense");
    let served = program.run(["serve"]).await;
    assert!(served.stderr.contains("Vault or OpenBao start it"), "{served:?}");
    program.run(["completions", "bash"]).await.success();
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
