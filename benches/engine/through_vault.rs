//! The same through a real Vault: what a client of it sees, and what Vault and the plugin each spend.

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

/// What eight clients saw.
pub(crate) struct VaultReport {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) vault_us: f64,
    pub(crate) plugin_us: f64,
}

/// A Vault whose mount `custom` runs the plugin, with the role `developer`.
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
        return Err("a mounted plugin is one process".into());
    };
    // Connections and caches are made before it counts.
    run_load(&vault, Duration::from_secs(2)).await;
    let before = (cpu_time(vault.pid())?, cpu_time(process)?);
    let started = Instant::now();
    let mut times = run_load(&vault, LOAD_DURATION).await;
    let elapsed = started.elapsed();
    let (vault_time, plugin_time) = (cpu_time(vault.pid())? - before.0, cpu_time(process)? - before.1);
    times.sort_unstable();
    let count = times.len();
    let at = |share: usize| times[(count * share / 100).min(count - 1)].as_secs_f64() * 1e6;
    let each = |total: Duration| total.as_secs_f64() * 1e6 / count as f64;
    Ok(VaultReport {
        per_second: count as f64 / elapsed.as_secs_f64(),
        p50_us: at(50),
        p99_us: at(99),
        vault_us: each(vault_time),
        plugin_us: each(plugin_time),
    })
}

/// Lets the clients ask as fast as they are answered.
async fn run_load(vault: &VaultServer, lasting: Duration) -> Vec<Duration> {
    let stop = AtomicBool::new(false);
    let client = async || {
        let mut times = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let asked = Instant::now();
            vault.request("GET", "custom/creds/developer", None).await.success();
            times.push(asked.elapsed());
        }
        times
    };
    let clients = async {
        tokio::join!(client(), client(), client(), client(), client(), client(), client(), client())
    };
    let (times, ()) = tokio::join!(clients, async {
        tokio::time::sleep(lasting).await;
        stop.store(true, Ordering::Relaxed);
    });
    let (a, b, c, d, e, f, g, h) = times;
    let times: [Vec<Duration>; CLIENTS] = [a, b, c, d, e, f, g, h];
    times.concat()
}

/// Processor time of a process, all threads, user and system.
fn cpu_time(pid: u32) -> Result<Duration, BoxError> {
    /// The unit of the times in /proc, the same on every Linux.
    const CLOCK_TICK: Duration = Duration::from_millis(10);

    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program may hold anything; what follows it does not.
    let (_, values) = stat.rsplit_once(')').ok_or("a process has a name")?;
    let values: Vec<&str> = values.split_whitespace().collect();
    let ticks: u32 = values[11].parse::<u32>()? + values[12].parse::<u32>()?;
    Ok(CLOCK_TICK * ticks)
}
