//! Five failures at once, for a user who has read only the README.

use std::fs;
use std::path::Path;

use harness::{DoctorRunner, set_mode};
use serde_json::json;

use super::{CANARY_MOUNT, DoctoredServer, NEXT_VERSION};
use crate::lab::NAME;

/// As often as a person would look again.
const MAX_DOCTOR_RUNS: usize = 5;

#[tokio::test]
async fn a_newcomer_cures_five_failures_with_what_doctor_prints() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    assert!(readme.contains("vault-token-plugin doctor"), "the README names the command");

    let server = DoctoredServer::healthy().await;
    server.register_next().await;
    let next = json!({"type": NAME, "config": {"plugin_version": format!("v{NEXT_VERSION}")}});
    server.write(&format!("sys/mounts/{CANARY_MOUNT}{NAME}"), next).await;
    server.tune_to(NEXT_VERSION).await;
    server.place("lost-1.0.0", b"#!/bin/sh\n");
    server.register_by_hand("lost", "v1.0.0", "lost-1.0.0").await;
    fs::remove_file(server.directory().join("lost-1.0.0")).unwrap();
    set_mode(&server.directory().join(format!("{NAME}-{NEXT_VERSION}")), 0o644);
    set_mode(server.directory(), 0o777);

    let mut met = Vec::new();
    for look in 0.. {
        let output = server.doctor.run(&[]).await;
        let findings = DoctorRunner::findings(&output);
        if findings.is_empty() {
            break;
        }
        assert!(look < MAX_DOCTOR_RUNS, "still {findings:#?}");
        for finding in findings {
            met.push(finding["id"].as_str().unwrap().to_owned());
            // In the order of the report, each of them does what it says.
            server.doctor.run_fix_commands(&finding, Path::new("FILE")).await;
        }
    }
    server.doctor.assert_healthy().await;
    met.sort();
    met.dedup();
    assert_eq!(met, ["VTP-204", "VTP-301", "VTP-304", "VTP-502", "VTP-507"]);
    assert!(server.lab.read_credential("custom").await["lease_id"].is_string());
}
