//! `presets`, and the flag `--preset` of `register` and `dev`.

use std::fs;

use harness::{Output, Program, build};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::dev_command::DevCommand;
use crate::lab::{BINARY, Lab, assert_snapshot, client, send_raw, snapshot_text};

#[tokio::test]
async fn the_presets_are_listed_with_what_they_issue_and_how_they_were_tested() {
    let program = Program::new(BINARY);
    let listed = program.run(["presets"]).await;
    assert_snapshot("presets", &snapshot_text(&listed, &[]));
    assert!(listed.stdout.lines().all(|line| line.chars().count() <= 80), "{}", listed.stdout);

    let document = program.run(["presets", "-o", "json"]).await.json();
    assert_eq!(document["schema_version"], 2);
    let presets = document["presets"].as_array().unwrap();
    assert!(presets.len() >= 25, "{document}");
    let jupyterhub = presets.iter().find(|preset| preset["name"] == "jupyterhub").unwrap();
    let keys: Vec<&String> = jupyterhub.as_object().unwrap().keys().collect();
    let expected =
        ["documentation", "issues", "name", "rotate_root", "status", "tested_with", "unverified_because"];
    assert_eq!(keys, expected);
    assert_eq!(jupyterhub["rotate_root"], true);
    assert_eq!(jupyterhub["status"], "tested");
    assert!(program.run(["presets", "-o", "yaml"]).await.success().contains("- name: jupyterhub\n"));
}

#[tokio::test]
async fn a_preset_is_shown_with_its_fields_and_the_commands_to_paste() {
    let program = Program::new(BINARY);
    for name in ["keystone", "oauth2", "harbor"] {
        let shown = program.run(["presets", name]).await;
        assert_snapshot(&format!("presets {name}"), &snapshot_text(&shown, &[]));
    }
    let shown = program.run(["presets", "keystone", "-o", "json"]).await;
    assert_snapshot("presets keystone --output json", &snapshot_text(&shown, &[]));
}

#[tokio::test]
async fn a_misspelt_preset_is_a_usage_error_with_the_nearest_name() {
    let program = Program::new(BINARY);
    for line in [
        &["presets", "jupiterhub"][..],
        &["register", "--preset", "jupiterhub"],
        &["dev", "--preset", "jupiterhub"],
    ] {
        let output = program.run(line).await;
        assert_eq!((output.code, output.stdout.as_str()), (Some(2), ""), "{line:?}: {output:?}");
        assert!(output.stderr.contains("a similar value exists: 'jupyterhub'"), "{line:?}: {output:?}");
    }
}

/// Runs `register custom-plugin --mount custom --preset PRESET`.
async fn register(lab: &Lab, preset: &str, flags: &[&str]) -> Output {
    let command = ["register", "custom-plugin", "--mount", "custom", "--preset", preset];
    lab.program.run([&command[..], flags].concat()).await
}

async fn assert_unchanged(lab: &Lab) {
    let status = lab.program.run(["status", "-o", "json"]).await.json();
    assert!(status["mounts"].get("custom/").is_none(), "{status}");
    assert_eq!(fs::read_dir(lab.plugin_directory()).unwrap().count(), 0);
}

#[tokio::test]
async fn register_with_a_preset_configures_it_and_a_second_run_has_nothing_to_do() {
    let lab = Lab::new().await;
    let endpoint = format!("api_endpoint={}", lab.upstream.endpoint());
    let flags = [
        "--config",
        &*endpoint,
        "--config",
        "api_key=@api-key",
        "--role",
        "developer:permissions=read",
        "--smoke",
        "creds/developer",
    ];
    register(&lab, "tokens", &flags).await.success();
    let again = register(&lab, "tokens", &flags).await;
    assert!(again.stdout.starts_with("Nothing to do"), "{again:?}");
}

#[tokio::test]
async fn register_with_a_preset_names_what_is_missing_before_anything_changes() {
    let lab = Lab::new().await;
    let flags = ["--config", "parameters.user_id=ada", "--role", "developer:parameters.rolls=[]"];
    let output = register(&lab, "keystone", &flags).await;
    assert_snapshot("register --preset with a misspelt parameter", &lab.snapshot_text(&output));
    let output = register(&lab, "jupyterhub", &["--role", "developer:ttl=1h"]).await;
    assert_snapshot("register --preset without what it requires", &lab.snapshot_text(&output));
    assert_unchanged(&lab).await;
}

#[tokio::test]
async fn a_preset_is_refused_for_a_plugin_that_has_none() {
    let lab = Lab::new().await;
    let greeter = build::prebuilt_example("greeter");
    let output = register(&lab, "jupyterhub", &["--binary", greeter.to_str().unwrap()]).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(
        output.stderr.contains("--preset is for the token engine, and custom-plugin has no presets"),
        "{output:?}"
    );
    assert_unchanged(&lab).await;
    let output =
        DevCommand::new().run(&["--binary", greeter.to_str().unwrap(), "--preset", "jupyterhub"]).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(
        output.stderr.contains("--preset is for the token engine, and greeter has no presets"),
        "{output:?}"
    );
}

/// A build of the token engine for other machines is another file.
#[tokio::test]
async fn a_preset_is_accepted_for_the_token_engine_in_another_file() {
    let lab = Lab::new().await;
    let copy = lab.file("copy");
    fs::copy(BINARY, &copy).unwrap();
    let flags = ["--binary", "copy", "--arg", "serve", "--config", "api_key=@api-key"];
    let output = register(&lab, "jupyterhub", &flags).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(
        output.stderr.contains("the preset jupyterhub requires fields that are missing: config api_endpoint"),
        "{output:?}"
    );
}

#[tokio::test]
async fn only_the_secret_parameters_of_a_preset_are_warned_about_on_the_command_line() {
    let lab = Lab::new().await;
    let connection =
        ["--config", "api_endpoint=http://127.0.0.1:1", "--config", "api_key=@api-key", "--dry-run"];
    let public = ["--config", "parameters.user_id=a", "--config", "parameters.project_id=b"];
    let output = register(&lab, "keystone", &[&connection[..], &public].concat()).await;
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(!output.stderr.contains("is a secret"), "{output:?}");
    let secret = ["--config", "parameters.datadog_api_key=hunter2"];
    let output = register(&lab, "datadog", &[&connection[..], &secret].concat()).await;
    assert_eq!(output.code, Some(3), "{output:?}");
    assert!(output.stderr.contains("parameters.datadog_api_key of config is a secret"), "{output:?}");
    assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
}

#[tokio::test]
async fn parameters_of_a_file_are_texts_unless_the_preset_says_that_they_are_secrets() {
    let lab = Lab::new().await;
    let dry_run = async |config: &str| {
        let text = format!(
            "plugin: {{name: custom-plugin, args: [serve]}}\nmounts:\n- path: custom\n  write:\n    config: \
             {{api_endpoint: 'http://127.0.0.1:1', api_key: {{file: api-key}}, {config}}}\n"
        );
        fs::write(lab.file("preset.yaml"), text).unwrap();
        lab.program.run(["register", "-f", "preset.yaml", "--dry-run"]).await
    };
    let output = dry_run("preset: keystone, parameters: {user_id: a, project_id: b}").await;
    assert_eq!(output.code, Some(3), "{output:?}");
    let output = dry_run("preset: datadog, parameters: {datadog_api_key: {file: api-key}}").await;
    assert_eq!(output.code, Some(3), "{output:?}");
    let output = dry_run("preset: datadog, parameters: {datadog_api_key: hunter2}").await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("datadog_api_key of config is a secret"), "{output:?}");
    assert!(!format!("{output:?}").contains("hunter2"), "{output:?}");
}

#[tokio::test]
async fn dev_with_a_preset_says_which_flags_are_missing_and_starts_no_sample_service() {
    let dev = DevCommand::new();
    let output = dev.run(&["--preset", "keystone"]).await;
    assert_snapshot("dev --preset without an endpoint", &dev.snapshot_text(&output));
}

#[tokio::test]
async fn dev_with_a_preset_configures_it() {
    let dev = DevCommand::new();
    fs::write(dev.program.home().join("key"), "x").unwrap();
    let flags = [
        "--preset",
        "jupyterhub",
        "--config",
        "api_endpoint=http://127.0.0.1:1",
        "--config",
        "api_key=@key",
        "--role",
        "developer:parameters.user=ada",
    ];
    let running = dev.start(&flags).await;
    assert_eq!(running.ready.get("upstream"), None);
    let client = client(running.field("address"), running.field("token"));
    let (_, config) = send_raw(&client, "GET", "custom/config", Value::Null).await;
    assert_eq!(config["data"]["preset"], "jupyterhub", "{config}");
    let (_, role) = send_raw(&client, "GET", "custom/roles/developer", Value::Null).await;
    assert_eq!(role["data"]["parameters"], json!({"user": "ada"}), "{role}");
    let (code, stderr) = running.signal_and_wait(Signal::INT).await;
    assert_eq!(code, Some(0), "{stderr}");
}

#[tokio::test]
async fn shells_complete_the_names_of_presets() {
    for shell in ["bash", "zsh", "fish"] {
        let script = Program::new(BINARY).run(["completions", shell]).await.success();
        assert!(script.contains("jupyterhub"), "{shell}");
    }
}
