//! Several versions of a plugin, and plugins that are not ours.

use std::fs;

use harness::build;
use serde_json::json;

use crate::lab::{BINARY, Lab, NAME};

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[tokio::test]
async fn two_versions_run_side_by_side() {
    let next = build::highest_version(VERSION);
    let lab = Lab::with_registered_plugin(&["old"], "1h").await;
    let binary = build::with_next_version(BINARY.as_ref(), VERSION, lab.folder());
    let report = lab.register(&lab.description_of(&binary, &["new"], "1h")).await.json();
    assert_eq!(report["version"], next.as_str());

    let mounts = lab.vault.request("GET", "sys/mounts", None).await.success();
    for (mount, version) in [("old", VERSION), ("new", next.as_str())] {
        let credential = lab.read_credential(mount).await;
        assert!(lab.is_live(&lab.upstream_id(&credential)));
        assert_eq!(mounts[format!("{mount}/")]["running_plugin_version"], format!("v{version}"));
    }
    let mut running: Vec<String> = lab.vault.child_plugin_pids().into_iter().map(executable).collect();
    running.sort_unstable();
    assert_eq!(running, [format!("{NAME}-{VERSION}"), format!("{NAME}-{next}")]);
}

#[tokio::test]
async fn a_go_plugin_is_registered_like_ours_and_once() {
    let lab = Lab::new().await;
    let description = format!(
        "{}mounts: [{{path: notes, write: {{one: {{text: kept}}}}}}]\n",
        go_plugin(&lab, "go-kv").await
    );
    let report = lab.register(&description).await.json();
    assert_eq!((&report["result"], &report["version"]), (&json!("done"), &json!("0.25.0")), "{report}");

    assert_eq!(lab.vault.cli(["read", "-field=text", "notes/one"]).await.success(), "kept");
    let running: Vec<String> = lab.vault.child_plugin_pids().into_iter().map(executable).collect();
    assert_eq!(running, ["go-kv-0.25.0"]);

    let again = lab.register(&description).await.json();
    assert_eq!(again["result"], "nothing_to_do", "{again}");
}

#[tokio::test]
async fn a_builtin_that_runs_under_the_name_and_version_of_a_plugin_is_not_taken_for_it() {
    let lab = Lab::new().await;
    let plugin = go_plugin(&lab, "kv").await;
    lab.register(&plugin).await.success();
    let pin = json!({"version": "v0.25.0"});
    lab.vault.request("PUT", "sys/plugins/pins/secret/kv", Some(pin)).await.success();

    // Vault says that the mount runs v0.25.0, and runs its own kv; only the checksum is missing.
    let output = lab.register(&format!("{plugin}mounts: [{{path: notes}}]\n")).await;
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("notes/ does not run the version that was mounted"), "{}", output.stderr);
    assert_eq!(lab.vault.request("GET", "sys/mounts/notes", None).await.status, 400);
}

/// The description of a real Go plugin, without mounts.
async fn go_plugin(lab: &Lab, name: &str) -> String {
    format!(
        "plugin: {{name: {name}, type: secret, binary: {}}}\ndeployment: {{local: {{plugin_dir: {}}}}}\n",
        build::go_kv("v0.25.0").await.display(),
        lab.vault.plugin_directory().display(),
    )
}

/// Name of the file that a process runs.
fn executable(pid: u32) -> String {
    let path = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    path.file_name().unwrap().to_str().unwrap().to_owned()
}
