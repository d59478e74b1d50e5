//! Mounts, the versions that they run, and pins.

use std::fs;

use harness::{Storage, copy_program, eventually};
use serde_json::json;

use super::known_messages::command_in;
use super::{CANARY_MOUNT, DoctoredServer, NEXT_VERSION, VERSION, on_shared_server};
use crate::lab::{BINARY, Lab, NAME};

#[tokio::test]
async fn vtp_401_a_mount_runs_another_version_than_the_pin() {
    let server = DoctoredServer::with_next_version().await;
    server.write(&format!("sys/plugins/pins/secret/{NAME}"), json!({"version": VERSION})).await;
    server.write("sys/plugins/reload/backend", json!({"mounts": ["custom/"]})).await;
    server.doctor.assert_fixed_by_commands("VTP-401").await;
}

#[tokio::test]
async fn vtp_501_the_version_of_a_mount_is_not_registered() {
    let server = DoctoredServer::with_next_version().await;
    server.deregister_by_hand(&format!("v{NEXT_VERSION}")).await;
    server.doctor.assert_fixed_by_commands("VTP-501").await;
}

#[test]
fn vtp_502_a_mount_does_not_run_the_version_that_it_is_configured_for() {
    on_shared_server(async |server| {
        server.register_next().await;
        server.tune_to(NEXT_VERSION).await;
        server.doctor.assert_fixed_by_commands("VTP-502").await;
        // State that the next test expects.
        server.tune_to(env!("CARGO_PKG_VERSION")).await;
        server.write("sys/plugins/reload/backend", json!({"mounts": ["custom/"]})).await;
        server.doctor.assert_healthy().await;
    });
}

#[tokio::test]
async fn vtp_503_a_version_was_registered_again_with_another_checksum() {
    let server = DoctoredServer::healthy().await;
    let mut other = fs::read(BINARY).unwrap();
    other.push(0);
    server.place("other-build", &other);
    server.register_by_hand(NAME, VERSION, "other-build").await;
    server.doctor.assert_fixed_by_commands("VTP-503").await;
}

/// A server with our plugin that was restarted while its file was missing, and the file.
async fn restarted_without_the_file(server: &mut DoctoredServer) -> std::path::PathBuf {
    let kept = server.lab.folder().join("kept");
    fs::copy(server.file(), &kept).unwrap();
    server.lab.vault.stop().await;
    fs::remove_file(server.file()).unwrap();
    server.lab.vault.start().await;
    kept
}

async fn on_raft() -> DoctoredServer {
    let lab = Lab::with_storage(Storage::Raft).await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    let server = DoctoredServer::from_lab(lab);
    server.doctor.assert_healthy().await;
    server
}

#[tokio::test]
async fn vtp_504_nothing_runs_behind_a_mount() {
    let mut server = on_raft().await;
    let kept = restarted_without_the_file(&mut server).await;
    // They are fixed in this order.
    let findings = server.doctor.assert_finds(&["VTP-301", "VTP-504"], &[]).await;
    assert!(findings.iter().all(|finding| finding["severity"] == "breaks_now"), "{findings:#?}");
    let status = server.lab.program.run(["status"]).await.success();
    assert!(status.contains(&format!("NOT RESPONDING, configured {VERSION}: custom/")), "{status}");

    // The message of the server.
    let log = server.lab.vault.logs();
    let explained = server.lab.program.run_with_input(["doctor", "--explain", "-"], log).await;
    assert!(explained.success().contains("VTP-504: a mount has no running backend"));

    server.doctor.run_fix_commands(&findings[0], &kept).await;
    server.doctor.assert_fixed_by_commands_eventually("VTP-504").await;
    let role = Some(json!({"permissions": "read"}));
    server.lab.vault.request("POST", "custom/roles/another", role).await.success();
}

/// The state after a reload that was to fix VTP-504. Only the error message reveals it.
#[tokio::test]
async fn vtp_162_a_mount_that_reads_and_does_not_write() {
    let mut server = on_raft().await;
    let kept = restarted_without_the_file(&mut server).await;
    copy_program(&kept, server.file());
    server.write("sys/plugins/reload/backend", json!({"mounts": ["custom/"]})).await;
    let role = || Some(json!({"permissions": "read"}));
    let refused = server.lab.vault.request("POST", "custom/roles/another", role()).await;
    let told = server.doctor.assert_explains(&refused.body.to_string(), "VTP-162").await;
    server.doctor.run_in_shell(command_in(&told["remediation"])).await;
    eventually("it can be written to", async || {
        let written = server.lab.vault.request("POST", "custom/roles/another", role()).await;
        (written.status < 300).then_some(())
    })
    .await;
    server.doctor.assert_healthy().await;
}

#[tokio::test]
async fn vtp_505_a_mount_does_not_answer() {
    let server = DoctoredServer::healthy().await;
    let kept = server.lab.folder().join("kept");
    server.lab.kill_plugin().await;
    fs::rename(server.file(), &kept).unwrap();
    server.wait_plugin_missed().await;
    let findings = server.doctor.assert_finds(&["VTP-301", "VTP-505"], &[]).await;
    server.doctor.assert_explains(findings[1]["evidence"].as_str().unwrap(), "VTP-301").await;
    server.doctor.run_fix_commands(&findings[0], &kept).await;
    server.doctor.assert_healthy().await;
}

#[test]
fn vtp_507_the_mount_of_a_trial_is_left_behind() {
    on_shared_server(async |server| {
        let body = json!({"type": NAME, "config": {"plugin_version": VERSION}});
        server.write(&format!("sys/mounts/{CANARY_MOUNT}{NAME}"), body).await;
        server.doctor.assert_fixed_by_commands("VTP-507").await;
    });
}

#[tokio::test]
async fn vtp_508_no_version_of_a_mounted_plugin_is_registered() {
    let server = DoctoredServer::healthy().await;
    server.deregister_by_hand(VERSION).await;
    server.doctor.assert_fixed_by_commands("VTP-508").await;
}
