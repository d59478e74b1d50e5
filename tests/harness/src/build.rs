//! Builds the third-party binaries of `tests/servers` on first use, and finds them in the cache after that.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use tokio::process::Command;
use tokio::sync::{Mutex, OnceCell};

/// Path of the real Vault, server and official CLI.
///
/// About ten minutes of two cores when it is not cached yet.
///
/// # Panics
///
/// When the build fails; its output went to standard error.
pub async fn vault() -> PathBuf {
    built("vault", &[]).await
}

/// Path of a real Go plugin, HashiCorp's key/value engine, that reports `version` (`v1.2.3`) as its own.
///
/// Two versions are two binaries with two checksums.
///
/// # Panics
///
/// When the build fails; its output went to standard error.
pub async fn go_kv(version: &str) -> PathBuf {
    built("go-kv", &[version]).await
}

/// Runs a build script once in this process for each set of arguments.
async fn built(server: &str, args: &[&str]) -> PathBuf {
    type Results = HashMap<String, Arc<OnceCell<PathBuf>>>;
    static RESULTS: OnceCell<Mutex<Results>> = OnceCell::const_new();

    let results = RESULTS.get_or_init(async || Mutex::default()).await;
    let key = format!("{server} {}", args.join(" "));
    let result = results.lock().await.entry(key).or_default().clone();
    result.get_or_init(async || run_script(server, args).await).await.clone()
}

async fn run_script(server: &str, args: &[&str]) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../servers").join(server).join("build");
    let output = Command::new(&script)
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .await
        .unwrap_or_else(|error| panic!("cannot run {}: {error}", script.display()));
    assert!(output.status.success(), "{} failed: {}", script.display(), output.status);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let path = stdout.lines().last().expect("a build script prints the path of its binary last");
    PathBuf::from(path)
}
