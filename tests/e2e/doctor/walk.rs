//! Five failures at once, and somebody who knows nothing but the README.

use std::fs;
use std::path::Path;

use harness::{Doctor, build, set_mode};
use serde_json::json;

use super::{NEXT, TRIAL, Ward};
use crate::lab::{BINARY, NAME};

/// As often as a person would look again.
const LOOKS: usize = 5;

#[tokio::test]
async fn a_newcomer_cures_five_failures_with_what_doctor_prints() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    assert!(readme.contains("vault-token-plugin doctor"), "the README names the command");

    let ward = Ward::healthy().await;
    let next = format!("v{NEXT}");
    let file = format!("{NAME}-{NEXT}");
    let binary = build::another_version(BINARY.as_ref(), env!("CARGO_PKG_VERSION"), NEXT, ward.lab.folder());
    ward.write(&file, &fs::read(binary).unwrap());
    ward.register_by_hand(NAME, &next, &file).await;
    let vault = &ward.lab.vault;
    let trial = json!({"type": NAME, "config": {"plugin_version": next}});
    vault.api("POST", &format!("sys/mounts/{TRIAL}{NAME}"), Some(trial)).await.success();
    vault.api("POST", "sys/mounts/custom/tune", Some(json!({"plugin_version": next}))).await.success();
    ward.write("lost-1.0.0", b"#!/bin/sh\n");
    ward.register_by_hand("lost", "v1.0.0", "lost-1.0.0").await;
    fs::remove_file(ward.directory().join("lost-1.0.0")).unwrap();
    set_mode(&ward.directory().join(&file), 0o644);
    set_mode(ward.directory(), 0o777);

    let mut met = Vec::new();
    for look in 0.. {
        let output = ward.doctor(&[]).await;
        let findings = Doctor::findings(&output);
        if findings.is_empty() {
            break;
        }
        assert!(look < LOOKS, "still {findings:#?}");
        for finding in findings {
            met.push(finding["id"].as_str().unwrap().to_owned());
            for command in finding["commands"].as_array().unwrap() {
                // One cure may come too early, before that of another finding, and helps at the next look.
                let _ended = ward.doctor.shell.run(["-c", command.as_str().unwrap()]).await;
            }
        }
    }
    ward.is_healthy().await;
    met.sort();
    met.dedup();
    assert_eq!(met, ["VTP-204", "VTP-301", "VTP-304", "VTP-502", "VTP-507"]);
    assert!(ward.lab.read_credential("custom").await["lease_id"].is_string());
}
