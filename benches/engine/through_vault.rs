//! Measures the engine through a real Vault: latencies of clients, and the CPU time of Vault and of the plugin.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use harness::{Program, Storage, VaultServer};
use serde_json::json;

use crate::BoxError;
use crate::token_service::TokenService;

const CLIENTS: usize = 8;

const LOAD_DURATION: Duration = Duration::from_secs(8);

/// The result for eight clients.
pub(crate) struct VaultReport {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) vault_us: f64,
    pub(crate) plugin_us: f64,
}

/// Starts a Vault with the plugin mounted at `custom`, and the role `developer`.
pub(crate) async fn mounted(
    service: &TokenService,
    plugin: &Path,
    storage: Storage,
) -> Result<VaultServer, BoxError> {
    let vault = VaultServer::builder().storage(storage).start().await;
    let program = Program::new(env!("CARGO_BIN_EXE_vault-token-plugin")).vault(&vault);
    let description = program.home().join("plugin.yaml");
    fs::write(
        &description,
        format!(
            "plugin: {{name: custom-plugin, type: secret, binary: {}, args: [serve]}}\nmounts: [{{path: custom}}]\n\
             deployment: {{local: {{plugin_dir: {}}}}}\n",
            plugin.display(),
            vault.plugin_directory().display(),
        ),
    )?;
    program.run(["register", "-f", &description.display().to_string()]).await.success();
    let config = json!({"api_endpoint": service.endpoint, "api_key": "any-key"});
    vault.request("POST", "custom/config", Some(config)).await.success();
    let role = json!({"permissions": "read,write", "ttl": "1h"});
    vault.request("POST", "custom/roles/developer", Some(role)).await.success();
    Ok(vault)
}

pub(crate) async fn measure(
    service: &TokenService,
    plugin: &Path,
    storage: Storage,
) -> Result<VaultReport, BoxError> {
    let vault = mounted(service, plugin, storage).await?;
    let &[process] = vault.child_plugin_pids().as_slice() else {
        return Err("expected one plugin process".into());
    };
    // Warm up connections and caches before the measurement.
    run_load(&vault, Duration::from_secs(2)).await;
    let before = (cpu_time(vault.pid())?, cpu_time(process)?);
    let started = Instant::now();
    let mut times = run_load(&vault, LOAD_DURATION).await;
    let elapsed = started.elapsed();
    let (vault_time, plugin_time) = (cpu_time(vault.pid())? - before.0, cpu_time(process)? - before.1);
    times.sort_unstable();
    let count = times.len();
    let at = |percent: usize| times[(count * percent / 100).min(count - 1)].as_secs_f64() * 1e6;
    let each = |total: Duration| total.as_secs_f64() * 1e6 / count as f64;
    Ok(VaultReport {
        per_second: count as f64 / elapsed.as_secs_f64(),
        p50_us: at(50),
        p99_us: at(99),
        vault_us: each(vault_time),
        plugin_us: each(plugin_time),
    })
}

/// Sends requests from all clients, each as fast as it gets responses.
async fn run_load(vault: &VaultServer, duration: Duration) -> Vec<Duration> {
    let stop = AtomicBool::new(false);
    let client = async || {
        let mut times = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let started = Instant::now();
            vault.request("GET", "custom/creds/developer", None).await.success();
            times.push(started.elapsed());
        }
        times
    };
    let clients = async {
        tokio::join!(client(), client(), client(), client(), client(), client(), client(), client())
    };
    let (times, ()) = tokio::join!(clients, async {
        tokio::time::sleep(duration).await;
        stop.store(true, Ordering::Relaxed);
    });
    let (a, b, c, d, e, f, g, h) = times;
    let times: [Vec<Duration>; CLIENTS] = [a, b, c, d, e, f, g, h];
    times.concat()
}

/// Returns the CPU time of a process, user and system, of all threads.
pub(crate) fn cpu_time(pid: u32) -> Result<Duration, BoxError> {
    /// The unit of times in /proc, which is the same on all Linux systems.
    const CLOCK_TICK: Duration = Duration::from_millis(10);

    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program may contain any character, so parse after its closing parenthesis.
    let (_, values) = stat.rsplit_once(')').ok_or("unexpected format of /proc/PID/stat")?;
    let values: Vec<&str> = values.split_whitespace().collect();
    let ticks: u32 = values[11].parse::<u32>()? + values[12].parse::<u32>()?;
    Ok(CLOCK_TICK * ticks)
}
