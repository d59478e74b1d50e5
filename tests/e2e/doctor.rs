//! Failures that are made to happen: `doctor` names each and nothing else, and what it prints cures it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use harness::{Doctor, Output, Program, Storage, Upstream, VaultServer, build, eventually, set_mode};
use rollout::Binary;
use serde_json::{Value, json};

use crate::lab::{BINARY, Lab, NAME};

mod forms;
mod old;
mod openbao;
mod rights;
mod stored;
mod walk;
mod words;

/// A version after ours.
const NEXT: &str = "0.1.9";
const FILE: &str = concat!("custom-plugin-", env!("CARGO_PKG_VERSION"));
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// A server, and who looks at it and cures it.
struct Ward {
    lab: Lab,
    doctor: Doctor,
}

impl Ward {
    fn of(lab: Lab) -> Ward {
        let doctor = Doctor::new(BINARY, &[("vault", lab.vault.cli_binary())], &[], |program| {
            program.vault(&lab.vault)
        });
        Ward { lab, doctor }
    }

    async fn healthy() -> Ward {
        let ward = Ward::of(Lab::registered(&["custom"], "1h").await);
        ward.is_healthy().await;
        ward
    }

    fn directory(&self) -> &Path {
        self.lab.vault.plugin_directory()
    }

    fn file(&self) -> PathBuf {
        self.directory().join(FILE)
    }

    async fn doctor(&self, flags: &[&str]) -> Output {
        self.doctor.run(flags).await
    }

    async fn is_healthy(&self) {
        self.doctor.is_healthy().await;
    }

    async fn finds(&self, expected: &[&str], flags: &[&str]) -> Vec<Value> {
        self.doctor.finds(expected, flags).await
    }

    async fn cures(&self, id: &str) {
        self.doctor.cures(id).await;
    }

    /// Changes the server's configuration, and starts it anew.
    async fn reconfigure(&mut self, key: &str, value: &str) {
        let file = self.lab.vault.directory().join("vault.json");
        let mut configuration: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        configuration[key] = json!(value);
        fs::write(&file, configuration.to_string()).unwrap();
        self.lab.vault.restart().await;
    }

    async fn register_by_hand(&self, name: &str, version: &str, file: &str) {
        let path = self.directory().join(file);
        let there = Binary::read(&path, &mut |_, _| ()).map(|binary| binary.sha256);
        let sha256 = there.unwrap_or_else(|_| "0".repeat(64));
        let mut body = json!({"sha256": sha256, "command": file, "args": ["serve"]});
        if !version.is_empty() {
            body["version"] = json!(version);
        }
        self.lab.vault.api("POST", &format!("sys/plugins/catalog/secret/{name}"), Some(body)).await.success();
    }

    async fn deregister_by_hand(&self, version: &str) {
        let path = format!("sys/plugins/catalog/secret/{NAME}?version={version}");
        self.lab.vault.api("DELETE", &path, None).await.success();
    }

    fn write(&self, file: &str, content: &[u8]) {
        let part = self.lab.folder().join("part");
        fs::write(&part, content).unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(&part, self.directory().join(file)).unwrap();
    }
}

/// VTP-204, VTP-206, VTP-208, VTP-210.
#[tokio::test]
async fn the_directory_and_its_files() {
    let ward = Ward::healthy().await;

    set_mode(ward.directory(), 0o777);
    ward.cures("VTP-204").await;

    fs::write(ward.directory().join(".custom-plugin-9.9.9.part"), "cut").unwrap();
    ward.cures("VTP-206").await;

    set_mode(&ward.file(), 0o775);
    ward.cures("VTP-210").await;

    let elsewhere = ward.lab.folder().join("elsewhere");
    fs::copy(ward.file(), &elsewhere).unwrap();
    fs::remove_file(ward.file()).unwrap();
    symlink(&elsewhere, ward.file()).unwrap();
    ward.cures("VTP-208").await;
}

/// VTP-301, VTP-303, VTP-304, VTP-306, VTP-307, VTP-308, VTP-309.
#[tokio::test]
async fn the_catalog_against_the_files() {
    let ward = Ward::healthy().await;

    set_mode(&ward.file(), 0o644);
    ward.cures("VTP-304").await;

    ward.write("lost-1.0.0", b"#!/bin/sh\n");
    ward.register_by_hand("lost", "v1.0.0", "lost-1.0.0").await;
    fs::remove_file(ward.directory().join("lost-1.0.0")).unwrap();
    ward.cures("VTP-301").await;

    ward.write("junk-1.0.0", b"<html>not found</html>");
    ward.register_by_hand("junk", "v1.0.0", "junk-1.0.0").await;
    ward.cures("VTP-307").await;

    let mut foreign = fs::read(BINARY).unwrap();
    foreign[18..20].copy_from_slice(&183_u16.to_le_bytes());
    ward.write("foreign-1.0.0", &foreign);
    ward.register_by_hand("foreign", "v1.0.0", "foreign-1.0.0").await;
    ward.cures("VTP-308").await;

    let linked =
        build::another_version("/bin/true".as_ref(), "ld-linux-x86", "ld-absnt-x86", ward.lab.folder());
    ward.write("linked-1.0.0", &fs::read(linked).unwrap());
    ward.register_by_hand("linked", "v1.0.0", "linked-1.0.0").await;
    ward.cures("VTP-309").await;

    ward.write("bare", &fs::read("/bin/true").unwrap());
    ward.register_by_hand(NAME, "", "bare").await;
    ward.cures("VTP-306").await;

    let kept = ward.lab.folder().join("kept");
    fs::rename(ward.file(), &kept).unwrap();
    ward.write(FILE, b"#!/bin/sh\n");
    ward.doctor.cures_with("VTP-303", &kept).await;

    fs::remove_file(ward.file()).unwrap();
    ward.doctor.cures_with("VTP-301", &kept).await;
}

/// VTP-401, VTP-501, VTP-502, VTP-507, VTP-508.
#[tokio::test]
async fn mounts_and_pins() {
    let ward = Ward::healthy().await;
    let (vault, next) = (&ward.lab.vault, format!("v{NEXT}"));
    let binary = build::another_version(BINARY.as_ref(), env!("CARGO_PKG_VERSION"), NEXT, ward.lab.folder());
    let file = format!("{NAME}-{NEXT}");
    ward.write(&file, &fs::read(binary).unwrap());
    ward.register_by_hand(NAME, &next, &file).await;
    ward.is_healthy().await;

    vault.api("POST", "sys/mounts/custom/tune", Some(json!({"plugin_version": next}))).await.success();
    ward.cures("VTP-502").await;

    let pin = json!({"version": VERSION});
    vault.api("POST", &format!("sys/plugins/pins/secret/{NAME}"), Some(pin)).await.success();
    vault.api("POST", "sys/plugins/reload/backend", Some(json!({"mounts": ["custom/"]}))).await.success();
    ward.cures("VTP-401").await;

    ward.deregister_by_hand(&next).await;
    ward.cures("VTP-501").await;
    ward.deregister_by_hand(&next).await;
    ward.deregister_by_hand(VERSION).await;
    ward.cures("VTP-508").await;

    let trial = format!("{TRIAL}{NAME}");
    let body = json!({"type": NAME, "config": {"plugin_version": next}});
    vault.api("POST", &format!("sys/mounts/{trial}"), Some(body)).await.success();
    ward.cures("VTP-507").await;
}

/// Where an upgrade tries a version.
const TRIAL: &str = "vault-token-plugin-canary/";

/// VTP-503.
#[tokio::test]
async fn a_version_that_was_registered_anew() {
    let ward = Ward::healthy().await;
    let mut other = fs::read(BINARY).unwrap();
    other.push(0);
    ward.write("other-build", &other);
    ward.register_by_hand(NAME, VERSION, "other-build").await;
    ward.cures("VTP-503").await;
}

/// VTP-504, VTP-162.
#[tokio::test]
async fn nothing_runs_behind_a_mount() {
    let lab = Lab::on(Storage::Raft).await;
    lab.register(&lab.description(&["custom"], "1h")).await.success();
    let mut ward = Ward::of(lab);
    ward.is_healthy().await;
    let kept = ward.lab.folder().join("kept");
    fs::copy(ward.file(), &kept).unwrap();
    ward.lab.vault.stop().await;
    fs::remove_file(ward.file()).unwrap();
    ward.lab.vault.start().await;
    // In this order they are cured.
    let findings = ward.finds(&["VTP-301", "VTP-504"], &[]).await;
    assert!(findings.iter().all(|finding| finding["severity"] == "breaks_now"), "{findings:#?}");
    let status = ward.lab.program.run(["status"]).await.success();
    assert!(status.contains(&format!("NOT ANSWERING, configured {VERSION}: custom/")), "{status}");

    // The text is the server's own.
    let log = ward.lab.file("log", &ward.lab.vault.logs());
    let explained =
        ward.lab.program.run_with_input(["doctor", "--explain", "-"], fs::read(log).unwrap()).await;
    assert!(explained.success().contains("VTP-504: nothing runs behind a mount"));

    ward.doctor.follow(&findings[0], &kept).await;
    ward.doctor.cures_and_waits("VTP-504").await;
    let role = || Some(json!({"permissions": "read"}));
    ward.lab.vault.api("POST", "custom/roles/another", role()).await.success();

    // Who reloads instead has a mount that reads and does not write, which only words tell.
    ward.lab.vault.stop().await;
    fs::remove_file(ward.file()).unwrap();
    ward.lab.vault.start().await;
    fs::copy(&kept, ward.file()).unwrap();
    let reload = Some(json!({"mounts": ["custom/"]}));
    ward.lab.vault.api("POST", "sys/plugins/reload/backend", reload).await.success();
    let refused = ward.lab.vault.api("POST", "custom/roles/third", role()).await;
    let told = ward.doctor.explains(&refused.body.to_string(), "VTP-162").await;
    ward.doctor.in_shell(words::command_in(&told["cure"])).await;
    eventually("it can be written to", async || {
        let written = ward.lab.vault.api("POST", "custom/roles/third", role()).await;
        (written.status < 300).then_some(())
    })
    .await;
    ward.is_healthy().await;
}

/// VTP-505.
#[tokio::test]
async fn a_mount_that_does_not_answer() {
    let ward = Ward::healthy().await;
    let kept = ward.lab.folder().join("kept");
    ward.lab.kill_plugin().await;
    fs::rename(ward.file(), &kept).unwrap();
    eventually("the server has noticed that the plugin is gone", async || {
        let said = ward.lab.vault.api("GET", "custom/config", None).await.body.to_string();
        said.contains("no such file or directory").then_some(())
    })
    .await;
    let findings = ward.finds(&["VTP-301", "VTP-505"], &[]).await;
    ward.doctor.explains(findings[1]["evidence"].as_str().unwrap(), "VTP-301").await;
    ward.doctor.follow(&findings[0], &kept).await;
    ward.is_healthy().await;
}

/// VTP-601.
#[tokio::test]
async fn a_plugin_whose_server_is_gone() {
    let ward = Ward::healthy().await;
    ward.write("sleeper", &fs::read("/bin/sleep").unwrap());
    let mut child = tokio::process::Command::new(ward.directory().join("sleeper"))
        .arg("600")
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let findings = ward.finds(&["VTP-601"], &[]).await;
    let command = findings[0]["commands"][0].as_str().unwrap();
    assert_eq!(command, format!("kill {}", child.id().unwrap()));
    ward.doctor.shell.run(["-c", command]).await.success();
    child.wait().await.unwrap();
    ward.is_healthy().await;
}

/// VTP-702.
#[tokio::test]
async fn a_sealed_server() {
    let ward = Ward::healthy().await;
    ward.lab.vault.seal().await;
    let directory = ward.directory().display().to_string();
    let flags = ["--plugin-dir", directory.as_str()];
    let findings = ward.finds(&["VTP-702"], &flags).await;
    assert_eq!(findings[0]["severity"], "breaks_now");
    assert_eq!(ward.doctor(&flags).await.code, Some(3));
    let unseal = format!("vault operator unseal {}", ward.lab.vault.unseal_key());
    ward.doctor.in_shell(&unseal).await;
    ward.doctor.wait_healthy().await;
}

/// VTP-701.
#[tokio::test]
async fn a_server_that_is_not_initialised() {
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
    let _running = server.spawn(["server", "-config", "vault.json"]);
    let address = format!("http://127.0.0.1:{port}");
    let of = |token: &str| {
        Doctor::new(BINARY, &[("vault", &vault)], &[], |program| {
            program.env("VAULT_ADDR", &*address).env("VAULT_TOKEN", token)
        })
    };
    let doctor = of("none yet");
    eventually("the server answers", async || (doctor.run(&[]).await.code == Some(3)).then_some(())).await;
    let directory = folder.display().to_string();
    let findings = doctor.finds(&["VTP-701"], &["--plugin-dir", &directory]).await;
    let init =
        format!("{} -key-shares=1 -key-threshold=1 -format=json", words::command_in(&findings[0]["cure"]));
    let keys: Value = serde_json::from_str(&doctor.in_shell(&init).await).unwrap();
    let findings = doctor.finds(&["VTP-702"], &["--plugin-dir", &directory]).await;
    let unseal = words::command_in(&findings[0]["cure"]);
    doctor.in_shell(&format!("{unseal} {}", keys["unseal_keys_b64"][0].as_str().unwrap())).await;
    of(keys["root_token"].as_str().unwrap()).wait_healthy().await;
}

/// VTP-704.
#[tokio::test]
async fn a_server_without_a_plugin_directory() {
    let vault = VaultServer::builder().without_plugin_directory().storage(Storage::Raft);
    let mut ward = Ward::of(Lab::of(vault, Upstream::start().await).await);
    let findings = ward.finds(&["VTP-704"], &[]).await;
    assert_eq!(findings[0]["severity"], "note", "nothing needs one");
    assert_eq!(ward.doctor(&["--fail-on", "note"]).await.code, Some(3));
    assert_eq!(ward.doctor(&[]).await.code, Some(0));
    let directory = ward.lab.vault.directory().join("plugins");
    set_mode(&directory, 0o755);
    ward.reconfigure("plugin_directory", directory.to_str().unwrap()).await;
    ward.doctor.wait_healthy().await;
}

/// VTP-201, VTP-202.
#[tokio::test]
async fn a_plugin_directory_that_is_not_there() {
    let ward = Ward::healthy().await;
    let (directory, away) = (ward.directory().to_owned(), ward.directory().with_extension("away"));
    fs::rename(&directory, &away).unwrap();
    let flag = directory.display().to_string();
    let findings = ward.finds(&["VTP-201"], &["--plugin-dir", &flag]).await;
    ward.doctor.in_shell(findings[0]["commands"][0].as_str().unwrap()).await;
    ward.finds(&["VTP-301"], &[]).await;
    ward.lab.register(&ward.lab.description(&["custom"], "1h")).await.success();
    ward.is_healthy().await;

    fs::remove_dir_all(&directory).unwrap();
    fs::write(&directory, "").unwrap();
    ward.finds(&["VTP-202"], &["--plugin-dir", &flag]).await;
    fs::remove_file(&directory).unwrap();
    fs::rename(&away, &directory).unwrap();
    ward.is_healthy().await;
}

/// VTP-205.
#[tokio::test]
async fn a_plugin_directory_that_is_a_link() {
    let base = tempfile::tempdir().unwrap();
    let base = fs::canonicalize(base.path()).unwrap();
    let (real, link) = (base.join("real"), base.join("link"));
    fs::create_dir(&real).unwrap();
    set_mode(&real, 0o755);
    symlink(&real, &link).unwrap();
    let vault = VaultServer::builder().plugin_directory(&link).storage(Storage::Raft);
    let mut ward = Ward::of(Lab::with(vault).await);
    let findings = ward.finds(&["VTP-205"], &[]).await;
    assert!(findings[0]["evidence"].as_str().unwrap().ends_with(&real.display().to_string()));
    ward.reconfigure("plugin_directory", real.to_str().unwrap()).await;
    ward.doctor.wait_healthy().await;
}

/// VTP-101, VTP-102, VTP-103, VTP-104, VTP-105, VTP-107.
#[tokio::test]
async fn a_binary_is_judged_before_it_goes_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let doctor = Doctor::new(BINARY, &[], &[], |program| program);
    let make = |name: &str, content: &[u8], mode| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        set_mode(&path, mode);
        path.display().to_string()
    };
    // Linked statically, and a plugin.
    let good = fs::read(build::go_kv("v1.0.0").await).unwrap();
    let mut foreign = good.clone();
    foreign[18..20].copy_from_slice(&183_u16.to_le_bytes());
    let ours = build::static_binary("vault-token-plugin").await;
    let nonsense = build::another_version(&ours, env!("CARGO_PKG_VERSION"), "0.1.x", folder.path());
    let nonsense = nonsense.display().to_string();
    let page = make("page", b"<html>not found</html>", 0o755);
    let plain = make("plain", &good, 0o644);
    let foreign = make("foreign", &foreign, 0o755);
    let no_plugin = make("no-plugin", &fs::read("/bin/true").unwrap(), 0o755);
    for (path, needed) in [
        (&page, &["VTP-101"][..]),
        (&plain, &["VTP-102"]),
        (&foreign, &["VTP-103"]),
        (&no_plugin, &["VTP-105", "VTP-104"]),
        (&nonsense, &["VTP-107"]),
    ] {
        let findings = doctor.finds(needed, &[path]).await;
        match findings[0]["commands"].as_array().unwrap().as_slice() {
            // What is printed is run; else it takes another binary, and that was said.
            [command] => drop(doctor.in_shell(command.as_str().unwrap()).await),
            _ => drop(make(Path::new(path).file_name().unwrap().to_str().unwrap(), &good, 0o755)),
        }
        let again = doctor.run(&[path]).await.json();
        assert_eq!(again["healthy"], true, "{path}: {again:#}");
    }
}
