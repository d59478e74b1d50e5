//! What cannot be asked of a server any more, and still stands in the storage of one that has been there for years.

use harness::Storage;
use serde_json::{Value, json};

use super::words::command_in;
use super::{FILE, NEXT, VERSION, Ward, build};
use crate::lab::{BINARY, Lab, NAME};

/// VTP-305, VTP-402, VTP-651.
#[tokio::test]
async fn what_older_servers_and_long_troubles_leave_in_storage() {
    let lab = Lab::on(Storage::Raft).await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    let mut ward = Ward::of(lab);
    ward.is_healthy().await;

    let entry = format!("core/plugin-catalog/secret/{NAME}/{VERSION}");
    let mut stored = ward.lab.vault.stored(&entry).await.unwrap();
    stored["sha256"] = Value::Null;
    ward.lab.vault.store(&entry, &stored).await;
    ward.finds(&["VTP-305"], &[]).await;
    ward.register_by_hand(NAME, VERSION, FILE).await;
    ward.is_healthy().await;

    let next = format!("v{NEXT}");
    let file = format!("{NAME}-{NEXT}");
    let binary = build::another_version(BINARY.as_ref(), env!("CARGO_PKG_VERSION"), NEXT, ward.lab.folder());
    ward.write(&file, &std::fs::read(binary).unwrap());
    ward.register_by_hand(NAME, &next, &file).await;
    let pin = format!("sys/plugins/pins/secret/{NAME}");
    ward.lab.vault.api("POST", &pin, Some(json!({"version": next}))).await.success();
    let entry = format!("sys/raw/core/plugin-catalog/secret/{NAME}/{next}");
    ward.lab.vault.api("DELETE", &entry, None).await.success();
    ward.cures("VTP-402").await;

    // It marks a lease so after six tries, which take hours.
    let credential = ward.lab.read_credential("custom").await;
    let lease = credential["lease_id"].as_str().unwrap();
    let entry = format!("sys/expire/id/{lease}");
    let mut stored = ward.lab.vault.stored(&entry).await.unwrap();
    stored["revokeErr"] = json!("lease has consumed all retry attempts");
    ward.lab.vault.store(&entry, &stored).await;
    ward.lab.vault.restart().await;
    let findings = ward.finds(&["VTP-651"], &[]).await;
    let cure = &findings[0]["cure"];
    let named = ward.doctor.in_shell(command_in(cure)).await;
    assert!(named.contains(lease), "{named}");
    let revoke = cure.as_str().unwrap().split('`').nth(3).unwrap();
    ward.doctor.in_shell(&revoke.replace("LEASE_ID", lease)).await;
    ward.is_healthy().await;
    assert!(ward.lab.upstream.live().is_empty(), "the credential is gone");
}
