//! From a binary to a working mount.

use crate::lab::{Lab, NAME};

#[tokio::test]
async fn the_catalog_and_the_mount_show_the_version_that_runs() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let version = format!("v{}", env!("CARGO_PKG_VERSION"));
    let listed = lab.vault.cli(["plugin", "list", "-detailed", "secret"]).await.success();
    let ours = listed.lines().find(|line| line.starts_with(NAME)).unwrap();
    assert!(ours.contains(&version), "{ours}");
    let mount = lab.vault.request("GET", "sys/mounts/custom", None).await.success();
    assert_eq!(mount["data"]["running_plugin_version"], version.as_str());
}

#[tokio::test]
async fn a_second_run_has_nothing_to_do_and_writes_nothing() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let before = lab.writes();
    let report = lab.register(&lab.description(&["custom"], "1h")).await;
    assert_eq!(report.code, Some(0), "{report:?}");
    assert_eq!(lab.writes(), before);
}
