//! A real Vault, and a real Go plugin in it.

use std::fs;
use std::path::Path;

use harness::{Program, Storage, VaultServer, build, copy_program};
use serde_json::json;

#[tokio::test]
async fn the_official_cli_reports_the_version_of_the_release() {
    let vault = VaultServer::start_new().await;
    let stdout = vault.cli(["version"]).await.success();
    assert!(stdout.starts_with("Vault v1.21.4"), "{stdout}");
    assert!(!vault.cli(["status"]).await.success().is_empty());
}

#[tokio::test]
async fn what_was_written_survives_stop_and_kill() {
    let mut vault = VaultServer::builder().storage(Storage::Raft).start().await;
    vault.cli(["secrets", "enable", "-path=notes", "kv"]).await.success();
    vault.cli(["kv", "put", "notes/one", "text=kept"]).await.success();

    vault.restart().await;
    vault.kill().await;
    vault.start().await;

    let read = vault.cli(["kv", "get", "-format=json", "notes/one"]).await.json();
    assert_eq!(read["data"]["text"], "kept");
}

#[tokio::test]
async fn a_sealed_vault_says_so_until_it_is_unsealed() {
    let vault = VaultServer::start_new().await;
    vault.seal().await;
    assert_eq!(vault.request("GET", "sys/mounts", None).await.status, 503);
    vault.unseal().await;
    assert_eq!(vault.request("GET", "sys/mounts", None).await.status, 200);
}

#[tokio::test]
async fn the_audit_log_shows_every_request_over_tls() {
    let vault = VaultServer::builder().audit_log().tls().start().await;
    vault.cli(["secrets", "list"]).await.success();
    let seen = vault.audit_log();
    assert!(seen.iter().any(|entry| entry["request"]["path"] == "sys/mounts"), "{seen:?}");
}

#[tokio::test]
async fn a_go_plugin_in_two_versions_registers_enables_and_works() {
    let vault = VaultServer::start_new().await;
    for version in ["v0.25.0", "v0.25.1"] {
        let sha256 = place(&vault, version).await;
        let args = ["plugin", "register", &format!("-sha256={sha256}"), &format!("-version={version}")];
        let command = format!("-command=go-kv-{version}");
        vault.cli(args.into_iter().chain([command.as_str(), "secret", "go-kv"])).await.success();
        let path = format!("-path=kv-{version}");
        vault
            .cli(["secrets", "enable", &path, &format!("-plugin-version={version}"), "go-kv"])
            .await
            .success();
        let note = format!("kv-{version}/note");
        vault.cli(["write", &note, "text=kept"]).await.success();
        assert_eq!(vault.cli(["read", "-field=text", &note]).await.success(), "kept");
    }
    let mounts = vault.request("GET", "sys/mounts", None).await.success();
    assert_eq!(mounts["kv-v0.25.1/"]["running_plugin_version"], "v0.25.1");
}

#[tokio::test]
async fn plugin_processes_are_seen_while_vault_runs_and_after_it_was_killed() {
    let mut vault = VaultServer::builder().storage(Storage::Raft).start().await;
    let sha256 = place(&vault, "v0.25.0").await;
    let body = json!({"sha256": sha256, "command": "go-kv-v0.25.0", "version": "v0.25.0"});
    vault.request("PUT", "sys/plugins/catalog/secret/go-kv", Some(body)).await.success();
    vault.request("POST", "sys/mounts/kv", Some(json!({"type": "go-kv"}))).await.success();

    let plugins = vault.child_plugin_pids();
    assert_eq!(plugins.len(), 1);
    vault.kill().await;
    // The Go library does not notice that its host is gone.
    assert_eq!(vault.child_plugin_pids(), plugins);

    drop(vault);
    harness::eventually("the orphan is gone with the server", async || {
        let running = Path::new(&format!("/proc/{}/exe", plugins[0])).read_link().is_ok();
        (!running).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_vault_without_plugin_directory_refuses_to_register() {
    let vault = VaultServer::builder().without_plugin_directory().start().await;
    let sha256 = format!("-sha256={}", "0".repeat(64));
    let output = vault.cli(["plugin", "register", &sha256, "-command=x", "secret", "x"]).await;
    assert_eq!(output.code, Some(2));
    assert!(output.stderr.contains("plugin directory"), "{}", output.stderr);
    assert!(vault.child_plugin_pids().is_empty());
}

#[tokio::test]
async fn dropping_a_vault_leaves_no_process_and_no_file() {
    let vault = VaultServer::start_new().await;
    let (directory, pid) = (vault.directory().to_owned(), vault.pid());
    drop(vault);
    assert!(!directory.exists());
    assert!(!Path::new(&format!("/proc/{pid}")).exists());
}

#[tokio::test]
async fn the_logs_of_a_vault_are_kept_when_its_test_fails_and_it_says_where() {
    const FAIL_VARIABLE: &str = "HARNESS_TEST_TO_FAIL";
    if std::env::var_os(FAIL_VARIABLE).is_some() {
        let vault = VaultServer::builder().audit_log().start().await;
        assert_eq!(vault.request("GET", "sys/mounts", None).await.status, 500, "on purpose");
    }
    let logs = tempfile::tempdir().unwrap();
    let this = "vault::the_logs_of_a_vault_are_kept_when_its_test_fails_and_it_says_where";
    let failing = Program::new(std::env::current_exe().unwrap())
        .env(FAIL_VARIABLE, "yes")
        .env("VAULT_TOKEN_PLUGIN_TEST_LOGS", logs.path().to_str().unwrap())
        // So that it builds none, without the environment of this one.
        .env("VAULT_TOKEN_PLUGIN_TEST_SERVER", build::vault().await.to_str().unwrap());
    let output = failing.run([this, "--exact"]).await;
    assert_eq!(output.code, Some(101), "{output:?}");
    let kept = output.stdout.lines().find_map(|line| line.strip_prefix("logs kept: "));
    let kept = Path::new(kept.unwrap_or_else(|| panic!("it does not say where: {output:?}")));
    assert!(kept.starts_with(logs.path().join("e2e").join(this.replace("::", "."))), "{}", kept.display());
    let text = |name: &str| fs::read_to_string(kept.join(name)).unwrap();
    assert!(text("vault.log").contains("vault is unsealed"));
    assert!(text("audit.log").contains("sys/mounts"));
    assert!(text("vault.json").contains("listener"));
}

/// Copies the Go plugin in `version` into the plugin directory as `go-kv-<version>`; returns its checksum.
async fn place(vault: &VaultServer, version: &str) -> String {
    let file = vault.plugin_directory().join(format!("go-kv-{version}"));
    copy_program(build::go_kv(version).await, &file);
    let output = Program::new("/usr/bin/sha256sum").run([&file]).await.success();
    output.split(' ').next().expect("a checksum").to_owned()
}
