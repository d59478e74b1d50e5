//! Which mounts of a server do not work on another one.

use std::fs;

use harness::{DoctorRunner, Product, VaultServer};
use serde_json::{Value, json};

use super::{DoctoredServer, NEXT_VERSION, VERSION, on_shared_server};

/// Saves the catalog of a server with its command line, and diagnoses a move to it.
async fn diagnose_move(server: &DoctoredServer, target: &VaultServer) -> Vec<Value> {
    let catalog = target.cli(["read", "-format=json", "sys/plugins/catalog"]).await.success();
    let file = server.lab.folder().join("catalog.json");
    fs::write(&file, catalog).unwrap();
    let flags = ["--target-catalog", file.to_str().unwrap()];
    DoctorRunner::findings(&server.doctor.run(&flags).await)
}

fn summary(findings: &[Value]) -> Vec<(&str, &str)> {
    findings.iter().map(|it| (it["id"].as_str().unwrap(), it["subject"].as_str().unwrap())).collect()
}

#[test]
fn vtp_551_the_target_server_lacks_the_plugin_of_a_mount() {
    on_shared_server(async |server| {
        let target = VaultServer::builder().product(Product::OpenBao).start().await;
        // Both servers have it built in.
        server.write("sys/mounts/notes", json!({"type": "kv"})).await;
        let findings = diagnose_move(server, &target).await;
        assert_eq!(summary(&findings), [("VTP-551", "custom/")]);
        let evidence = findings[0]["evidence"].as_str().unwrap();
        assert!(evidence.contains("the target's catalog does not list"), "{evidence}");
        server.lab.vault.request("DELETE", "sys/mounts/notes", None).await.success();

        assert_eq!(summary(&diagnose_move(server, &server.lab.vault).await), []);
    });
}

#[tokio::test]
async fn vtp_552_the_target_server_lacks_the_version_of_a_mount() {
    let target = DoctoredServer::healthy().await;
    let server = DoctoredServer::with_next_version().await;
    let findings = diagnose_move(&server, &target.lab.vault).await;
    assert_eq!(summary(&findings), [("VTP-552", "custom/")]);
    let evidence = findings[0]["evidence"].as_str().unwrap();
    assert!(evidence.contains(NEXT_VERSION) && evidence.contains(VERSION), "{evidence}");
}

#[test]
fn a_file_that_is_not_a_catalog_is_refused() {
    on_shared_server(async |server| {
        let file = server.lab.folder().join("list.json");
        fs::write(&file, r#"{"data":{"secret":["kv"]}}"#).unwrap();
        let output = server.doctor.run(&["--target-catalog", file.to_str().unwrap()]).await;
        assert_eq!(output.code, Some(2), "{output:?}");
        assert!(output.stderr.contains("bao read -format=json sys/plugins/catalog"), "{output:?}");
    });
}
