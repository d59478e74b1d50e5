//! Entries that no request can create any more, but that the storage of an old server may contain.

use harness::Storage;
use serde_json::{Value, json};

use super::known_messages::command_in;
use super::{DoctoredServer, NEXT_VERSION, PLUGIN_FILE, VERSION, on_shared_server};
use crate::lab::{Lab, NAME};

#[test]
fn vtp_305_an_entry_without_a_checksum() {
    on_shared_server(async |server| {
        let entry = format!("core/plugin-catalog/secret/{NAME}/{VERSION}");
        let mut stored = server.lab.vault.read_raw_storage(&entry).await.unwrap();
        stored["sha256"] = Value::Null;
        server.lab.vault.write_raw_storage(&entry, &stored).await;
        server.doctor.assert_finds(&["VTP-305"], &[]).await;
        server.register_by_hand(NAME, VERSION, PLUGIN_FILE).await;
        server.doctor.assert_healthy().await;
    });
}

#[test]
fn vtp_402_a_pin_to_a_version_that_is_not_registered() {
    on_shared_server(async |server| {
        server.register_next().await;
        let next = format!("v{NEXT_VERSION}");
        server.write(&format!("sys/plugins/pins/secret/{NAME}"), json!({"version": next})).await;
        let entry = format!("sys/raw/core/plugin-catalog/secret/{NAME}/{next}");
        server.lab.vault.request("DELETE", &entry, None).await.success();
        server.doctor.assert_fixed_by_commands("VTP-402").await;
    });
}

#[tokio::test]
async fn vtp_651_a_lease_that_could_not_be_revoked() {
    let lab = Lab::with_storage(Storage::Raft).await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    let mut server = DoctoredServer::from_lab(lab);
    // Vault marks a lease like this after six attempts, which take hours.
    let credential = server.lab.read_credential("custom").await;
    let lease = credential["lease_id"].as_str().unwrap();
    let entry = format!("sys/expire/id/{lease}");
    let mut stored = server.lab.vault.read_raw_storage(&entry).await.unwrap();
    stored["revokeErr"] = json!("lease has consumed all retry attempts");
    server.lab.vault.write_raw_storage(&entry, &stored).await;
    server.lab.vault.restart().await;
    let findings = server.doctor.assert_finds(&["VTP-651"], &[]).await;
    let cure = &findings[0]["remediation"];
    let named = server.doctor.run_in_shell(command_in(cure)).await;
    assert!(named.contains(lease), "{named}");
    let revoke = cure.as_str().unwrap().split('`').nth(3).unwrap();
    server.doctor.run_in_shell(&revoke.replace("LEASE_ID", lease)).await;
    server.doctor.assert_healthy().await;
    assert!(server.lab.upstream.live().is_empty(), "the credential is gone");
}
