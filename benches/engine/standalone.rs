//! The plugin alone, under the official client with storage in the same process; and the floor under its calls.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::BoxError;
use crate::token_service::TokenService;

/// What one run of the driver found.
#[derive(Deserialize)]
pub(crate) struct DriverReport {
    pub(crate) handshake_ms: f64,
    pub(crate) idle: MemoryUsage,
    pub(crate) many_mounts: MemoryUsage,
    pub(crate) loaded: MemoryUsage,
    /// By the number of callers.
    pub(crate) loads: BTreeMap<String, LoadResult>,
    pub(crate) large_ms: f64,
    pub(crate) large_plugin_ms: f64,
}

/// What a process has of it, as the kernel counts it.
#[derive(Deserialize)]
pub(crate) struct MemoryUsage {
    pub(crate) resident_kb: f64,
    /// What is in no file: the kernel can take the rest, and all processes of a binary share it.
    pub(crate) anonymous_kb: f64,
}

/// What so many callers at once saw, and what a request cost in processor time.
#[derive(Deserialize)]
pub(crate) struct LoadResult {
    pub(crate) per_second: f64,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) plugin_us: f64,
    pub(crate) host_us: f64,
    /// What a request asked of the host: storage and settings.
    pub(crate) host_calls: f64,
}

/// Everything that can be measured without a Vault.
pub(crate) fn measure(
    driver: &Path,
    service: &TokenService,
    plugin: &Path,
) -> Result<DriverReport, BoxError> {
    run_driver(driver, service, plugin, &[])
}

/// Requests that need nothing of the host: a role whose name is none.
pub(crate) fn measure_rejected(
    driver: &Path,
    service: &TokenService,
    plugin: &Path,
) -> Result<LoadResult, BoxError> {
    let mut found = run_driver(driver, service, plugin, &["-only", "roles/-", "-callers", "64"])?;
    found.loads.remove("64").ok_or_else(|| "the driver measured another load".into())
}

fn run_driver(
    driver: &Path,
    service: &TokenService,
    plugin: &Path,
    more: &[&str],
) -> Result<DriverReport, BoxError> {
    let key = service.directory.path().join("key");
    let mut command = Command::new(driver);
    command.args(["bench", "-endpoint", &service.endpoint, "-key"]).arg(key).args(more);
    read_report(command.arg(plugin).arg("serve"))
}

/// A bare gRPC server in the plugin's place.
pub(crate) fn measure_grpc_baseline(
    driver: &Path,
    echo: &Path,
    security: TlsMode,
) -> Result<LoadResult, BoxError> {
    let directory = tempfile::tempdir()?;
    let socket = directory.path().join("echo");
    let mut server = Command::new(echo);
    server.arg(&socket);
    let mut client = Command::new(driver);
    client.args(["echo", "-socket"]).arg(&socket);
    if security == TlsMode::Tls {
        server.arg("tls");
        client.arg("-tls");
    }
    let mut server = server.spawn()?;
    // The client waits for the socket by itself.
    let found = read_report(client.args(["-pid", &server.id().to_string()]));
    server.kill()?;
    server.wait()?;
    found
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
