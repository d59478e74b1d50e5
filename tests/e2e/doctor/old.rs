//! A plugin of another time: it reports no version.

use std::fs;

use harness::{Doctor, build};
use rollout::Binary;
use serde_json::json;

use super::Ward;
use crate::lab::{BINARY, Lab};

/// VTP-106, VTP-108, VTP-506.
#[tokio::test]
async fn plugins_of_another_time() {
    let doctor = Doctor::new(BINARY, &[], &[], |program| program);
    let old = build::go_sdk("v0.7.0").await;
    doctor.finds(&["VTP-106", "VTP-108"], &[old.to_str().unwrap()]).await;
    let oldest = build::go_sdk("v0.1.13").await;
    doctor.finds(&["VTP-105"], &[oldest.to_str().unwrap()]).await;
    // One that reports its version, and is served with ServeMultiplex.
    let new = build::go_kv("v1.0.0").await;
    assert_eq!(doctor.run(&[new.to_str().unwrap()]).await.json()["healthy"], true);

    let ward = Ward::of(Lab::new().await);
    ward.write("notes", &fs::read(&old).unwrap());
    let sha256 = Binary::read(&old, &mut |_, _| ()).unwrap().sha256;
    let entry = json!({"sha256": sha256, "command": "notes"});
    ward.lab.vault.api("POST", "sys/plugins/catalog/secret/notes", Some(entry)).await.success();
    ward.lab.vault.api("POST", "sys/mounts/notes", Some(json!({"type": "notes"}))).await.success();
    let findings = ward.finds(&["VTP-506"], &[]).await;
    assert!(findings[0]["cure"].as_str().unwrap().contains("`vault-token-plugin upgrade`"), "{findings:?}");
    let upgrade = format!("vault-token-plugin upgrade {} --name notes --version 1.0.0 --yes", old.display());
    ward.doctor.in_shell(&upgrade).await;
    // The entry without a version is what is left of it, and in the way of the next mount.
    ward.cures("VTP-306").await;
}
