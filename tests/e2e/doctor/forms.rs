//! What build servers get, and what `--fix` does, on a server with something wrong.

use std::fs;

use harness::{build, set_mode};
use serde_json::{Value, json};

use super::{NEXT, VERSION, Ward};
use crate::lab::{BINARY, NAME};

#[tokio::test]
async fn a_build_server_and_a_fix() {
    let ward = Ward::healthy().await;
    let next = format!("v{NEXT}");
    let file = format!("{NAME}-{NEXT}");
    let binary = build::another_version(BINARY.as_ref(), env!("CARGO_PKG_VERSION"), NEXT, ward.lab.folder());
    ward.write(&file, &fs::read(binary).unwrap());
    ward.register_by_hand(NAME, &next, &file).await;
    ward.lab
        .vault
        .api("POST", "sys/mounts/custom/tune", Some(json!({"plugin_version": next})))
        .await
        .success();
    set_mode(ward.directory(), 0o777);

    let junit = ward.doctor.program.run(["doctor", "--format", "junit"]).await;
    assert_eq!(junit.code, Some(3), "{junit:?}");
    assert!(junit.stdout.contains("tests=\"2\" failures=\"2\""), "{}", junit.stdout);
    for id in ["VTP-204", "VTP-502"] {
        assert!(junit.stdout.contains(&format!("<testcase classname=\"{id}\"")), "{}", junit.stdout);
    }
    let sarif =
        ward.doctor.program.run(["doctor", "--format", "sarif", "--fail-on", "breaks-at-restart"]).await;
    let sarif: Value = sarif.json();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let named: Vec<&Value> = results.iter().map(|result| &result["ruleId"]).collect();
    assert_eq!(named, ["VTP-204", "VTP-502"], "both are risks: {sarif:#}");
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(named.iter().all(|id| rules.iter().any(|rule| rule["id"] == **id)));

    // The plan comes first, and only what a reload cures is in it.
    let fixed = ward.doctor.program.run(["doctor", "--fix", "--yes"]).await;
    assert_eq!(fixed.code, Some(3), "the directory is still open to everybody: {fixed:?}");
    assert!(fixed.stderr.contains("reload custom/"), "{}", fixed.stderr);
    assert!(!fixed.stdout.contains("VTP-502"), "{}", fixed.stdout);
    ward.cures("VTP-204").await;
    let mount = ward.lab.vault.api("GET", "sys/mounts/custom", None).await.success();
    assert_eq!(mount["data"]["running_plugin_version"], next.as_str(), "and not {VERSION}");
    let fixed = ward.doctor.program.run(["doctor", "--fix", "--yes"]).await.success();
    assert_eq!(fixed, "Healthy: nothing is wrong.\n");
}

/// Other commands show the finding, not only the server's words.
#[tokio::test]
async fn a_command_that_fails_shows_what_is_known() {
    let ward = Ward::healthy().await;
    let kept = ward.lab.folder().join("kept");
    fs::rename(ward.file(), &kept).unwrap();
    for arguments in
        [&["reload", "--mount", "custom", "--yes"][..], &["creds", "get", "custom/creds/developer"]]
    {
        if !ward.lab.vault.child_plugin_pids().is_empty() {
            ward.lab.kill_plugin().await;
        }
        let failed = ward.doctor.program.run(arguments).await;
        assert!(failed.code == Some(1) || failed.code == Some(5), "{failed:?}");
        assert!(failed.stderr.contains("VTP-301"), "{arguments:?}: {}", failed.stderr);
        assert!(failed.stderr.contains("docs/findings/VTP-301.md"), "{}", failed.stderr);
    }
}
