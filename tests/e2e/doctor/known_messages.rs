//! Doctor knows the messages of servers, plugins and the kernel. They are collected here from the real ones.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harness::{ApiResponse, DoctorRunner, Program, VaultServer, build, copy_program, set_mode};
use rollout::{Binary, finding_kinds};
use serde_json::{Value, json};

use super::{DoctoredServer, PLUGIN_FILE, on_shared_server, with_missing_linker};
use crate::lab::BINARY;

/// The first command in the text of a remediation.
pub(super) fn command_in(cure: &Value) -> &str {
    let command = cure.as_str().and_then(|cure| cure.split('`').nth(1));
    command.unwrap_or_else(|| panic!("no command in {cure}"))
}

/// Copies a plugin of the Go SDK, of another kind than the token engine. Returns its checksum.
async fn place_kv_plugin(server: &DoctoredServer) -> String {
    let path = build::go_kv("v1.0.0").await;
    server.place("kv", &fs::read(&path).unwrap());
    Binary::read(&path, &mut |_, _| ()).unwrap().sha256
}

impl DoctoredServer {
    async fn error_of(&self, method: &str, path: &str, body: Value) -> String {
        let ApiResponse { status, body } = self.lab.vault.request(method, path, Some(body)).await;
        assert!(status >= 400, "{method} {path}: {status} {body}");
        body.to_string()
    }

    /// The server's error when it mounts this plugin.
    async fn mount_error(&self, plugin: &str, version: &str) -> String {
        let body = json!({"type": plugin, "config": {"plugin_version": version}});
        self.error_of("POST", "sys/mounts/refused", body).await
    }
}

const CATALOG_PATH: &str = "sys/plugins/catalog/secret/kv-of-ours";
const PIN_PATH: &str = "sys/plugins/pins/secret/kv-of-ours";

fn entry(version: &str, sha256: &str) -> Value {
    json!({"command": "kv", "version": version, "sha256": sha256})
}

/// Requires that the server refuses to register this plugin, and that doctor knows the message.
fn assert_registration_refused(id: &'static str, entry: impl FnOnce(&str) -> Value) {
    on_shared_server(async |server| {
        let sha256 = place_kv_plugin(server).await;
        let text = server.error_of("POST", CATALOG_PATH, entry(&sha256)).await;
        server.doctor.assert_explains(&text, id).await;
    });
}

#[test]
fn vtp_165_a_checksum_that_is_none() {
    assert_registration_refused("VTP-165", |_| entry("v1.0.0", "zz"));
}

#[test]
fn vtp_107_a_version_that_is_none() {
    assert_registration_refused("VTP-107", |sha256| entry("v1.x", sha256));
}

#[test]
fn vtp_159_a_version_that_the_plugin_does_not_report() {
    assert_registration_refused("VTP-159", |sha256| entry("v9.9.9", sha256));
}

#[test]
fn vtp_167_an_image_where_none_can_run() {
    assert_registration_refused(
        "VTP-167",
        |sha256| json!({"oci_image": "plugins/kv", "version": "v1.0.0", "sha256": sha256}),
    );
}

/// The remediations of the four refusals above.
#[test]
fn a_file_with_its_own_version_and_checksum_is_registered() {
    on_shared_server(async |server| {
        let sha256 = place_kv_plugin(server).await;
        server.write(CATALOG_PATH, entry("v1.0.0", &sha256)).await;
        server.doctor.assert_healthy().await;
    });
}

/// The messages of VTP-501.
#[test]
fn vtp_501_a_mount_of_a_version_that_is_not_registered() {
    on_shared_server(async |server| {
        let sha256 = place_kv_plugin(server).await;
        server.write(CATALOG_PATH, entry("v1.0.0", &sha256)).await;
        let text = server.mount_error("kv-of-ours", "v2.0.0").await;
        server.doctor.assert_explains(&text, "VTP-501").await;
    });
}

/// The messages of VTP-401 and VTP-402.
#[test]
fn vtp_401_and_vtp_402_a_version_that_is_pinned() {
    on_shared_server(async |server| {
        let sha256 = place_kv_plugin(server).await;
        server.write(CATALOG_PATH, entry("v1.0.0", &sha256)).await;
        server.write(PIN_PATH, json!({"version": "v1.0.0"})).await;
        let text = server.mount_error("kv-of-ours", "v1.0.0").await;
        server.doctor.assert_explains(&text, "VTP-401").await;
        let text = server.error_of("DELETE", &format!("{CATALOG_PATH}?version=v1.0.0"), json!({})).await;
        server.doctor.assert_explains(&text, "VTP-402").await;
        server.lab.vault.request("DELETE", PIN_PATH, None).await.success();
    });
}

#[test]
fn vtp_161_a_reload_of_what_is_not_there() {
    on_shared_server(async |server| {
        let nowhere = json!({"mounts": ["nowhere/"]});
        let text = server.error_of("POST", "sys/plugins/reload/backend", nowhere).await;
        let told = server.doctor.assert_explains(&text, "VTP-161").await;
        let shown = server.doctor.run_in_shell(command_in(&told["remediation"])).await;
        assert!(shown.contains("custom/"), "{shown}");
        let answer = server.write("sys/plugins/reload/backend", json!({"plugin": "unknown"})).await;
        server.doctor.assert_explains(&answer.to_string(), "VTP-161").await;
        server.write("sys/plugins/reload/backend", json!({"mounts": ["custom/"]})).await;
    });
}

#[test]
fn vtp_163_a_request_below_no_mount() {
    on_shared_server(async |server| {
        let text = server.error_of("POST", "nothing/here", json!({"a": "b"})).await;
        let told = server.doctor.assert_explains(&text, "VTP-163").await;
        let shown = server.doctor.run_in_shell(command_in(&told["remediation"])).await;
        assert!(shown.contains("custom/"), "{shown}");
    });
}

#[test]
fn vtp_166_the_official_command_reloads_no_mount_by_path() {
    on_shared_server(async |server| {
        let said = server.lab.vault.cli(["plugin", "reload", "-mounts", "custom/"]).await;
        let told = server.doctor.assert_explains(&said.stderr, "VTP-166").await;
        let cure = told["remediation"].as_str().unwrap();
        assert!(cure.ends_with("use `vault-token-plugin reload --mount`."), "{told}");
        server.doctor.run_in_shell("vault-token-plugin reload --mount custom --yes").await;
    });
}

#[test]
fn vtp_155_a_plugin_is_started_by_hand() {
    on_shared_server(async |server| {
        place_kv_plugin(server).await;
        let by_hand = Program::new(server.directory().join("kv")).run([""; 0]).await;
        let told = server.doctor.assert_explains(&by_hand.stderr, "VTP-155").await;
        let inspect = told["remediation"].as_str().unwrap().split('`').nth(1).unwrap();
        server.doctor.run_in_shell(&format!("{inspect} {}", server.directory().join("kv").display())).await;
    });
}

#[test]
fn vtp_164_a_running_plugin_is_overwritten() {
    on_shared_server(async |server| {
        let copy = format!("cp {BINARY} {}", server.file().display());
        let copied = server.doctor.shell.run(["-c", &copy]).await;
        server.doctor.assert_explains(&copied.stderr, "VTP-164").await;
        server.doctor.assert_healthy().await;
    });
}

#[tokio::test]
async fn vtp_706_nothing_answers_at_the_address() {
    let without_token = |program: &Path| {
        Program::new(program).env("VAULT_ADDR", "http://127.0.0.1:1").env("VAULT_TOKEN", "hvs.example")
    };
    let said = without_token(&build::vault().await).run(["secrets", "list"]).await;
    let doctor = DoctorRunner::new(BINARY, &[], &[], |program| program);
    let told = doctor.assert_explains(&said.stderr, "VTP-706").await;
    assert!(told["remediation"].as_str().unwrap().contains("VAULT_ADDR"), "{told}");
    let diagnosed = without_token(BINARY.as_ref()).run(["doctor"]).await;
    assert!(diagnosed.code == Some(1) && diagnosed.stderr.contains("VAULT_ADDR"), "{diagnosed:?}");
}

/// Registers a file with this content, changes it with `then`, and requires that doctor knows the error of mounting it.
fn assert_mount_refused(id: &'static str, content: &[u8], then: impl FnOnce(&Path)) {
    on_shared_server(async |server| {
        let name = id.to_lowercase();
        let file = format!("{name}-1.0.0");
        server.place(&file, content);
        server.register_by_hand(&name, "v1.0.0", &file).await;
        then(&server.directory().join(&file));
        let text = server.mount_error(&name, "v1.0.0").await;
        server.doctor.assert_explains(&text, id).await;
        let deregister = format!("sys/plugins/catalog/secret/{name}?version=v1.0.0");
        server.lab.vault.request("DELETE", &deregister, None).await.success();
    });
}

#[test]
fn vtp_105_the_words_of_a_program_that_ends_at_once() {
    assert_mount_refused("VTP-105", b"#!/bin/sh\nexit 1\n", |_| ());
}

#[test]
fn vtp_301_the_words_of_a_file_that_is_missing() {
    assert_mount_refused("VTP-301", b"#!/bin/sh\n", |file| fs::remove_file(file).unwrap());
}

#[test]
fn vtp_303_the_words_of_another_checksum() {
    assert_mount_refused("VTP-303", b"#!/bin/sh\n", |file| fs::write(file, b"#!/bin/bash\n").unwrap());
}

#[test]
fn vtp_304_the_words_of_a_file_that_is_not_executable() {
    assert_mount_refused("VTP-304", b"#!/bin/sh\n", |file| set_mode(file, 0o644));
}

#[test]
fn vtp_307_the_words_of_a_file_that_is_no_executable() {
    assert_mount_refused("VTP-307", b"<html>not found</html>", |_| ());
}

#[test]
fn vtp_309_the_words_of_a_missing_linker() {
    let folder = tempfile::tempdir().unwrap();
    assert_mount_refused("VTP-309", &with_missing_linker(folder.path()), |_| ());
}

/// The file of a plugin, and its registration.
async fn file_and_entry() -> (PathBuf, Value) {
    let file = build::go_kv("v1.0.0").await;
    let sha256 = Binary::read(&file, &mut |_, _| ()).unwrap().sha256;
    (file, json!({"command": PLUGIN_FILE, "sha256": sha256}))
}

/// The messages of VTP-210.
#[tokio::test]
async fn vtp_210_a_server_that_checks_permissions() {
    let strict = VaultServer::builder().env("VAULT_ENABLE_FILE_PERMISSIONS_CHECK", "true").start().await;
    let doctor = DoctorRunner::new(BINARY, &[], &[], |program| program);
    let (file, entry) = file_and_entry().await;
    let placed = strict.plugin_directory().join(PLUGIN_FILE);
    copy_program(&file, &placed);
    set_mode(strict.plugin_directory(), 0o755);
    let register = async || strict.request("POST", CATALOG_PATH, Some(entry.clone())).await;
    for (path, mode) in [(strict.plugin_directory(), 0o777), (&*placed, 0o775)] {
        set_mode(path, mode);
        let refused = register().await;
        assert!(refused.status >= 400, "{refused:?}");
        let told = doctor.assert_explains(&refused.body.to_string(), "VTP-210").await;
        assert_eq!(told["remediation"], "Remove the write permission of group and others.");
        doctor.run_in_shell(&format!("chmod go-w {}", path.display())).await;
    }
    register().await.success();
}

#[tokio::test]
async fn vtp_153_a_server_without_a_temporary_directory() {
    let homeless = VaultServer::builder().env("TMPDIR", "/nonexistent").start().await;
    let doctor = DoctorRunner::new(BINARY, &[], &[], |program| program);
    let (file, entry) = file_and_entry().await;
    copy_program(&file, homeless.plugin_directory().join(PLUGIN_FILE));
    let registered = homeless.request("POST", CATALOG_PATH, Some(entry)).await;
    let mounted = homeless.request("POST", "sys/mounts/kv", Some(json!({"type": "kv-of-ours"}))).await;
    assert!(mounted.status >= 400, "{registered:?} {mounted:?}");
    // The server reports that the plugin does not start. The plugin's own message, in the log, has the reason.
    let told = doctor.explain(&homeless.logs()).await;
    let ids: Vec<&str> = told.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["VTP-105", "VTP-153"]);
}

/// The log of a healthy server contains no known messages.
#[tokio::test]
async fn the_log_of_a_healthy_server_means_nothing() {
    let server = DoctoredServer::healthy().await;
    server.lab.read_credential("custom").await;
    let log = server.lab.vault.logs();
    assert!(log.lines().count() > 50, "it says little: {log}");
    assert_eq!(server.doctor.explain(&log).await, Vec::<Value>::new());
}

/// Messages of OpenBao that Vault does not have.
const OPENBAO_ONLY_MESSAGES: &[&str] = &[
    "plugin hash mismatch",
    "not enough space left on disk",
    "conflicts with existing non-declarative plugin",
    "plugin out of date in storage versus standby node configuration",
];

/// Messages that neither of them nor any current plugin prints.
const OTHER_SOURCES_MESSAGES: &[&str] = &[
    // Coreutils.
    "Text file busy",
    // libcap's setcap, which the entry point of the server's image calls.
    "unable to set CAP_SETFCAP effective capability",
    // Plugins of the protocol versions 3 and 4, for which no current module exists.
    "error during token unwrap request",
    "no vault api_addr found",
];

/// The programs of the server and of a plugin contain the messages of their code, their libraries, and Go's texts for kernel errors.
#[tokio::test]
async fn every_text_is_one_that_a_server_or_a_plugin_can_say() {
    let said = finding_kinds().into_iter().flat_map(|kind| kind.log_patterns);
    // An error and its cause are joined with a colon.
    let texts: BTreeSet<&str> =
        said.flat_map(|words| words.split('*')).flat_map(|words| words.split(": ")).map(str::trim).collect();
    let absent = missing_messages(&[build::vault().await, build::go_sdk("v0.25.0").await], &texts).await;
    let expected: BTreeSet<&str> =
        OPENBAO_ONLY_MESSAGES.iter().chain(OTHER_SOURCES_MESSAGES).copied().collect();
    assert_eq!(absent, expected);
    let of_openbao = OPENBAO_ONLY_MESSAGES.iter().copied().collect();
    assert_eq!(missing_messages(&[build::openbao().await], &of_openbao).await, BTreeSet::new());
}

/// The messages that none of these programs contains.
async fn missing_messages<'a>(programs: &[PathBuf], texts: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
    let grep = Program::new("/usr/bin/grep").env("LC_ALL", "C");
    let mut absent = texts.clone();
    for program in programs {
        let program = program.display().to_string();
        for text in absent.clone() {
            if grep.run(["-qaF", "--", text, &program]).await.code == Some(0) {
                absent.remove(text);
            }
        }
    }
    absent
}
