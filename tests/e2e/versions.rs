//! Several versions of a plugin, and plugins that are not ours.

use std::fs;

use harness::build;
use serde_json::json;

use crate::lab::{BINARY, Lab, NAME};

const VERSION: &str = env!("CARGO_PKG_VERSION");

#[tokio::test]
async fn two_versions_run_side_by_side() {
    let next = VERSION.replace('.', "").chars().map(|_| "9").collect::<Vec<_>>().join(".");
    let lab = Lab::registered(&["old"], "1h").await;
    let binary = build::another_version(BINARY.as_ref(), VERSION, &next, lab.folder());
    let report = lab.register(&lab.description_of(&binary, &["new"], "1h")).await.json();
    assert_eq!(report["version"], next.as_str());

    let mounts = lab.vault.api("GET", "sys/mounts", None).await.success();
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
    let binary = build::go_kv("v0.25.0").await;
    let plugin = format!(
        "plugin: {{name: kv, type: secret, binary: {}}}\nsite: {{local: {{plugin_dir: {}}}}}\n",
        binary.display(),
        lab.vault.plugin_directory().display(),
    );
    // Vault runs another than its own kv only where that is pinned.
    let report = lab.register(&plugin).await.json();
    assert_eq!(report["version"], "0.25.0");
    let pin = json!({"version": "v0.25.0"});
    lab.vault.api("PUT", "sys/plugins/pins/secret/kv", Some(pin)).await.success();

    let mounted = format!("{plugin}mounts: [{{path: notes, write: {{one: {{text: kept}}}}}}]\n");
    let report = lab.register(&mounted).await.json();
    assert_eq!(report["result"], "done", "{report}");
    assert_eq!(lab.vault.cli(["read", "-field=text", "notes/one"]).await.success(), "kept");
    let running: Vec<String> = lab.vault.child_plugin_pids().into_iter().map(executable).collect();
    assert_eq!(running, ["kv-0.25.0"]);

    let again = lab.register(&mounted).await.json();
    assert_eq!(again["result"], "nothing_to_do", "{again}");
}

/// Name of the file that a process runs.
fn executable(pid: u32) -> String {
    let path = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    path.file_name().unwrap().to_str().unwrap().to_owned()
}
