//! Documents for build servers, `--fix`, and what other commands say of a finding.

use std::fs;

use harness::set_mode;
use serde_json::Value;

use super::{DoctoredServer, NEXT_VERSION};

impl DoctoredServer {
    /// A server with VTP-204 and VTP-502.
    async fn with_two_findings() -> DoctoredServer {
        let server = DoctoredServer::healthy().await;
        server.register_next().await;
        server.tune_to(NEXT_VERSION).await;
        set_mode(server.directory(), 0o777);
        server
    }
}

#[tokio::test]
async fn a_build_server_gets_every_finding_in_its_own_form() {
    let server = DoctoredServer::with_two_findings().await;
    let junit = server.doctor.program.run(["doctor", "-o", "junit"]).await;
    assert_eq!(junit.code, Some(3), "{junit:?}");
    assert!(junit.stdout.contains("tests=\"2\" failures=\"2\""), "{}", junit.stdout);
    for id in ["VTP-204", "VTP-502"] {
        assert!(junit.stdout.contains(&format!("<testcase classname=\"{id}\"")), "{}", junit.stdout);
    }

    let sarif = ["doctor", "-o", "sarif", "--fail-on", "breaks-at-restart"];
    let sarif: Value = server.doctor.program.run(sarif).await.json();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let named: Vec<&Value> = results.iter().map(|result| &result["ruleId"]).collect();
    assert_eq!(named, ["VTP-204", "VTP-502"], "both are risks: {sarif:#}");
    let rules = sarif["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert!(named.iter().all(|id| rules.iter().any(|rule| rule["id"] == **id)));
}

#[tokio::test]
async fn a_fix_shows_its_plan_and_does_only_what_a_reload_cures() {
    let server = DoctoredServer::with_two_findings().await;
    let fixed = server.doctor.program.run(["doctor", "--fix", "--yes"]).await;
    assert_eq!(fixed.code, Some(3), "the directory is still open to everybody: {fixed:?}");
    assert!(fixed.stderr.contains("reload custom/"), "{}", fixed.stderr);
    assert!(!fixed.stdout.contains("VTP-502"), "{}", fixed.stdout);
    server.doctor.assert_fixed_by_commands("VTP-204").await;
    let mount = server.lab.vault.request("GET", "sys/mounts/custom", None).await.success();
    assert_eq!(mount["data"]["running_plugin_version"], format!("v{NEXT_VERSION}"));
    let fixed = server.doctor.program.run(["doctor", "--fix", "--yes"]).await.success();
    assert_eq!(fixed, "Healthy: nothing is wrong.\n");
}

/// Runs a command on a server whose plugin has ended and whose file is missing. It must end with this exit code and name the
/// finding.
async fn assert_fails_with_finding(code: i32, command: &[&str]) {
    let server = DoctoredServer::healthy().await;
    server.lab.kill_plugin().await;
    fs::remove_file(server.file()).unwrap();
    server.wait_plugin_missed().await;
    let failed = server.doctor.program.run(command).await;
    assert_eq!(failed.code, Some(code), "{failed:?}");
    assert!(failed.stderr.contains("VTP-301"), "{}", failed.stderr);
    assert!(failed.stderr.contains("vault-token-plugin doctor --explain VTP-301"), "{}", failed.stderr);
}

#[tokio::test]
async fn a_credential_that_cannot_be_read_names_the_finding() {
    assert_fails_with_finding(1, &["creds", "get", "custom/creds/developer"]).await;
}

/// The server was told to reload and did not, so what the mount runs is for a person to find out.
#[tokio::test]
async fn a_reload_that_fails_names_the_finding() {
    assert_fails_with_finding(5, &["reload", "--mount", "custom", "--yes"]).await;
}
