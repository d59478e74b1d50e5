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
    for words in
        ["VAULT_FORMAT is \"pretty\"", "Set VAULT_FORMAT to table, json or yaml", "-o human|json|yaml"]
    {
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

/// Habits of other tools, and the completion of a shell, put a file where the name of the plugin belongs.
#[tokio::test]
async fn a_file_in_place_of_a_plugins_name_is_a_usage_error_with_the_flag_that_takes_it() {
    let program = Program::new(BINARY);
    std::fs::write(program.home().join("my-plugin"), "").unwrap();
    std::fs::create_dir(program.home().join("layout")).unwrap();
    for (line, cure) in [
        (&["register", "./my-plugin"][..], "--binary ./my-plugin"),
        (&["register", "my-plugin"], "--binary ./my-plugin"),
        (&["upgrade", "./my-plugin"], "--binary ./my-plugin"),
        (&["upgrade", "my-plugin"], "--binary ./my-plugin"),
        (
            &["upgrade", "registry.example.com/team/my-plugin:1.2.3"],
            "--image registry.example.com/team/my-plugin:1.2.3",
        ),
        (&["upgrade", "--image", "my-plugin"], "--binary my-plugin"),
        (&["upgrade", "--image", "team/my-plugin:1.2.3"], "HOST/NAME:TAG"),
        (&["upgrade", "--binary", "my-plugin", "--image", "layout"], "Push the image to a registry"),
        (&["rollback", "./my-plugin"], "status"),
        (&["reload", "./my-plugin"], "status"),
        (&["deregister", "./my-plugin", "--all"], "status"),
        (&["gc", "./my-plugin"], "status"),
        (&["status", "./my-plugin"], "status"),
    ] {
        let output = program.run(line).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{line:?}: {output:?}");
        assert!(output.stderr.contains(cure), "{line:?}: {output:?}");
    }
}

#[tokio::test]
async fn flags_that_belong_to_something_else_are_usage_errors() {
    let program = Program::new(BINARY);
    for (line, words) in [
        (&["status", "-o", "junit"][..], "formats of `doctor` only"),
        (&["doctor", "--arg", "serve"], "--binary"),
        (&["rollback", "--image", "registry.example.com/a:1", "--allow-ephemeral"], "--allow-ephemeral"),
    ] {
        let output = program.run(line).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{line:?}: {output:?}");
        assert!(output.stderr.contains(words), "{line:?}: {output:?}");
    }
}
