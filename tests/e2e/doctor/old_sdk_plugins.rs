//! Plugins that were built with old releases of the official SDK.

use std::fs;

use harness::{DoctorRunner, build};
use rollout::Binary;
use serde_json::json;

use super::DoctoredServer;
use crate::lab::{BINARY, Lab};

fn doctor() -> DoctorRunner {
    DoctorRunner::new(BINARY, &[], &[], |program| program)
}

#[tokio::test]
async fn vtp_106_and_vtp_108_a_plugin_that_reports_no_version_and_is_not_multiplexed() {
    let old = build::go_sdk("v0.7.0").await;
    doctor().assert_finds(&["VTP-106", "VTP-108"], &["--binary", old.to_str().unwrap()]).await;
}

#[tokio::test]
async fn vtp_105_a_plugin_of_an_sdk_that_is_too_old() {
    let oldest = build::go_sdk("v0.1.13").await;
    doctor().assert_finds(&["VTP-105"], &["--binary", oldest.to_str().unwrap()]).await;
}

#[tokio::test]
async fn a_plugin_that_reports_its_version_and_is_multiplexed_is_healthy() {
    let new = build::go_kv("v1.0.0").await;
    assert_eq!(doctor().run(&["--binary", new.to_str().unwrap()]).await.json()["healthy"], true);
}

#[tokio::test]
async fn vtp_506_a_mount_runs_no_version() {
    let old = build::go_sdk("v0.7.0").await;
    let server = DoctoredServer::from_lab(Lab::new().await);
    server.place("notes", &fs::read(&old).unwrap());
    let sha256 = Binary::read(&old, &mut |_, _| ()).unwrap().sha256;
    server.write("sys/plugins/catalog/secret/notes", json!({"sha256": sha256, "command": "notes"})).await;
    server.write("sys/mounts/notes", json!({"type": "notes"})).await;
    let findings = server.doctor.assert_finds(&["VTP-506"], &[]).await;
    assert!(
        findings[0]["remediation"].as_str().unwrap().contains("`vault-token-plugin upgrade`"),
        "{findings:?}"
    );
    let upgrade =
        format!("vault-token-plugin upgrade notes --binary {} --version 1.0.0 --yes", old.display());
    server.doctor.run_in_shell(&upgrade).await;
    // The entry without a version is what is left of it, and in the way of the next mount.
    server.doctor.assert_fixed_by_commands("VTP-306").await;
}
