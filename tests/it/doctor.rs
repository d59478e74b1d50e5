//! `doctor`, and what packs and loads plugins, as people and programs see them.

use rustix::process::Signal;

use crate::dev_command::DevCommand;
use crate::lab::{Lab, assert_snapshot, executable_script, snapshot_text};

#[tokio::test]
async fn doctor_finds_the_development_host_healthy() {
    let command = DevCommand::new();
    let dev = command.start(&[]).await;
    let program = dev.client();
    assert_snapshot("doctor of dev", &command.snapshot_text(&program.run(["doctor"]).await));
    assert_snapshot(
        "doctor of dev --output json",
        &command.snapshot_text(&program.run(["doctor", "--output", "json"]).await),
    );
    assert_eq!(dev.signal_and_wait(Signal::TERM).await.0, Some(0));
}

#[tokio::test]
async fn doctor_names_what_is_wrong_and_the_cure() {
    let lab = Lab::with_registered_plugin().await;
    std::fs::remove_file(lab.plugin_directory().join(concat!("custom-plugin-", env!("CARGO_PKG_VERSION"))))
        .unwrap();
    let found = lab.program.run(["doctor"]).await;
    assert_eq!(found.code, Some(3), "{found:?}");
    assert!(found.stdout.contains("VTP-2") || found.stdout.contains("VTP-3"), "{}", found.stdout);
}

#[tokio::test]
async fn doctor_judges_files_and_explains_texts() {
    let lab = Lab::new().await;
    let no_plugin = executable_script(lab.program.home(), "no-plugin", "#!/bin/sh\nexit 1\n");
    let no_plugin = no_plugin.to_str().unwrap();
    assert_snapshot(
        "doctor of no plugin",
        &lab.snapshot_text(&lab.program.run(["doctor", "--binary", no_plugin]).await),
    );
    let json = ["doctor", "--binary", no_plugin, "--output", "json"];
    assert_snapshot("doctor of no plugin --output json", &lab.snapshot_text(&lab.program.run(json).await));
    let text = "error fetching plugin: checksums did not match";
    assert_snapshot(
        "doctor --explain",
        &lab.snapshot_text(&lab.program.run(["doctor", "--explain", text]).await),
    );
    let page = ["doctor", "--explain", "VTP-301"];
    assert_snapshot("doctor --explain of a finding", &lab.snapshot_text(&lab.program.run(page).await));
    let unknown = ["doctor", "--explain", "vtp-999"];
    assert_snapshot(
        "doctor --explain of a finding that is none",
        &lab.snapshot_text(&lab.program.run(unknown).await),
    );
    let nothing = ["doctor", "--explain", "all is well"];
    assert_snapshot("doctor --explain of nothing", &lab.snapshot_text(&lab.program.run(nothing).await));
}

#[tokio::test]
async fn package_refuses_what_no_image_can_run() {
    let lab = Lab::new().await;
    let own = [(lab.program.home().display().to_string(), "<home>")];
    let text = executable_script(lab.program.home(), "text-1.0.0", "no program\n");
    for (name, file) in
        [("package of a text", text.to_str().unwrap()), ("package of a dynamic binary", "/bin/true")]
    {
        let args = ["package", file, "--layout", "layout"];
        assert_snapshot(name, &snapshot_text(&lab.program.run(args).await, &own));
        let json = [&args[..], &["--output", "json"]].concat();
        assert_snapshot(&format!("{name} --output json"), &snapshot_text(&lab.program.run(json).await, &own));
        assert!(!lab.program.home().join("layout").exists());
    }
}

#[tokio::test]
async fn loader_says_what_it_cannot_load_into() {
    let lab = Lab::new().await;
    let from = lab.program.home().join("from");
    std::fs::create_dir(&from).unwrap();
    let own = [(lab.program.home().display().to_string(), "<home>")];
    let args = ["loader", "--from", from.to_str().unwrap(), "--to", "/nowhere"];
    assert_snapshot("loader of nothing", &snapshot_text(&lab.program.run(args).await, &own));
    let json = [&args[..], &["--output", "json"]].concat();
    assert_snapshot("loader of nothing --output json", &snapshot_text(&lab.program.run(json).await, &own));
}
