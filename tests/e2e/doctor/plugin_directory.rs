//! The plugin directory and its files.

use std::fs;
use std::os::unix::fs::symlink;

use harness::{Storage, VaultServer, set_mode};
use serde_json::json;

use super::{DoctoredServer, on_shared_server};
use crate::lab::Lab;

#[tokio::test]
async fn vtp_201_the_directory_is_missing() {
    let server = DoctoredServer::healthy().await;
    let flag = server.directory().display().to_string();
    fs::rename(server.directory(), server.directory().with_extension("away")).unwrap();
    let findings = server.doctor.assert_finds(&["VTP-201"], &["--plugin-dir", &flag]).await;
    server.doctor.run_in_shell(findings[0]["commands"][0].as_str().unwrap()).await;
    server.doctor.assert_finds(&["VTP-301"], &[]).await;
    server.lab.register(&server.lab.description(&["custom"], "1h")).await.success();
    server.doctor.assert_healthy().await;
}

#[test]
fn vtp_202_a_file_is_in_the_place_of_the_directory() {
    on_shared_server(async |server| {
        let (directory, away) = (server.directory(), server.directory().with_extension("away"));
        fs::rename(directory, &away).unwrap();
        fs::write(directory, "").unwrap();
        let flag = directory.display().to_string();
        server.doctor.assert_finds(&["VTP-202"], &["--plugin-dir", &flag]).await;
        fs::remove_file(directory).unwrap();
        fs::rename(&away, directory).unwrap();
        server.doctor.assert_healthy().await;
    });
}

#[test]
fn vtp_204_everybody_may_write_to_the_directory() {
    on_shared_server(async |server| {
        set_mode(server.directory(), 0o777);
        server.doctor.assert_fixed_by_commands("VTP-204").await;
    });
}

#[test]
fn vtp_212_a_group_may_write_to_the_directory() {
    on_shared_server(async |server| {
        // Directories of tests have mode 700, so other users cannot access what is in them.
        let above = server.directory().parent().unwrap();
        let before = fs::metadata(above).unwrap().permissions();
        set_mode(above, 0o755);
        set_mode(server.directory(), 0o775);
        server.doctor.assert_fixed_by_commands("VTP-212").await;
        fs::set_permissions(above, before).unwrap();
    });
}

#[tokio::test]
async fn vtp_205_the_directory_is_a_symbolic_link() {
    let base = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(base.path()).unwrap();
    let (real, link) = (base.join("real"), base.join("link"));
    fs::create_dir(&real).unwrap();
    set_mode(&real, 0o755);
    symlink(&real, &link).unwrap();
    let vault = VaultServer::builder().plugin_directory(&link).storage(Storage::Raft);
    let mut server = DoctoredServer::from_lab(Lab::with_vault(vault).await);
    let findings = server.doctor.assert_finds(&["VTP-205"], &[]).await;
    assert!(findings[0]["evidence"].as_str().unwrap().ends_with(&real.display().to_string()));
    server.reconfigure("plugin_directory", json!(real)).await;
    server.doctor.wait_healthy().await;
}

#[test]
fn vtp_206_half_a_copy_is_left_behind() {
    on_shared_server(async |server| {
        fs::write(server.directory().join(".custom-plugin-9.9.9.part"), "cut").unwrap();
        server.doctor.assert_fixed_by_commands("VTP-206").await;
    });
}

#[test]
fn vtp_208_a_plugin_is_a_symbolic_link() {
    on_shared_server(async |server| {
        let elsewhere = server.lab.folder().join("elsewhere");
        fs::copy(server.file(), &elsewhere).unwrap();
        fs::remove_file(server.file()).unwrap();
        symlink(&elsewhere, server.file()).unwrap();
        server.doctor.assert_fixed_by_commands("VTP-208").await;
    });
}

#[test]
fn vtp_210_a_group_may_write_to_a_plugin() {
    on_shared_server(async |server| {
        set_mode(&server.file(), 0o775);
        server.doctor.assert_fixed_by_commands("VTP-210").await;
    });
}
