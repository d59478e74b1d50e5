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

#[tokio::test]
async fn path_help_and_openapi_describe_every_path() {
    let lab = Lab::with_registered_plugin(&["custom"], "1h").await;
    let help = lab.vault.cli(["path-help", "custom"]).await.success();
    for path in ["config", "creds/", "roles/"] {
        assert!(help.contains(path), "{path} is missing in {help}");
    }
    let document = lab.vault.request("GET", "sys/internal/specs/openapi", None).await.success();
    for path in ["/custom/config", "/custom/creds/{name}", "/custom/roles/{name}"] {
        assert!(document["paths"].get(path).is_some(), "{path} is missing");
    }
}
