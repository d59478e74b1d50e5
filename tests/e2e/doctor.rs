//! Failures that are made to happen: `doctor` names each and nothing else, and what it prints cures it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use harness::{Output, Program, Storage, Upstream, VaultServer, build, eventually};
use rollout::Binary;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::lab::{BINARY, Lab, NAME};

/// A version after ours.
const NEXT: &str = "0.1.9";
const FILE: &str = concat!("custom-plugin-", env!("CARGO_PKG_VERSION"));
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// A server, and a shell in which the printed commands are found.
struct Ward {
    lab: Lab,
    shell: Program,
    _programs: TempDir,
}

impl Ward {
    fn of(lab: Lab) -> Ward {
        let programs = tempfile::tempdir().unwrap();
        symlink(lab.vault.cli_binary(), programs.path().join("vault")).unwrap();
        symlink(BINARY, programs.path().join("vault-token-plugin")).unwrap();
        let path = format!("{}:/usr/bin:/bin", programs.path().display());
        let shell = Program::new("/bin/sh").vault(&lab.vault).env("PATH", path);
        Ward { lab, shell, _programs: programs }
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
        self.lab.program.run(["doctor", "--output", "json"].iter().chain(flags)).await
    }

    #[track_caller]
    fn findings(output: &Output) -> Vec<Value> {
        let document: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
        document["findings"].as_array().unwrap().clone()
    }

    async fn is_healthy(&self) {
        let output = self.doctor(&[]).await;
        let document = output.json();
        assert_eq!(document["healthy"], true, "{document:#}");
    }

    /// What doctor names must be these findings, and no others.
    async fn names(&self, expected: &[&str], flags: &[&str]) -> Vec<Value> {
        let output = self.doctor(flags).await;
        let findings = Ward::findings(&output);
        let ids: Vec<&str> = findings.iter().map(|finding| finding["id"].as_str().unwrap()).collect();
        assert_eq!(ids, expected, "{findings:#?}");
        for finding in &findings {
            assert!(!finding["evidence"].as_str().unwrap().is_empty(), "{finding}");
        }
        findings
    }

    /// Names this one, runs literally what it prints, and is healthy then.
    async fn cures(&self, id: &str) {
        let findings = self.names(&[id], &[]).await;
        let commands = findings[0]["commands"].as_array().unwrap();
        assert!(!commands.is_empty(), "{id} prints no command");
        for command in commands {
            let output = self.shell.run(["-c", command.as_str().unwrap()]).await;
            assert_eq!(output.code, Some(0), "{command}: {output:?}");
        }
        self.is_healthy().await;
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

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
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
    ward.names(&["VTP-303"], &[]).await;
    fs::remove_file(ward.file()).unwrap();

    ward.names(&["VTP-301"], &[]).await;
    ward.lab.register(&ward.lab.description(&["custom"], "1h")).await.success();
    ward.is_healthy().await;
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
    ward.names(&["VTP-501"], &[]).await;
    ward.deregister_by_hand(VERSION).await;
    ward.names(&["VTP-508"], &[]).await;
    ward.register_by_hand(NAME, &next, &file).await;
    ward.is_healthy().await;

    let trial = format!("{TRIAL}{NAME}");
    let body = json!({"type": NAME, "plugin_version": next});
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

/// VTP-504.
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
    ward.names(&["VTP-504", "VTP-301"], &[]).await;

    // The text is the server's own.
    let log = ward.lab.file("log", &ward.lab.vault.logs());
    let explained =
        ward.lab.program.run_with_input(["doctor", "--explain", "-"], fs::read(log).unwrap()).await;
    assert!(explained.success().contains("VTP-504: nothing runs behind a mount"));

    fs::copy(&kept, ward.file()).unwrap();
    ward.cures_at_once("VTP-504").await;
    let role = json!({"permissions": "read"});
    ward.lab.vault.api("POST", "custom/roles/another", Some(role)).await.success();
}

impl Ward {
    /// As [`Ward::cures`], where the server is away for a moment.
    async fn cures_at_once(&self, id: &str) {
        let findings = self.names(&[id], &[]).await;
        for command in findings[0]["commands"].as_array().unwrap() {
            self.shell.run(["-c", command.as_str().unwrap()]).await.success();
        }
        eventually("doctor says that it is healthy", async || {
            let output = self.doctor(&[]).await;
            let document: Value = serde_json::from_str(&output.stdout).ok()?;
            (document["healthy"] == true).then_some(())
        })
        .await;
    }
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
    let findings = ward.names(&["VTP-601"], &[]).await;
    let command = findings[0]["commands"][0].as_str().unwrap();
    assert_eq!(command, format!("kill {}", child.id().unwrap()));
    ward.shell.run(["-c", command]).await.success();
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
    let findings = ward.names(&["VTP-702"], &flags).await;
    assert_eq!(findings[0]["severity"], "breaks_now");
    assert_eq!(ward.doctor(&flags).await.code, Some(3));
    ward.lab.vault.unseal().await;
    ward.is_healthy().await;
}

/// VTP-704.
#[tokio::test]
async fn a_server_without_a_plugin_directory() {
    let vault = VaultServer::builder().without_plugin_directory();
    let ward = Ward::of(Lab::of(vault, Upstream::start().await).await);
    let findings = ward.names(&["VTP-704"], &[]).await;
    assert_eq!(findings[0]["severity"], "note", "nothing needs one");
    assert_eq!(ward.doctor(&["--fail-on", "note"]).await.code, Some(3));
    assert_eq!(ward.doctor(&[]).await.code, Some(0));
}

/// VTP-201.
#[tokio::test]
async fn a_plugin_directory_that_is_not_there() {
    let ward = Ward::healthy().await;
    let (directory, away) = (ward.directory().to_owned(), ward.directory().with_extension("away"));
    fs::rename(&directory, &away).unwrap();
    let flag = directory.display().to_string();
    ward.names(&["VTP-201"], &["--plugin-dir", &flag]).await;
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
    let ward = Ward::of(Lab::with(VaultServer::builder().plugin_directory(&link)).await);
    let findings = ward.names(&["VTP-205"], &[]).await;
    assert!(findings[0]["evidence"].as_str().unwrap().ends_with(&real.display().to_string()));
}

/// VTP-901.
#[tokio::test]
async fn a_token_that_sees_little() {
    let ward = Ward::healthy().await;
    let policy = r#"path "sys/mounts" { capabilities = ["read"] } path "sys/plugins/catalog*" { capabilities = ["read"] }"#;
    ward.lab.vault.api("PUT", "sys/policies/acl/looks", Some(json!({"policy": policy}))).await.success();
    let body = json!({"policies": ["looks"]});
    let created = ward.lab.vault.api("POST", "auth/token/create", Some(body)).await.success();
    let token = created["auth"]["client_token"].as_str().unwrap().to_owned();
    let program = Program::new(BINARY).vault(&ward.lab.vault).env("VAULT_TOKEN", token);
    let output = program.run(["doctor", "--output", "json"]).await;
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(document["healthy"], false);
    let findings = Ward::findings(&output);
    assert!(
        findings.iter().all(|finding| finding["id"] == "VTP-901") && !findings.is_empty(),
        "{findings:#?}"
    );
    assert!(document["not_seen"].as_array().unwrap().len() > 1, "{document:#}");
}

/// VTP-101, VTP-102, VTP-103, VTP-104, VTP-105.
#[tokio::test]
async fn a_binary_is_judged_before_it_goes_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::new(BINARY);
    let make = |name: &str, content: &[u8], mode| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        set_mode(&path, mode);
        path.display().to_string()
    };
    let ours = fs::read(BINARY).unwrap();
    let mut foreign = ours.clone();
    foreign[18..20].copy_from_slice(&183_u16.to_le_bytes());
    let page = make("page", b"<html>not found</html>", 0o755);
    let plain = make("plain", &ours, 0o644);
    let foreign = make("foreign", &foreign, 0o755);
    let no_plugin = make("no-plugin", &fs::read("/bin/true").unwrap(), 0o755);
    for (path, needed) in
        [(&page, "VTP-101"), (&plain, "VTP-102"), (&foreign, "VTP-103"), (&no_plugin, "VTP-105")]
    {
        let output = program.run(["doctor", "--output", "json", path]).await;
        let mut ids: Vec<String> = Ward::findings(&output)
            .iter()
            .map(|finding| finding["id"].as_str().unwrap().to_owned())
            .collect();
        // Whether this build is static is no matter here.
        ids.retain(|id| id != "VTP-104");
        assert_eq!(ids, [needed], "{output:?}");
    }
    let output = program.run(["doctor", "--output", "json", &no_plugin]).await;
    assert!(Ward::findings(&output).iter().any(|finding| finding["id"] == "VTP-104"), "{output:?}");
}
