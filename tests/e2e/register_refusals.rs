//! What `register` refuses: the error names the cause and the fix, and nothing is changed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use harness::{Output, Program, VaultServer, build};
use serde_json::{Value, json};

use crate::lab::{Lab, NAME};

const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");

/// The state that a refusal must not change.
#[derive(Debug, PartialEq)]
struct StateSnapshot {
    files: Vec<(PathBuf, u64)>,
    catalog: Value,
    pins: Value,
    mounts: Value,
    writes: usize,
}

async fn take_snapshot(lab: &Lab) -> StateSnapshot {
    let data = async |path: &str| lab.vault.request("GET", path, None).await.success()["data"].clone();
    StateSnapshot {
        files: files(lab.vault.plugin_directory()),
        catalog: data("sys/plugins/catalog").await,
        pins: data("sys/plugins/pins").await,
        mounts: data("sys/mounts").await,
        writes: lab.writes(),
    }
}

fn files(directory: &Path) -> Vec<(PathBuf, u64)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries.map(|entry| (entry.path(), entry.metadata().unwrap().len())).collect();
    files.sort();
    files
}

/// Runs `register` with these flags, which must be refused with this exit code and these texts.
async fn assert_refused(lab: &Lab, flags: &[&str], code: i32, says: &[&str]) {
    let before = take_snapshot(lab).await;
    let output = register(lab, flags).await;
    assert_output(&output, code, says);
    assert_eq!(take_snapshot(lab).await, before, "{says:?}");
}

async fn register(lab: &Lab, flags: &[&str]) -> Output {
    lab.program.run(["register", NAME, "--mount", "custom", "--yes"].iter().chain(flags)).await
}

#[track_caller]
fn assert_output(output: &Output, code: i32, says: &[&str]) {
    assert_eq!(output.code, Some(code), "{says:?}: {output:?}");
    assert_eq!(output.stdout, "");
    // Root is first warned about untrusted binaries.
    let first = output.stderr.lines().find(|line| !line.starts_with("Warning: this command runs as root"));
    assert!(first.is_some_and(|line| line.starts_with("Error: ")), "{}", output.stderr);
    assert!(!output.stderr.contains("hunter2"), "a value that may be secret is repeated");
    for words in says {
        assert!(output.stderr.contains(words), "{words:?} is not in: {}", output.stderr);
    }
}

/// A changed copy of our binary below the lab's folder.
fn patched_binary(lab: &Lab, name: &str, change: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut content = fs::read(BINARY).unwrap();
    change(&mut content);
    let path = lab.folder().join(name);
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn a_binary_that_cannot_be_a_plugin_is_refused() {
    let lab = Lab::new().await;
    let script = lab.file("script", "#!/bin/sh\nexit 0\n").display().to_string();
    let foreign =
        patched_binary(&lab, "foreign", |content| content[18..20].copy_from_slice(&183_u16.to_le_bytes()));
    let plain = patched_binary(&lab, "plain", |_| ());
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    let missing = lab.folder().join("missing").display().to_string();

    assert_refused(&lab, &["--binary", &missing], 2, &["could not read the plugin binary", "No such file"])
        .await;
    assert_refused(
        &lab,
        &["--binary", &script],
        1,
        &["is not a Linux executable", "the binary of the plugin itself"],
    )
    .await;
    let arch = ["is built for arm64, but the server runs on", "Use the build for linux/"];
    assert_refused(&lab, &["--binary", &foreign], 1, &arch).await;
    assert_refused(&lab, &["--binary", &foreign, "--version", "1.0.0"], 1, &arch).await;
    assert_refused(&lab, &["--binary", &plain], 1, &["plain is not executable", "chmod +x "]).await;
    let no_plugin = ["/bin/true is not a working plugin", "vault-token-plugin inspect /bin/true"];
    assert_refused(&lab, &["--binary", "/bin/true"], 1, &no_plugin).await;
    assert_refused(&lab, &["--binary", "/bin/true", "--version", "1.0.0"], 1, &no_plugin).await;
    assert_refused(
        &lab,
        &["--version", "9.9.9"],
        1,
        &["version mismatch: ", "expected 9.9.9", "Register it as v"],
    )
    .await;
    assert_refused(
        &lab,
        &["--type", "auth"],
        1,
        &["is a plugin of type secret, expected auth", "Register it as type secret"],
    )
    .await;
    assert_refused(&lab, &["--config", "hunter2"], 2, &["--config", "key=value"]).await;
}

/// The output of Go plugins without the expected cookie, whatever cookie it is.
const COOKIE_MISMATCH_MESSAGE: &str =
    "echo 'This binary is a plugin. These are not meant to be executed directly.'; exit 1";

#[tokio::test]
async fn a_plugin_of_an_unknown_type_is_not_said_to_have_been_started_by_hand() {
    let lab = Lab::new().await;
    let busybox = build::busybox().await.display().to_string();
    let of = |kind| {
        let plugin = ["--binary", &busybox, "--arg", "sh", "--arg", "-c", "--arg", COOKIE_MISMATCH_MESSAGE];
        [&["register", "db", "--type", kind, "--version", "1.0.0", "--dry-run"], &plugin[..]].concat()
    };
    let expected = "neither a secrets engine, an auth method nor a database plugin";
    let as_database = lab.program.run(of("database")).await;
    assert_output(&as_database, 1, &[expected]);
    let as_secret = lab.program.run(of("secret")).await;
    assert_output(&as_secret, 1, &[expected]);
    let judged =
        ["doctor", "--binary", &busybox, "--arg", "sh", "--arg", "-c", "--arg", COOKIE_MISMATCH_MESSAGE];
    let judged = lab.program.run(judged).await;
    assert!(judged.stdout.contains(expected), "{judged:?}");
    for said in [&as_database.stderr, &as_secret.stderr, &judged.stdout, &judged.stderr] {
        assert!(!said.contains("by hand"), "{said}");
    }
}

#[tokio::test]
async fn no_flag_is_named_that_the_command_does_not_have() {
    let lab = Lab::new().await;
    let rollback = lab.program.run(["rollback"]).await;
    assert_output(
        &rollback,
        2,
        &["the name of the plugin is missing", "`vault-token-plugin rollback PLUGIN`"],
    );
    let upgrade = lab.program.run(["upgrade"]).await;
    assert_output(&upgrade, 2, &["the name of the plugin is missing", "`vault-token-plugin upgrade PLUGIN`"]);
    for said in [rollback.stderr, upgrade.stderr] {
        assert!(!said.contains("asked for"), "{said}");
    }
}

#[tokio::test]
async fn a_version_never_changes_its_content() {
    let lab = Lab::new().await;
    register(&lab, &[]).await.success();
    let other = patched_binary(&lab, "other", |content| content.push(0));
    let taken = ["exists with a different content (sha256 ", "give this build another version"];
    assert_refused(&lab, &["--binary", &other], 1, &taken).await;

    fs::remove_file(&files(lab.vault.plugin_directory())[0].0).unwrap();
    let registered = ["is already registered with a different sha256 (", "give this build another version"];
    assert_refused(&lab, &["--binary", &other], 1, &registered).await;
}

#[tokio::test]
async fn a_mount_path_that_is_taken_is_refused() {
    let lab = Lab::new().await;
    lab.vault.cli(["secrets", "enable", "-path=custom", "kv"]).await.success();
    assert_refused(&lab, &[], 1, &["custom/ is a mount of the plugin kv", "Choose another path."]).await;
    lab.vault.cli(["secrets", "disable", "custom"]).await.success();
    lab.vault.cli(["secrets", "enable", "-path=custom/team", "kv"]).await.success();
    assert_refused(
        &lab,
        &[],
        1,
        &[
            "custom/ cannot be mounted, because it overlaps with the mount custom/team/",
            "Choose another path.",
        ],
    )
    .await;
}

#[tokio::test]
async fn a_pin_and_a_newer_version_are_not_overruled() {
    let lab = Lab::new().await;
    let (old, new) = (build::go_kv("v1.0.0").await, build::go_kv("v2.0.0").await);
    let (old, new) = (["--binary", old.to_str().unwrap()], ["--binary", new.to_str().unwrap()]);
    register(&lab, &old).await.success();

    let pin = format!("sys/plugins/pins/secret/{NAME}");
    lab.vault.request("POST", &pin, Some(json!({"version": "v1.0.0"}))).await.success();
    let pinned = [&format!("{NAME} is pinned to v1.0.0")[..], &format!("`vault delete {pin}`")];
    assert_refused(&lab, &new, 1, &pinned).await;

    // The fix in the message.
    lab.vault.cli(["delete", &pin]).await.success();
    register(&lab, &new).await.success();
    let downgrade = ["custom/ has version v2.0.0, which is newer than 1.0.0", "--allow-downgrade"];
    assert_refused(&lab, &old, 1, &downgrade).await;
    register(&lab, &[&old[..], &["--allow-downgrade"]].concat()).await.success();
}

#[tokio::test]
async fn a_token_that_may_not_do_it_is_told_the_policy_that_lets_it() {
    let lab = Lab::new().await;
    let policy = "path \"sys/mounts\" { capabilities = [\"read\"] }";
    lab.vault.request("PUT", "sys/policies/acl/limited", Some(json!({"policy": policy}))).await.success();
    let token = json!({"policies": ["limited"]});
    let token = lab.vault.request("POST", "auth/token/create", Some(token)).await.success();
    let limited = Program::new(BINARY)
        .env("VAULT_ADDR", lab.vault.address())
        .env("VAULT_TOKEN", token["auth"]["client_token"].as_str().unwrap());
    let directory = lab.vault.plugin_directory().display().to_string();
    let command = ["register", NAME, "--mount", "custom", "--plugin-dir", &directory];

    let before = take_snapshot(&lab).await;
    let output = limited.run(command).await;
    assert_output(
        &output,
        1,
        &["the token does not have the required permissions: ", "sudo on sys/plugins/catalog/secret/"],
    );
    assert_eq!(take_snapshot(&lab).await, before);

    let told = &output.stderr[output.stderr.find("path \"").unwrap()..];
    let policy = format!("{policy}\n{told}");
    lab.vault.request("PUT", "sys/policies/acl/limited", Some(json!({"policy": policy}))).await.success();
    limited.run(command).await.success();
}

#[tokio::test]
async fn a_plugin_directory_that_will_not_do_is_refused() {
    let lab = Lab::new().await;
    let directory = lab.vault.plugin_directory().to_owned();
    let mode = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    let (missing, other) = (lab.folder().join("missing"), lab.folder().join("other"));
    fs::create_dir(&other).unwrap();
    let path = |path: &Path| path.display().to_string();
    let elsewhere = ["the plugin directory of the server is ", "Set the directory "];
    assert_refused(
        &lab,
        &["--plugin-dir", &path(&missing)],
        1,
        &["does not exist on this machine", "mkdir -m 755"],
    )
    .await;
    assert_refused(&lab, &["--plugin-dir", &path(&other)], 1, &elsewhere).await;
    assert_refused(&lab, &["--plugin-dir", BINARY], 1, &["is not a directory", "Set the directory"]).await;
    mode(0o777);
    assert_refused(&lab, &[], 1, &[" is world-writable", "chmod go-w "]).await;
    mode(0o755);

    let before = take_snapshot(&lab).await;
    let output = as_nobody(&lab, &["register", NAME, "--mount", "custom"]).await;
    assert_output(
        &output,
        1,
        &["the plugin directory ", " is not writable", "Run this as the owner of the directory"],
    );
    assert_eq!(take_snapshot(&lab).await, before);
}

/// Runs our binary as a user without files, which needs root; otherwise as the current user with a closed directory.
async fn as_nobody(lab: &Lab, args: &[&str]) -> Output {
    if !rustix::process::geteuid().is_root() {
        fs::set_permissions(lab.vault.plugin_directory(), fs::Permissions::from_mode(0o555)).unwrap();
        return lab.program.run(args).await;
    }
    for open in [lab.folder(), lab.vault.directory()] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let ours = lab.folder().join("ours").display().to_string();
    // By another process: a program that another test starts would inherit the file descriptor that this process has open for writing, and
    // Linux does not execute a file that is open for writing.
    Program::new("/bin/cp").run([BINARY, &ours]).await.success();
    let prefix = ["--reuid=65534", "--regid=65534", "--clear-groups", &ours];
    Program::new("/usr/bin/setpriv").vault(&lab.vault).run(prefix.iter().chain(args)).await
}

#[tokio::test]
async fn a_server_without_a_plugin_directory_or_with_a_link_for_one_is_refused() {
    let none = Lab::with_vault(VaultServer::builder().without_plugin_directory()).await;
    let writes = none.writes();
    let says = [
        "the server has no plugin directory configured",
        "Set plugin_directory in the server's configuration",
    ];
    assert_output(&register(&none, &[]).await, 1, &says);
    assert_eq!(none.writes(), writes);

    let folder = tempfile::tempdir().unwrap();
    let (real, link) = (folder.path().join("real"), folder.path().join("link"));
    fs::create_dir(&real).unwrap();
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let linked = Lab::with_vault(VaultServer::builder().plugin_directory(&link)).await;
    let cure = format!("Set plugin_directory in the server's configuration to {}", real.display());
    assert_refused(&linked, &[], 1, &[" contains a symbolic link; its real path is ", &cure]).await;
}

#[tokio::test]
async fn a_sealed_server_is_refused() {
    let lab = Lab::new().await;
    let (before, writes) = (files(lab.vault.plugin_directory()), lab.writes());
    lab.vault.seal().await;
    let sealed = ["the server at http://127.0.0.1:", " is sealed", "Unseal it with `vault operator unseal`"];
    assert_output(&register(&lab, &[]).await, 1, &sealed);
    let output = lab.program.run(["creds", "get", "custom/creds/developer"]).await;
    assert_output(
        &output,
        1,
        &["could not read custom/creds/developer", "is sealed", "vault operator unseal"],
    );
    assert_eq!((files(lab.vault.plugin_directory()), lab.writes()), (before, writes + 1), "the seal itself");
}
