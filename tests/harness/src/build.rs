//! Builds the third-party binaries of `tests/servers` on first use, and caches them.

use std::collections::{HashMap, VecDeque};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use memchr::memmem;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};

/// The variable with the binary of another server to test with: an OpenBao, or another Vault.
const SERVER_OVERRIDE_VARIABLE: &str = "VAULT_TOKEN_PLUGIN_TEST_SERVER";

/// Length of the output of a failed build that is part of the message.
const MAX_ERROR_LINES: usize = 40;

/// Path of the real Vault, server and official CLI, or of the server that `VAULT_TOKEN_PLUGIN_TEST_SERVER` names.
///
/// Takes about ten minutes on two cores if it is not cached.
///
/// # Panics
///
/// If the build fails; the message has the end of its output. When the other server is not there.
pub async fn vault() -> PathBuf {
    match std::env::var_os(SERVER_OVERRIDE_VARIABLE).map(PathBuf::from) {
        None => build_once("vault", &[]).await,
        Some(other) => {
            let there = other.is_absolute() && other.is_file();
            assert!(
                there,
                "{SERVER_OVERRIDE_VARIABLE} is no absolute path of a program: {}",
                other.display()
            );
            other
        }
    }
}

/// Path of the real OpenBao, server and CLI.
///
/// Downloads the package that contains it if it is not cached.
///
/// # Panics
///
/// If that fails; the message has the end of its script's output.
pub async fn openbao() -> PathBuf {
    build_once("openbao", &[]).await
}

/// Path of mdBook with a small main. Its arguments are the folder of a `book.toml` and the output folder.
///
/// Takes about a minute on one core if it is not cached.
///
/// # Panics
///
/// If that fails; the message has the end of its script's output.
pub async fn mdbook() -> PathBuf {
    build_once("mdbook", &[]).await
}

/// Path of a real Prometheus; `promtool` is in the same folder.
///
/// Downloads Debian's package if it is not cached.
///
/// # Panics
///
/// If that fails; the message has the end of its script's output.
pub async fn prometheus() -> PathBuf {
    build_once("prometheus", &[]).await
}

/// Path of a static busybox of the same release as that of Vault's own image.
///
/// Downloads Debian's package if it is not cached.
///
/// # Panics
///
/// If that fails; the message has the end of its script's output.
pub async fn busybox() -> PathBuf {
    build_once("busybox", &[]).await
}

/// Path of a real Kubernetes and etcd: one binary with all components, which the first argument selects.
///
/// Takes about eight minutes on two cores if it is not cached.
///
/// # Panics
///
/// If the build fails; the message has the end of its script's output.
pub async fn kubernetes() -> PathBuf {
    build_once("kubernetes", &[]).await
}

/// Path of the official kubectl.
///
/// # Panics
///
/// If the build fails; the message has the end of its script's output.
pub async fn kubectl() -> PathBuf {
    build_once("kubernetes", &[]).await.with_file_name("kubectl")
}

/// Path of a Debian program that many machines lack: `ctr`, `skopeo`, `umoci`, `docker-registry`.
///
/// Unpacks Debian's packages into the cache on first use; installs nothing.
///
/// # Panics
///
/// If that fails; the message has the end of its script's output.
pub async fn debian_program(name: &str) -> PathBuf {
    build_once("debian", &[]).await.join(name)
}

/// Path of a real Go plugin, HashiCorp's key/value engine, that reports `version` (`v1.2.3`).
///
/// Two versions are two binaries with different checksums.
///
/// # Panics
///
/// If the build fails; the message has the end of its script's output.
pub async fn go_kv(version: &str) -> PathBuf {
    build_once("go-kv", &[version]).await
}

/// The path of a database plugin for Redis, which reports `version` with its `v`.
pub async fn go_redis(version: &str) -> PathBuf {
    build_once("go-redis", &[version]).await
}

/// The path of the JWT auth method, which reports `version` with its `v`.
pub async fn go_jwt(version: &str) -> PathBuf {
    build_once("go-jwt", &[version]).await
}

/// The path of the LDAP secrets engine, which reports `version` with its `v`.
pub async fn go_openldap(version: &str) -> PathBuf {
    build_once("go-openldap", &[version]).await
}

/// The path of a starter of Debian's OpenLDAP server and its tools, of which the first argument is the name. With `root` it prints the
/// directory into which they are unpacked.
pub async fn slapd() -> PathBuf {
    build_once("slapd", &[]).await
}

/// The path of Debian's Redis server.
pub async fn redis_server() -> PathBuf {
    build_once("redis", &[]).await
}

/// Path of the token engine written in Go with the official SDK.
///
/// # Panics
///
/// If the build fails; the message has the end of its script's output.
pub async fn go_twin() -> PathBuf {
    build_once("go-twin", &[]).await
}

/// Path of the driver on the official SDK, which is a host of plugins and a reference for comparisons.
///
/// # Panics
///
/// If the build fails; the message has the end of its script's output.
pub async fn go_driver() -> PathBuf {
    build_once("go-driver", &[]).await
}

/// Path of the host and plugin on the official go-plugin library.
///
/// # Panics
///
/// If the build fails; the message has the end of its script's output.
pub async fn go_host() -> PathBuf {
    build_once("go-host", &[]).await
}

/// Path of a program that starts a real JupyterHub.
///
/// # Panics
///
/// When it cannot be fetched or built; the message has the end of its script's output.
pub(crate) async fn jupyterhub() -> PathBuf {
    build_once("jupyterhub", &[]).await
}

/// Path of a program that starts a real Verdaccio.
///
/// # Panics
///
/// When it cannot be fetched or built; the message has the end of its script's output.
pub(crate) async fn verdaccio() -> PathBuf {
    build_once("verdaccio", &[]).await
}

/// Path of a program that starts a real OpenStack Keystone.
///
/// # Panics
///
/// When it cannot be fetched or built; the message has the end of its script's output.
pub(crate) async fn keystone() -> PathBuf {
    build_once("keystone", &[]).await
}

/// Path of a program that starts a real Keycloak.
///
/// # Panics
///
/// When it cannot be fetched or built; the message has the end of its script's output.
pub(crate) async fn keycloak() -> PathBuf {
    build_once("keycloak", &[]).await
}

/// Path of a program that is a real Ory Hydra.
///
/// # Panics
///
/// When it cannot be fetched or built; the message has the end of its script's output.
pub(crate) async fn hydra() -> PathBuf {
    build_once("hydra", &[]).await
}

/// Path of a real Gitea. The files that it reads when it runs are in the same folder.
///
/// Takes about three minutes on two cores if it is not cached.
///
/// # Panics
///
/// When it cannot be fetched or built; the message has the end of its script's output.
pub(crate) async fn gitea() -> PathBuf {
    build_once("gitea", &[]).await
}

/// Path of a program that starts a real devpi server.
///
/// # Panics
///
/// When it cannot be fetched or built; the message has the end of its script's output.
pub(crate) async fn devpi() -> PathBuf {
    build_once("devpi", &[]).await
}

/// Path of a real PocketBase.
///
/// # Panics
///
/// When it cannot be fetched; the message has the end of its script's output.
pub(crate) async fn pocketbase() -> PathBuf {
    build_once("pocketbase", &[]).await
}

/// Path of one of go-plugin's own example programs: `official-grpc`, `official-bidirectional`, `official-plugin-grpc` or
/// `official-plugin-bidirectional`.
///
/// # Panics
///
/// If the build fails; the message has the end of its script's output.
pub async fn go_plugin_example(name: &str) -> PathBuf {
    build_once("go-host", &[]).await.with_file_name(name)
}

/// Path of an example of a crate of this workspace that was built with this test.
///
/// # Panics
///
/// If it was not built.
pub fn prebuilt_example(name: &str) -> PathBuf {
    cargo_artifact(&format!("examples/{name}"))
}

/// A file that Cargo has put beside the folder of this test.
fn cargo_artifact(path: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let built = test.ancestors().nth(2).expect("tests lie in a folder beside what they need").join(path);
    let how = "test the whole workspace, or run `cargo build --workspace --examples` first";
    assert!(built.exists(), "{} is not built: {how}", built.display());
    built
}

/// Path of an example of a crate of this workspace, in the release profile.
///
/// # Panics
///
/// If the build fails; its output went to standard error.
pub async fn example(package: &str, name: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--release", "--package", package, "--example", name])
        .current_dir(&workspace)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await
        .expect("cargo built this test");
    assert!(status.success(), "cargo build of example {name} failed: {status}");
    workspace.join("target/release/examples").join(name)
}

/// Path of a small Go plugin, built with this release of HashiCorp's SDK: `v0.1.13`, `v0.7.0` or `v0.25.0`.
///
/// `GO_SDK_FAULT` selects a fault: with `crash` it exits during setup, with `request` when it is read, with `deaf` it does not exit when it
/// is stopped, with `kind` it is an auth method, and with `lease` it leases what is read, also on a standby.
///
/// # Panics
///
/// If the build fails; the message has the end of its script's output.
pub async fn go_sdk(release: &str) -> PathBuf {
    build_once("go-sdk", &[release]).await
}

/// Path of a binary of this workspace in the debug profile, linked statically, so that it runs in an empty root.
///
/// It is built for the architecture of this machine in a separate folder below `target`, including dependencies, unless this test is linked
/// statically too.
///
/// # Panics
///
/// If the build fails; its output went to standard error.
pub async fn static_binary(package: &str) -> PathBuf {
    // Then the binary that was built with this test is static.
    if cfg!(target_feature = "crt-static") {
        return cargo_artifact(package);
    }
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = workspace.join("target/static");
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--locked",
            "--quiet",
            "--target",
            "host-tuple",
            "--package",
            package,
            "--bin",
            package,
        ])
        .arg("--target-dir")
        .arg(&folder)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .current_dir(&workspace)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await
        .expect("cargo built this test");
    assert!(status.success(), "cargo build of a static {package} failed: {status}");
    // The folder is named after the target if one is given.
    let built = fs::read_dir(&folder).expect("cargo made it").filter_map(|entry| Some(entry.ok()?.path()));
    let binaries = built.map(|target| target.join("debug").join(package));
    binaries.into_iter().find(|binary| binary.exists()).expect("cargo built it")
}

/// The program as of a commit of this repository, built from its history. Takes about four minutes on two cores, once.
///
/// # Panics
///
/// If the history is missing, as in a shallow clone, or the build fails; its output went to standard error.
pub async fn program_at_commit(commit: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folder = workspace.join("target/at-commit").join(commit);
    let (source, target) = (folder.join("source"), folder.join("target"));
    fs::create_dir_all(&source).expect("the target directory is writable");
    let extract = r#"git archive "$1" | tar -x -C "$2""#;
    let status = Command::new("bash")
        .args(["-euo", "pipefail", "-c", extract, "bash", commit])
        .arg(&source)
        .current_dir(&workspace)
        .stdin(Stdio::null())
        .status()
        .await
        .expect("bash is part of every machine that runs the tests");
    assert!(
        status.success(),
        "git archive {commit}: {status}; a shallow clone lacks it (git fetch --unshallow)"
    );
    let status = Command::new(env!("CARGO"))
        .args(["build", "--locked", "--quiet", "--bin", "vault-token-plugin", "--target-dir"])
        .arg(&target)
        .current_dir(&source)
        .env_remove("CARGO_BUILD_TARGET")
        .env_remove("RUSTFLAGS")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .await
        .expect("cargo built this test");
    assert!(status.success(), "cargo build of {commit} failed: {status}");
    target.join("debug/vault-token-plugin")
}

/// Offset of the machine in an ELF file: two bytes, little endian.
const ELF_MACHINE_RANGE: std::ops::Range<usize> = 18..20;

/// Changes the architecture of `program`, an ELF file, to a foreign one: arm64, or amd64 on arm64.
///
/// # Panics
///
/// If it is too short for an ELF file.
pub fn set_foreign_machine(program: &mut [u8]) {
    let (amd64, arm64) = (62_u16, 183_u16);
    let foreign = if cfg!(target_arch = "aarch64") { amd64 } else { arm64 };
    program[ELF_MACHINE_RANGE].copy_from_slice(&foreign.to_le_bytes());
}

/// A copy of `binary` in `directory` in which every version number `from` is replaced by `to`, of the same length. It looks like another
/// release of the same program.
///
/// # Panics
///
/// If the version number is not in the binary.
pub fn with_patched_version(binary: &Path, from: &str, to: &str, directory: &Path) -> PathBuf {
    assert_eq!(from.len(), to.len(), "everything behind it has to stay where it is");
    let mut content = fs::read(binary).expect("the binary is there");
    let places: Vec<usize> = memmem::find_iter(&content, from).collect();
    assert!(!places.is_empty(), "{} does not hold {from}", binary.display());
    for place in places {
        content[place..place + to.len()].copy_from_slice(to.as_bytes());
    }
    let copy = directory.join(format!("release-{to}"));
    fs::write(&copy, content).expect("the directory is writable");
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("it is our own file");
    copy
}

/// The highest version number of the same length as `version`: `9.9.9` for `0.1.0`.
pub fn highest_version(version: &str) -> String {
    version.chars().map(|sign| if sign.is_ascii_digit() { '9' } else { sign }).collect()
}

/// A copy of `binary`, which reports `version`, in `directory` that reports [`highest_version`].
///
/// # Panics
///
/// If the version number is not in the binary.
pub fn with_next_version(binary: &Path, version: &str, directory: &Path) -> PathBuf {
    with_patched_version(binary, version, &highest_version(version), directory)
}

/// Runs a build script once per process and set of arguments.
async fn build_once(server: &str, args: &[&str]) -> PathBuf {
    type Results = HashMap<String, Arc<OnceCell<PathBuf>>>;
    static RESULTS: OnceCell<Mutex<Results>> = OnceCell::const_new();

    let results = RESULTS.get_or_init(async || Mutex::default()).await;
    let key = format!("{server} {}", args.join(" "));
    let result = results.lock().await.entry(key).or_default().clone();
    result.get_or_init(async || run_script(server, args).await).await.clone()
}

async fn run_script(server: &str, args: &[&str]) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../servers").join(server).join("build");
    run_build(Command::new(&script).args(args)).await
}

/// Runs a build script, and forwards its progress.
async fn run_build(command: &mut Command) -> PathBuf {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", command.as_std()));
    let mut stderr = BufReader::new(child.stderr.take().expect("standard error is piped")).lines();
    let progress = async {
        let mut last = VecDeque::new();
        while let Ok(Some(line)) = stderr.next_line().await {
            show_progress(&line);
            if last.len() == MAX_ERROR_LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
        Vec::from(last).join("\n")
    };
    let (output, said) = tokio::join!(child.wait_with_output(), progress);
    let output = output.expect("our own child can be waited for");
    assert!(output.status.success(), "{:?} failed ({}):\n{said}", command.as_std(), output.status);
    let stdout = String::from_utf8_lossy(&output.stdout);
    PathBuf::from(stdout.lines().last().expect("a build script prints the path of its binary last"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the person who waits for a long build sees it, past the test's runner"
)]
fn show_progress(line: &str) {
    // Fails if standard error is closed.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_path_is_the_last_line_of_a_build() {
        let mut build = Command::new("/bin/sh");
        build.args(["-c", "echo progress >&2; echo first; echo /path/of/it"]);
        assert_eq!(run_build(&mut build).await, Path::new("/path/of/it"));
    }

    #[tokio::test]
    #[should_panic(expected = "failed (exit status: 3):\ncannot compile")]
    async fn a_build_that_fails_shows_what_it_said() {
        run_build(Command::new("/bin/sh").args(["-c", "echo cannot compile >&2; exit 3"])).await;
    }
}
