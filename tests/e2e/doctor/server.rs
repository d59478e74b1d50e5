//! The server itself, and its processes.

use std::fs;

use harness::{DoctorRunner, Program, Storage, Upstream, VaultServer, build, eventually, set_mode};
use serde_json::{Value, json};

use super::known_messages::command_in;
use super::{DoctoredServer, on_shared_server};
use crate::lab::{BINARY, Lab};

#[test]
fn vtp_601_a_plugin_whose_server_is_gone() {
    on_shared_server(async |server| {
        server.place("sleeper", &fs::read("/bin/sleep").unwrap());
        let mut child = tokio::process::Command::new(server.directory().join("sleeper"))
            .arg("600")
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let findings = server.doctor.assert_finds(&["VTP-601"], &[]).await;
        let command = findings[0]["commands"][0].as_str().unwrap();
        assert_eq!(command, format!("kill {}", child.id().unwrap()));
        server.doctor.run_in_shell(command).await;
        child.wait().await.unwrap();
        server.doctor.assert_healthy().await;
    });
}

#[tokio::test]
async fn vtp_701_the_server_is_not_initialised() {
    let vault = build::vault().await;
    let kept = tempfile::tempdir().unwrap();
    let folder = fs::canonicalize(kept.path()).unwrap();
    set_mode(&folder, 0o755);
    let port = harness::free_port();
    let configuration = json!({
        "disable_mlock": true,
        "listener": {"tcp": {"address": format!("127.0.0.1:{port}"), "tls_disable": true}},
        "plugin_directory": folder,
        "storage": {"inmem": {}},
    });
    let server = Program::new(&vault);
    fs::write(server.home().join("vault.json"), configuration.to_string()).unwrap();
    let _running = server.start(["server", "-config", "vault.json"]);
    let address = format!("http://127.0.0.1:{port}");
    let with_token = |token: &str| {
        DoctorRunner::new(BINARY, &[("vault", &vault)], &[], |program| {
            program.env("VAULT_ADDR", &*address).env("VAULT_TOKEN", token)
        })
    };
    let doctor = with_token("none yet");
    eventually("the server answers", async || (doctor.run(&[]).await.code == Some(3)).then_some(())).await;
    let directory = folder.display().to_string();
    let findings = doctor.assert_finds(&["VTP-701"], &["--plugin-dir", &directory]).await;
    let init =
        format!("{} -key-shares=1 -key-threshold=1 -format=json", command_in(&findings[0]["remediation"]));
    let keys: Value = serde_json::from_str(&doctor.run_in_shell(&init).await).unwrap();
    let findings = doctor.assert_finds(&["VTP-702"], &["--plugin-dir", &directory]).await;
    let unseal = command_in(&findings[0]["remediation"]);
    doctor.run_in_shell(&format!("{unseal} {}", keys["unseal_keys_b64"][0].as_str().unwrap())).await;
    with_token(keys["root_token"].as_str().unwrap()).wait_healthy().await;
}

#[test]
fn vtp_702_the_server_is_sealed() {
    on_shared_server(async |server| {
        server.lab.vault.seal().await;
        let directory = server.directory().display().to_string();
        let flags = ["--plugin-dir", directory.as_str()];
        let findings = server.doctor.assert_finds(&["VTP-702"], &flags).await;
        assert_eq!(findings[0]["severity"], "breaks_now");
        assert_eq!(server.doctor.run(&flags).await.code, Some(3));
        let unseal = format!("vault operator unseal {}", server.lab.vault.unseal_key());
        server.doctor.run_in_shell(&unseal).await;
        server.doctor.wait_healthy().await;
    });
}

#[tokio::test]
async fn vtp_704_the_server_has_no_plugin_directory() {
    let vault = VaultServer::builder().without_plugin_directory().storage(Storage::Raft);
    let mut server = DoctoredServer::from_lab(Lab::with_upstream(vault, Upstream::start().await).await);
    let findings = server.doctor.assert_finds(&["VTP-704"], &[]).await;
    assert_eq!(findings[0]["severity"], "note", "nothing needs one");
    assert_eq!(server.doctor.run(&["--fail-on", "note"]).await.code, Some(3));
    assert_eq!(server.doctor.run(&[]).await.code, Some(0));
    let directory = server.lab.vault.directory().join("plugins");
    set_mode(&directory, 0o755);
    server.reconfigure("plugin_directory", json!(directory)).await;
    server.doctor.wait_healthy().await;
}
