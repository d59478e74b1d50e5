//! What a plugin declares sensitive is a secret, whatever the plugin and whatever the name of the field.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{Output, build};

use crate::lab::{Lab, executable_script};

const SECRET: &str = "hunter2hunter2";

/// Registers the greeter with a greeting that `password` is written to, as YAML.
async fn register(lab: &Lab, password: &str) -> Output {
    register_binary(lab, &build::prebuilt_example("greeter"), password).await
}

async fn register_binary(lab: &Lab, greeter: &Path, password: &str) -> Output {
    let text = format!(
        "plugin: {{name: greeter, binary: {}}}\nmounts:\n- path: hall\n  write:\n    \
         greetings/ann: {{text: hi, password: {password}}}\n",
        greeter.display()
    );
    fs::write(lab.program.home().join("greeter.yaml"), text).unwrap();
    let version: &[&str] = if greeter.ends_with("mute") { &["--version", "9.9.9"] } else { &[] };
    lab.program.run([&["register", "-f", "greeter.yaml"], version].concat()).await
}

#[tokio::test]
async fn a_sensitive_field_that_is_written_out_in_the_file_is_refused_before_anything_changes() {
    let lab = Lab::new().await;
    let output = register(&lab, SECRET).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("password of greetings/ann is written out in the file"), "{output:?}");
    assert!(output.stderr.contains("{file: ./path}"), "{output:?}");
    assert!(!format!("{output:?}").contains(SECRET));
    let mounts = lab.program.run(["status", "--output", "json"]).await.success();
    assert!(!mounts.contains("hall/"), "{mounts}");

    fs::write(lab.program.home().join("password"), SECRET).unwrap();
    let output = register(&lab, "{file: ./password}").await;
    assert!(!output.stderr.contains("Warning: password"), "{output:?}");
    output.success();
}

#[tokio::test]
async fn a_sensitive_field_that_is_written_out_on_the_command_line_warns_and_is_not_shown() {
    let lab = Lab::new().await;
    let greeter = build::prebuilt_example("greeter");
    let command = ["register", "greeter", "--mount", "hall", "--binary", greeter.to_str().unwrap()];
    let data = format!("password={SECRET}");
    let write = ["--write", "greetings/ann", &data, "--write", "greetings/ann", "text=hi"];
    let output = lab.program.run([&command[..], &write].concat()).await;
    let warning = "Warning: password of greetings/ann is a secret and is written out on the command line";
    assert!(output.stderr.contains(warning), "{output:?}");
    assert!(output.stderr.contains("password=@FILE"), "{output:?}");
    assert!(!output.stderr.contains("text of greetings/ann is a secret"), "{output:?}");
    assert!(!format!("{output:?}").contains(SECRET));
    output.success();
}

/// A program that cannot be asked what its fields are, as one for machines of another type cannot.
fn silent_program(lab: &Lab) -> PathBuf {
    executable_script(lab.program.home(), "mute", fs::read("/bin/true").unwrap())
}

#[tokio::test]
async fn a_mount_that_runs_says_which_fields_are_secrets_where_the_binary_does_not() {
    let lab = Lab::new().await;
    fs::write(lab.program.home().join("password"), SECRET).unwrap();
    register(&lab, "{file: ./password}").await.success();
    let mute = silent_program(&lab);

    let output = register_binary(&lab, &mute, SECRET).await;
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stderr.contains("password of greetings/ann is written out in the file"), "{output:?}");
    assert!(!format!("{output:?}").contains(SECRET));

    let data = format!("password={SECRET}");
    let output = lab.program.run([&flags(&mute)[..], &["--write", "greetings/ann", &data]].concat()).await;
    assert!(output.stderr.contains("password of greetings/ann is a secret"), "{output:?}");
    assert!(!output.stderr.contains(UNKNOWN_FIELDS_WARNING), "{output:?}");
    assert!(!format!("{output:?}").contains(SECRET));
}

#[tokio::test]
async fn where_nobody_says_which_fields_are_secrets_one_warning_says_so() {
    let lab = Lab::new().await;
    let mute = silent_program(&lab);
    let output = register_binary(&lab, &mute, "plain").await;
    assert_eq!(output.stderr.matches(UNKNOWN_FIELDS_WARNING).count(), 1, "{output:?}");
    // Nothing is written out, so there is nothing to warn of.
    fs::write(lab.program.home().join("password"), SECRET).unwrap();
    let write = ["--write", "greetings/ann", "password=@password"];
    let output = lab.program.run([&flags(&mute)[..], &write].concat()).await;
    assert!(!output.stderr.contains(UNKNOWN_FIELDS_WARNING), "{output:?}");
}

const UNKNOWN_FIELDS_WARNING: &str = "Warning: it is not known which fields of greeter are secrets";

/// Registers a binary that does not say its version.
fn flags(binary: &Path) -> [&str; 8] {
    let binary = binary.to_str().unwrap();
    ["register", "greeter", "--mount", "hall", "--version", "9.9.9", "--binary", binary]
}
