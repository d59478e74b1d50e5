//! Measures an upgrade on three and on nine pods, or on the given numbers of pods, and compares it with a correct shell script.
//!
//! `cargo bench --bench rollout -- [PODS...]`. Requires root, like every test on Kubernetes.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use harness::{Cluster, PluginVolume, Program, VaultPods, build};
use rand::Rng;
use serde_json::json;
use tempfile::TempDir;

/// Size in bytes of a typical plugin built with the Go SDK.
const BINARY_SIZE: usize = 25_000_000;
const MOUNTS: [&str; 2] = ["first", "second"];
const NAME: &str = "go-kv";

/// Number of upgrades of each method. The methods alternate.
const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // Cargo passes `--bench` itself.
    let numbers = std::env::args().skip(1).filter(|arg| arg != "--bench").map(|arg| arg.parse());
    let mut sizes: Vec<usize> = numbers.collect::<Result<_, _>>()?;
    if sizes.is_empty() {
        sizes = vec![3, 9];
    }
    print_line("| pods | `upgrade` | the shell script | ratio |")?;
    print_line("|---|---|---|---|")?;
    for replicas in sizes {
        let [ours, script] = measure(replicas).await?.map(|time| time.as_secs_f64());
        print_line(&format!("| {replicas} | {ours:.1} s | {script:.1} s | {:.2} |", ours / script))?;
    }
    Ok(())
}

/// Returns the median durations of `upgrade` and of the script.
async fn measure(replicas: usize) -> Result<[Duration; 2], Box<dyn Error>> {
    let cluster = Cluster::shared().await;
    let pods = VaultPods::builder(cluster).replicas(replicas).plugin_volume(PluginVolume::Persistent);
    let pods = pods.start().await;
    let folder = tempfile::tempdir()?;
    let ours = Program::new(env!("CARGO_BIN_EXE_vault-token-plugin")).pods(&pods);
    let script = Program::new(concat!(env!("CARGO_MANIFEST_DIR"), "/benches/rollout.sh"))
        .pods(&pods)
        .env("KUBECTL", build::kubectl().await.display().to_string());

    let first = build_binary("1.0.0", &folder).await?;
    for mount in MOUNTS {
        let line = format!(
            "register {NAME} --mount {mount} --binary {} -n {} --statefulset vault",
            first.display(),
            pods.namespace()
        );
        ours.run(line.split(' ')).await.success();
    }
    let mut times: [Vec<Duration>; 2] = Default::default();
    for round in 0..ROUNDS {
        for (method, durations) in times.iter_mut().enumerate() {
            let version = format!("1.{}.0", 1 + 2 * round + method);
            let file = build_binary(&version, &folder).await?;
            let started = Instant::now();
            if method == 0 {
                let line = format!(
                    "upgrade {NAME} --binary {} -n {} --statefulset vault",
                    file.display(),
                    pods.namespace()
                );
                ours.run(line.split(' ')).await.success();
            } else {
                let file = file.display().to_string();
                let line = [&[pods.namespace(), NAME, &version, &file][..], &MOUNTS].concat();
                script.run(line).await.success();
            }
            durations.push(started.elapsed());
            verify_running_version(&pods, &version).await?;
        }
    }
    Ok(times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2]
    }))
}

/// Builds a version of a Go plugin and pads it to a typical size. Data after the end of an executable is ignored.
async fn build_binary(version: &str, folder: &TempDir) -> Result<PathBuf, Box<dyn Error>> {
    let mut content = fs::read(build::go_kv(&format!("v{version}")).await)?;
    let length = content.len();
    if length < BINARY_SIZE {
        content.resize(BINARY_SIZE, 0);
        rand::rng().fill_bytes(&mut content[length..]);
    }
    let path = folder.path().join(format!("{NAME}-{version}"));
    fs::write(&path, content)?;
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(path)
}

async fn verify_running_version(pods: &VaultPods, version: &str) -> Result<(), Box<dyn Error>> {
    let active = pods.active().await;
    for mount in MOUNTS {
        let reply = pods.request(active, "GET", &format!("sys/mounts/{mount}"), None).await.success();
        if reply["running_plugin_version"] != json!(format!("v{version}")) {
            return Err(format!("{mount} runs {}", reply["running_plugin_version"]).into());
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a benchmark prints its result")]
fn print_line(line: &str) -> Result<(), Box<dyn Error>> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
