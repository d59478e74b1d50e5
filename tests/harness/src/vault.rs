//! A real Vault on a free loopback port with separate storage, plugin directory, logs and process group.

mod builder;
mod plugin_processes;
mod wal;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use reqwest::Client;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

pub use self::builder::{Storage, VaultServerBuilder};

use crate::failure_logs::FailureLogs;
use crate::network::{NetworkNamespace, PortForward};
use crate::output::Output;
use crate::process::GuardedProcess;
use crate::program::Program;
use crate::{chroot, eventually, network};

/// A Vault that is initialized with one key, unsealed and active.
///
/// Dropping it kills Vault and every plugin process, and removes its files. If the test fails then, its logs are kept, and the line `logs
/// kept: PATH` shows where.
pub struct VaultServer {
    binary: PathBuf,
    directory: TempDir,
    /// Its root, if it is not that of the machine.
    chroot: Option<PathBuf>,
    address: String,
    storage: Storage,
    plugin_directory: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    environment: Vec<(String, String)>,
    client: Client,
    unseal_key: String,
    root_token: String,
    process: Option<GuardedProcess>,
    /// Its network, if it is not that of the machine, and the forwarded port.
    network: Option<(Arc<NetworkNamespace>, PortForward)>,
}

/// The response to a request, such as [`VaultServer::request`].
#[derive(Debug, Clone, PartialEq)]
#[must_use = "assert the status, or take the body with `success`"]
pub struct ApiResponse {
    /// HTTP status.
    pub status: u16,
    /// The JSON document; `Null` for an empty body.
    pub body: Value,
}

impl VaultServer {
    /// The defaults: in-memory storage, a new plugin directory, plain HTTP, no audit device.
    pub fn builder() -> VaultServerBuilder {
        VaultServerBuilder::default()
    }

    /// Starts a Vault with the settings of [`VaultServer::builder`].
    pub async fn start_new() -> VaultServer {
        VaultServer::builder().start().await
    }

    /// Its URL, without a trailing slash. It stays the same after a restart.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The root token.
    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The key that unseals it.
    pub fn unseal_key(&self) -> &str {
        &self.unseal_key
    }

    /// The file with the CA of its certificate, if it uses TLS.
    pub fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref()
    }

    /// The directory of everything it writes: storage, logs, audit log, plugins.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Its plugin directory.
    ///
    /// # Panics
    ///
    /// If it was started without one.
    pub fn plugin_directory(&self) -> &Path {
        self.plugin_directory.as_deref().expect("this Vault was started without a plugin directory")
    }

    /// Its log and that of its plugins since the first start.
    pub fn logs(&self) -> String {
        fs::read_to_string(self.log_file()).expect("the log was opened when Vault was started")
    }

    /// The entries of the audit log, oldest first; empty without an audit device.
    ///
    /// # Panics
    ///
    /// If an entry is not JSON.
    pub fn audit_log(&self) -> Vec<Value> {
        let content = fs::read_to_string(self.audit_file()).unwrap_or_default();
        // What follows the last line feed is incomplete.
        let complete = content.rfind('\n').map_or("", |end| &content[..end]);
        complete.lines().map(|line| serde_json::from_str(line).expect("an audit entry is JSON")).collect()
    }

    /// Sends a request with the root token; `path` is what follows `/v1/`.
    ///
    /// # Panics
    ///
    /// If there is no response.
    pub async fn request(&self, method: &str, path: &str, body: Option<Value>) -> ApiResponse {
        self.send(method, path, body)
            .await
            .unwrap_or_else(|error| panic!("{method} {path}: {error}\n{}", self.logs()))
    }

    /// Names of the entries directly below a path of its storage; folders end in `/`. Needs [`VaultServerBuilder::raw_storage`].
    pub async fn list_raw_storage(&self, path: &str) -> Vec<String> {
        let reply = self.request("LIST", &format!("sys/raw/{path}"), None).await;
        if reply.status == 404 {
            return Vec::new();
        }
        let keys = reply.success()["data"]["keys"].take();
        serde_json::from_value(keys).expect("a list answers with names")
    }

    /// The decrypted JSON document at a path of its storage; `None` if there is no entry. Needs [`VaultServerBuilder::raw_storage`].
    ///
    /// # Panics
    ///
    /// If the entry is not JSON.
    pub async fn read_raw_storage(&self, path: &str) -> Option<Value> {
        let reply = self.request("GET", &format!("sys/raw/{path}"), None).await;
        if reply.status == 404 {
            return None;
        }
        let answer = reply.success();
        let text = answer["data"]["value"].as_str().expect("sys/raw answers with a text");
        Some(serde_json::from_str(text).unwrap_or_else(|error| panic!("{path} holds no JSON: {error}")))
    }

    /// Replaces the document at a path of its storage. Needs [`VaultServerBuilder::raw_storage`].
    pub async fn write_raw_storage(&self, path: &str, document: &Value) {
        let body = json!({"value": document.to_string()});
        self.request("PUT", &format!("sys/raw/{path}"), Some(body)).await.success();
    }

    /// Runs the official `vault` CLI against this server, with the root token.
    pub async fn cli<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        Program::new(&self.binary).vault(self).run(args).await
    }

    /// Path of the official CLI, for a [`Program`] with another environment.
    pub fn cli_binary(&self) -> &Path {
        &self.binary
    }

    /// Process id of Vault.
    ///
    /// # Panics
    ///
    /// If it is not running.
    pub fn pid(&self) -> u32 {
        self.process.as_ref().expect("Vault is running").id()
    }

    /// The processes whose executable is in the plugin directory, including those that a killed Vault has left behind.
    pub fn child_plugin_pids(&self) -> Vec<u32> {
        self.plugin_directory.as_deref().map(plugin_processes::running_below).unwrap_or_default()
    }

    /// Waits until no process runs from the plugin directory.
    pub async fn wait_no_plugins(&self) {
        eventually("no plugin process is left", async || match self.child_plugin_pids()[..] {
            [] => Ok(()),
            ref left => Err(format!("processes {left:?}")),
        })
        .await;
    }

    /// Seals it, and waits until it is sealed.
    pub async fn seal(&self) {
        self.request("PUT", "sys/seal", None).await.success();
        self.wait_health(503, "Vault is sealed").await;
    }

    /// Unseals it, and waits until it is active.
    pub async fn unseal(&self) {
        self.request("PUT", "sys/unseal", Some(json!({"key": self.unseal_key}))).await.success();
        self.wait_health(200, "Vault is unsealed and active").await;
    }

    /// Makes it step down, and waits until it is a standby.
    pub async fn step_down(&self) {
        self.request("PUT", "sys/step-down", None).await.success();
        self.wait_standby().await;
    }

    /// Waits until it is active.
    pub async fn wait_active(&self) {
        self.wait_health(200, "Vault is active").await;
    }

    /// Waits until it is a standby.
    pub async fn wait_standby(&self) {
        self.wait_health(429, "Vault is a standby").await;
    }

    /// Waits until a node of its raft cluster can be elected.
    async fn wait_vote(&self, node_id: &str) {
        eventually("the node has a vote", async || {
            let reply = self.request("GET", "sys/storage/raft/configuration", None).await.success();
            let servers = reply["data"]["config"]["servers"].clone();
            let is_it = |server: &Value| server["node_id"] == node_id && server["voter"] == true;
            if servers.as_array().is_some_and(|list| list.iter().any(is_it)) {
                Ok(())
            } else {
                Err(servers.to_string())
            }
        })
        .await;
    }

    /// Stops it with SIGTERM, as a service manager does, and waits for its end.
    pub async fn stop(&mut self) {
        self.stop_process(Signal::TERM).await;
    }

    /// Kills only the server with SIGKILL. Its plugins keep running.
    pub async fn kill(&mut self) {
        self.stop_process(Signal::KILL).await;
    }

    /// Starts it again after [`VaultServer::stop`] or [`VaultServer::kill`], on the same address, and unseals it.
    ///
    /// # Panics
    ///
    /// If its storage was lost, or it is running.
    pub async fn start(&mut self) {
        assert_ne!(self.storage, Storage::Memory, "what is in memory does not survive a restart");
        assert!(self.process.is_none(), "Vault runs already");
        self.spawn().await;
        self.unseal().await;
    }

    /// Stops it with SIGTERM, starts it again and unseals it.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    async fn send(&self, method: &str, path: &str, body: Option<Value>) -> reqwest::Result<ApiResponse> {
        let method = method.parse().expect("tests use valid methods");
        let mut request = self.client.request(method, format!("{}/v1/{path}", self.address));
        if !self.root_token.is_empty() {
            request = request.header("X-Vault-Token", &self.root_token);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        ApiResponse::read(request.send().await?).await
    }

    /// Starts the process, and waits until it responds.
    async fn spawn(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.log_file())
            .expect("the server's own directory is writable");
        let mut command = match &self.chroot {
            None => Command::new(&self.binary),
            Some(root) => chroot::chroot_command(root, Path::new("/vault")),
        };
        command.arg("server").arg("-config").arg(self.path_in_chroot(self.configuration_file()));
        if let Some((network, _)) = &self.network {
            command = network::command(network.namespace(), &command);
        }
        command
            .env_clear()
            .env("HOME", self.path_in_chroot(self.directory().to_owned()))
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            // Directory of the plugins' sockets, so that leftovers are removed with it.
            .env("TMPDIR", self.path_in_chroot(self.directory().join("tmp")))
            // Garbage collection would take a tenth of its time, and memory is sufficient.
            .env("GOGC", "400")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.directory())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("an open file can be cloned"))
            .stderr(log);
        let mut process = GuardedProcess::spawn(&mut command);
        eventually("Vault answers", async || {
            if let Some(status) = process.exited() {
                panic!("Vault ended ({status}) before it answered:\n{}", self.logs());
            }
            self.send("GET", "sys/health", None).await.map(|_| ())
        })
        .await;
        self.process = Some(process);
    }

    async fn initialise(&mut self) {
        let request = json!({"secret_shares": 1, "secret_threshold": 1});
        let answer = self.request("PUT", "sys/init", Some(request)).await.success();
        let text = |value: &Value| value.as_str().expect("sys/init answers with strings").to_owned();
        self.unseal_key = text(&answer["keys"][0]);
        self.root_token = text(&answer["root_token"]);
    }

    async fn stop_process(&mut self, signal: Signal) {
        self.process.take().expect("Vault is running").stop(signal).await;
    }

    async fn wait_health(&self, status: u16, what: &str) {
        eventually(what, async || match self.send("GET", "sys/health", None).await {
            Ok(health) if health.status == status => Ok(()),
            Ok(health) => Err(format!("{} {}", health.status, health.body)),
            Err(error) => Err(error.to_string()),
        })
        .await;
    }

    /// A path as Vault sees it.
    fn path_in_chroot(&self, path: PathBuf) -> PathBuf {
        match self.chroot.as_deref().and_then(|root| path.strip_prefix(root).ok()) {
            Some(below) => Path::new("/").join(below),
            None => path,
        }
    }

    fn configuration_file(&self) -> PathBuf {
        self.directory().join("vault.json")
    }

    fn log_file(&self) -> PathBuf {
        self.directory().join("vault.log")
    }

    fn audit_file(&self) -> PathBuf {
        self.directory().join("audit.log")
    }
}

impl Program {
    /// Configures the program for `vault`, with its root token.
    pub fn vault(self, vault: &VaultServer) -> Program {
        let program = self.env("VAULT_ADDR", vault.address()).env("VAULT_TOKEN", vault.root_token());
        match vault.ca_file() {
            Some(ca_file) => program.env("VAULT_CACERT", ca_file.display().to_string()),
            None => program,
        }
    }
}

impl Drop for VaultServer {
    fn drop(&mut self) {
        drop(self.process.take());
        // Plugins that have outlived a killed Vault.
        for pid in self.child_plugin_pids() {
            if let Some(pid) = Pid::from_raw(pid.cast_signed()) {
                // Fails if the plugin has ended.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        // After its end, so that the log is complete.
        let port = self.address.rsplit(':').next().unwrap_or_default();
        if let Some(kept) = FailureLogs::if_test_fails(&format!("vault-{port}")) {
            for file in [self.log_file(), self.audit_file(), self.configuration_file()] {
                kept.save(&file);
            }
        }
    }
}

impl ApiResponse {
    pub(crate) async fn read(response: reqwest::Response) -> reqwest::Result<ApiResponse> {
        let status = response.status().as_u16();
        let body = response.bytes().await?;
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body)
                .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned()))
        };
        Ok(ApiResponse { status, body })
    }

    /// The body of a response that must be successful.
    ///
    /// # Panics
    ///
    /// If it is not; the message contains the response.
    #[track_caller]
    pub fn success(self) -> Value {
        assert!((200..300).contains(&self.status), "the server answered {}: {}", self.status, self.body);
        self.body
    }
}
