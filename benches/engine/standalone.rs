//! Measures the plugin alone, with the official client and in-memory storage, and the baseline of a gRPC call.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::BoxError;
use crate::token_service::TokenService;

/// The result of a run of the driver.
#[derive(Deserialize)]
pub(crate) struct DriverReport {
    pub(crate) handshake_ms: f64,
    pub(crate) idle: MemoryUsage,
    pub(crate) many_mounts: MemoryUsage,
    pub(crate) loaded: MemoryUsage,
    /// Results by the number of concurrent callers.
    pub(crate) loads: BTreeMap<String, LoadResult>,
    pub(crate) large_ms: f64,
    pub(crate) large_plugin_ms: f64,
}

/// The memory of a process, as counted by the kernel.
#[derive(Deserialize)]
pub(crate) struct MemoryUsage {
    pub(crate) resident_kb: f64,
    /// Memory that is not backed by a file. The kernel can reclaim the rest, and all processes of a binary share it.
    pub(crate) anonymous_kb: f64,
}

/// Throughput, latencies and CPU time per request for a number of concurrent callers.
#[derive(Deserialize)]
pub(crate) struct LoadResult {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) plugin_us: f64,
    pub(crate) host_us: f64,
    /// Calls to the host per request, for storage and settings.
    pub(crate) host_calls: f64,
}

/// Measures everything that does not require a Vault.
pub(crate) fn measure(
    driver: &Path,
    service: &TokenService,
    plugin: &Path,
) -> Result<DriverReport, BoxError> {
    run_driver(driver, service, plugin, &[])
}

/// Measures requests without calls to the host: requests for a role with an invalid name.
pub(crate) fn measure_rejected(
    driver: &Path,
    service: &TokenService,
    plugin: &Path,
) -> Result<LoadResult, BoxError> {
    let mut report = run_driver(driver, service, plugin, &["-only", "roles/-", "-callers", "64"])?;
    report.loads.remove("64").ok_or_else(|| "the driver measured another load".into())
}

fn run_driver(
    driver: &Path,
    service: &TokenService,
    plugin: &Path,
    extra_args: &[&str],
) -> Result<DriverReport, BoxError> {
    let key = service.directory.path().join("key");
    let mut command = Command::new(driver);
    command.args(["bench", "-endpoint", &service.endpoint, "-key"]).arg(key).args(extra_args);
    read_report(command.arg(plugin).arg("serve"))
}

/// Measures a gRPC server without an engine.
pub(crate) fn measure_grpc_baseline(
    driver: &Path,
    echo: &Path,
    tls_mode: TlsMode,
) -> Result<LoadResult, BoxError> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("echo");
    let mut server = Command::new(echo);
    server.arg(&socket);
    let mut client = Command::new(driver);
    client.args(["echo", "-socket"]).arg(&socket);
    if tls_mode == TlsMode::Tls {
        server.arg("tls");
        client.arg("-tls");
    }
    let mut server = server.spawn()?;
    // The client waits for the socket.
    let report = read_report(client.args(["-pid", &server.id().to_string()]));
    server.kill()?;
    server.wait()?;
    report
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum TlsMode {
    Plain,
    Tls,
}

fn read_report<T: DeserializeOwned>(command: &mut Command) -> Result<T, BoxError> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("the driver failed: {}", output.status).into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}
