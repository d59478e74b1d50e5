//! What servers, plugins and the kernel say is what doctor knows: the words are theirs, collected here.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harness::{Doctor, Program, Reply, VaultServer, build, set_mode};
use rollout::{Binary, known};
use serde_json::{Value, json};

use super::{FILE, Ward};
use crate::lab::BINARY;

/// The first command that a cure names in its words.
pub(super) fn command_in(cure: &Value) -> &str {
    let command = cure.as_str().and_then(|cure| cure.split('`').nth(1));
    command.unwrap_or_else(|| panic!("no command in {cure}"))
}

/// A plugin of Go's SDK that is no token engine, in the plugin directory.
async fn kv(ward: &Ward) -> String {
    let path = build::go_kv("v1.0.0").await;
    ward.write("kv", &fs::read(&path).unwrap());
    Binary::read(&path, &mut |_, _| ()).unwrap().sha256
}

impl Ward {
    async fn refused(&self, method: &str, path: &str, body: Value) -> String {
        let Reply { status, body } = self.lab.vault.api(method, path, Some(body)).await;
        assert!(status >= 400, "{method} {path}: {status} {body}");
        body.to_string()
    }

    async fn does(&self, path: &str, body: Value) -> Value {
        self.lab.vault.api("POST", path, Some(body)).await.success()
    }

    /// What the server says when it is to mount this.
    async fn refused_mount(&self, plugin: &str, version: &str) -> String {
        let body = json!({"type": plugin, "config": {"plugin_version": version}});
        self.refused("POST", "sys/mounts/refused", body).await
    }
}

/// VTP-155, VTP-159, VTP-161, VTP-163, VTP-164, VTP-165, VTP-166, VTP-167; and the words of VTP-107, VTP-401, VTP-402, VTP-501.
#[tokio::test]
async fn what_is_refused_is_understood_and_cured() {
    let ward = Ward::healthy().await;
    let doctor = &ward.doctor;
    let sha256 = kv(&ward).await;
    let catalog = "sys/plugins/catalog/secret/kv-of-ours";
    let entry = |version: &str, sha256: &str| json!({"command": "kv", "version": version, "sha256": sha256});

    let said = ward.refused("POST", catalog, entry("v1.0.0", "zz")).await;
    doctor.explains(&said, "VTP-165").await;
    let said = ward.refused("POST", catalog, entry("v1.x", &sha256)).await;
    doctor.explains(&said, "VTP-107").await;
    let said = ward.refused("POST", catalog, entry("v9.9.9", &sha256)).await;
    doctor.explains(&said, "VTP-159").await;
    let image = json!({"oci_image": "plugins/kv", "version": "v1.0.0", "sha256": sha256});
    let said = ward.refused("POST", catalog, image).await;
    doctor.explains(&said, "VTP-167").await;
    // As it reports, with its own checksum, as a file of every node: that is what these four ask for.
    ward.does(catalog, entry("v1.0.0", &sha256)).await;
    ward.is_healthy().await;

    let said = ward.refused_mount("kv-of-ours", "v2.0.0").await;
    doctor.explains(&said, "VTP-501").await;
    let pin = "sys/plugins/pins/secret/kv-of-ours";
    ward.does(pin, json!({"version": "v1.0.0"})).await;
    let said = ward.refused_mount("kv-of-ours", "v1.0.0").await;
    doctor.explains(&said, "VTP-401").await;
    let said = ward.refused("DELETE", &format!("{catalog}?version=v1.0.0"), json!({})).await;
    doctor.explains(&said, "VTP-402").await;
    ward.lab.vault.api("DELETE", pin, None).await.success();

    let said = ward.refused("POST", "sys/plugins/reload/backend", json!({"mounts": ["nowhere/"]})).await;
    let told = doctor.explains(&said, "VTP-161").await;
    let shown = doctor.in_shell(command_in(&told["cure"])).await;
    assert!(shown.contains("custom/"), "{shown}");
    let said = ward.does("sys/plugins/reload/backend", json!({"plugin": "nobody"})).await;
    doctor.explains(&said.to_string(), "VTP-161").await;
    ward.does("sys/plugins/reload/backend", json!({"mounts": ["custom/"]})).await;

    let said = ward.refused("POST", "nothing/here", json!({"a": "b"})).await;
    let told = doctor.explains(&said, "VTP-163").await;
    let shown = doctor.in_shell(command_in(&told["cure"])).await;
    assert!(shown.contains("custom/"), "{shown}");

    let said = ward.lab.vault.cli(["plugin", "reload", "-mounts", "custom/"]).await;
    let told = doctor.explains(&said.stderr, "VTP-166").await;
    assert!(told["cure"].as_str().unwrap().ends_with("use `vault-token-plugin reload --mount`."), "{told}");
    doctor.in_shell("vault-token-plugin reload --mount custom --yes").await;

    let by_hand = Program::new(ward.directory().join("kv")).run([""; 0]).await;
    let told = doctor.explains(&by_hand.stderr, "VTP-155").await;
    let inspect = told["cure"].as_str().unwrap().split('`').nth(1).unwrap();
    doctor.in_shell(&format!("{inspect} {}", ward.directory().join("kv").display())).await;

    let copied = doctor.shell.run(["-c", &format!("cp {BINARY} {}", ward.file().display())]).await;
    doctor.explains(&copied.stderr, "VTP-164").await;
    ward.is_healthy().await;
}

/// VTP-706.
#[tokio::test]
async fn a_server_that_is_away_is_understood() {
    let nobody = |program: &Path| {
        Program::new(program).env("VAULT_ADDR", "http://127.0.0.1:1").env("VAULT_TOKEN", "hvs.example")
    };
    let said = nobody(&build::vault().await).run(["secrets", "list"]).await;
    let doctor = Doctor::new(BINARY, &[], &[], |program| program);
    let told = doctor.explains(&said.stderr, "VTP-706").await;
    assert!(told["cure"].as_str().unwrap().contains("VAULT_ADDR"), "{told}");
    let looked = nobody(BINARY.as_ref()).run(["doctor"]).await;
    assert!(looked.code == Some(1) && looked.stderr.contains("VAULT_ADDR"), "{looked:?}");
}

/// The words of VTP-105, VTP-301, VTP-303, VTP-304, VTP-307, VTP-309.
#[tokio::test]
async fn a_file_that_cannot_be_started_is_understood() {
    let ward = Ward::healthy().await;
    let linked =
        build::another_version("/bin/true".as_ref(), "ld-linux-x86", "ld-absnt-x86", ward.lab.folder());
    let files: [(&str, &[u8], &str); 6] = [
        ("plain", b"#!/bin/sh\n", "VTP-304"),
        ("lost", b"#!/bin/sh\n", "VTP-301"),
        ("other", b"#!/bin/sh\n", "VTP-303"),
        ("junk", b"<html>not found</html>", "VTP-307"),
        ("linked", &fs::read(linked).unwrap(), "VTP-309"),
        ("crash", b"#!/bin/sh\nexit 1\n", "VTP-105"),
    ];
    for (name, content, id) in files {
        let file = format!("{name}-1.0.0");
        ward.write(&file, content);
        ward.register_by_hand(name, "v1.0.0", &file).await;
        match name {
            "lost" => fs::remove_file(ward.directory().join(&file)).unwrap(),
            "plain" => set_mode(&ward.directory().join(&file), 0o644),
            "other" => ward.write(&file, b"#!/bin/bash\n"),
            _ => {}
        }
        let said = ward.refused_mount(name, "v1.0.0").await;
        ward.doctor.explains(&said, id).await;
        let deregister = format!("sys/plugins/catalog/secret/{name}?version=v1.0.0");
        ward.lab.vault.api("DELETE", &deregister, None).await.success();
    }
}

/// VTP-153; and the words of VTP-210.
#[tokio::test]
async fn what_a_server_needs_of_its_machine_is_understood() {
    let strict = VaultServer::builder().env("VAULT_ENABLE_FILE_PERMISSIONS_CHECK", "true").start();
    let homeless = VaultServer::builder().env("TMPDIR", "/nonexistent").start();
    let (strict, homeless) = tokio::join!(strict, homeless);
    let doctor = Doctor::new(BINARY, &[], &[], |program| program);
    let file = build::go_kv("v1.0.0").await;
    let sha256 = Binary::read(&file, &mut |_, _| ()).unwrap().sha256;
    let entry = || Some(json!({"command": FILE, "sha256": sha256}));
    let place = |server: &VaultServer| fs::copy(&file, server.plugin_directory().join(FILE)).unwrap();

    place(&strict);
    set_mode(strict.plugin_directory(), 0o755);
    let placed = strict.plugin_directory().join(FILE);
    for (path, mode) in [(strict.plugin_directory(), 0o777), (&*placed, 0o775)] {
        set_mode(path, mode);
        let refused = strict.api("POST", "sys/plugins/catalog/secret/kv-of-ours", entry()).await;
        assert!(refused.status >= 400, "{refused:?}");
        let told = doctor.explains(&refused.body.to_string(), "VTP-210").await;
        assert_eq!(told["cure"], "Take the right to write from group and others.");
        doctor.in_shell(&format!("chmod go-w {}", path.display())).await;
    }
    strict.api("POST", "sys/plugins/catalog/secret/kv-of-ours", entry()).await.success();

    place(&homeless);
    let catalog = homeless.api("POST", "sys/plugins/catalog/secret/kv-of-ours", entry()).await;
    let mounted = homeless.api("POST", "sys/mounts/kv", Some(json!({"type": "kv-of-ours"}))).await;
    assert!(mounted.status >= 400, "{catalog:?} {mounted:?}");
    // The server says that it does not begin, and the plugin, whose words are in the log, why.
    let told = doctor.explain(&homeless.logs()).await;
    let ids: Vec<&str> = told.iter().map(|line| line["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["VTP-105", "VTP-153"]);
}

/// A server that is well says nothing that is known, however much it says.
#[tokio::test]
async fn the_log_of_a_healthy_server_means_nothing() {
    let ward = Ward::healthy().await;
    ward.lab.read_credential("custom").await;
    let log = ward.lab.vault.logs();
    assert!(log.lines().count() > 50, "it says little: {log}");
    assert_eq!(ward.doctor.explain(&log).await, Vec::<Value>::new());
}

/// What OpenBao says and Vault does not.
const OF_OPENBAO: &[&str] = &[
    "plugin hash mismatch",
    "not enough space left on disk",
    "conflicts with existing non-declarative plugin",
    "plugin out of date in storage versus standby node configuration",
];

/// What is said by neither of them nor by a plugin of today.
const OF_OTHERS: &[&str] = &[
    // Coreutils.
    "Text file busy",
    // libcap's setcap, which the entry point of the server's image calls.
    "unable to set CAP_SETFCAP effective capability",
    // Plugins of the protocols 3 and 4, which no module builds any more.
    "error during token unwrap request",
    "no vault api_addr found",
];

/// The programs of the server and of a plugin hold the texts that they, their libraries and Go's words for the kernel's errors
/// can say.
#[tokio::test]
async fn every_text_is_one_that_a_server_or_a_plugin_can_say() {
    let said = known().into_iter().flat_map(|known| known.says);
    // An error and its cause are put together with a colon.
    let texts: BTreeSet<&str> =
        said.flat_map(|words| words.split('*')).flat_map(|words| words.split(": ")).map(str::trim).collect();
    let absent = absent(&[build::vault().await, build::go_sdk("v0.25.0").await], &texts).await;
    let expected: BTreeSet<&str> = OF_OPENBAO.iter().chain(OF_OTHERS).copied().collect();
    assert_eq!(absent, expected);
    let of_openbao = OF_OPENBAO.iter().copied().collect();
    assert_eq!(self::absent(&[build::openbao().await], &of_openbao).await, BTreeSet::new());
}

/// The texts that are in none of these programs.
async fn absent<'a>(programs: &[PathBuf], texts: &BTreeSet<&'a str>) -> BTreeSet<&'a str> {
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
