//! What a plugin declares sensitive is a secret, whatever the plugin and whatever the name of the field.

use std::fs;

use harness::{Output, build};

use crate::lab::Lab;

const SECRET: &str = "hunter2hunter2";

/// Registers the greeter with a greeting that `password` is written to, as YAML.
async fn register(lab: &Lab, password: &str) -> Output {
    let greeter = build::example_of_this_build("greeter");
    let text = format!(
        "plugin: {{name: greeter, binary: {}}}\nmounts:\n- path: hall\n  write:\n    \
         greetings/ann: {{text: hi, password: {password}}}\n",
        greeter.display()
    );
    fs::write(lab.program.home().join("greeter.yaml"), text).unwrap();
    lab.program.run(["register", "-f", "greeter.yaml"]).await
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
    let greeter = build::example_of_this_build("greeter");
    let command = ["register", "--name", "greeter", "--mount", "hall", "--binary", greeter.to_str().unwrap()];
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
