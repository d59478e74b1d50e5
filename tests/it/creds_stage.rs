//! The embedded host with our plugin mounted at `custom/`, an upstream that issues tokens, and our binary.

use std::fs;
use std::path::{Path, PathBuf};

use dev_vault::{DevVault, Options};
use harness::{Program, Upstream, eventually};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Child;
use vault_api::logical::{Data, Write};
use vault_api::{Client, ClientConfig, Secret};

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");
pub(crate) const PATH: &str = "custom/creds/developer";

pub(crate) struct Stage {
    pub(crate) vault: DevVault,
    pub(crate) upstream: Upstream,
    pub(crate) program: Program,
    pub(crate) client: Client,
    _plugins: TempDir,
}

impl Stage {
    /// Leases of the role `developer` live for `ttl`, and for `max_ttl` at most.
    pub(crate) async fn new(ttl: &str, max_ttl: &str) -> Stage {
        let plugins = tempfile::tempdir().unwrap();
        let name = "custom-plugin";
        fs::copy(BINARY, plugins.path().join(name)).unwrap();
        let options = Options { plugin_directory: Some(plugins.path().to_owned()), ..Options::default() };
        let vault = DevVault::start(options).await.unwrap();
        let upstream = Upstream::start().await;
        let mut config = ClientConfig::new(vault.address());
        config.token = Some(Secret::new(vault.root_token()));
        let program =
            Program::new(BINARY).env("VAULT_ADDR", vault.address()).env("VAULT_TOKEN", vault.root_token());
        let stage =
            Stage { upstream, program, client: Client::new(&config).unwrap(), vault, _plugins: plugins };
        let sha256 = sha256(Path::new(BINARY)).await;
        let plugin = json!({"command": name, "args": ["serve"], "sha256": sha256});
        stage.write("sys/plugins/catalog/secret/custom-plugin", plugin).await;
        stage.write("sys/mounts/custom", json!({"type": name})).await;
        let (endpoint, key) = (stage.upstream.endpoint(), stage.upstream.api_key());
        let config = json!({"api_endpoint": endpoint, "api_key": key, "renew_upstream": true});
        stage.write("custom/config", config).await;
        let role = json!({"permissions": "read,write", "ttl": ttl, "max_ttl": max_ttl});
        stage.write("custom/roles/developer", role).await;
        stage
    }

    pub(crate) async fn write(&self, path: &str, data: Value) {
        let data = Data(data.as_object().unwrap().clone());
        self.client.send(&Write { path: path.to_owned(), data }).await.unwrap();
    }

    /// A file in the working directory of the program.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.program.home().join(name)
    }

    /// The text of a file, once it is not empty.
    pub(crate) async fn text(&self, name: &str) -> String {
        let path = self.file(name);
        eventually(name, async || fs::read_to_string(&path).ok().filter(|text| !text.is_empty())).await
    }

    /// `creds exec` of a shell script.
    pub(crate) fn exec(&self, options: &[&str], script: &str) -> Child {
        let args = ["creds", "exec", PATH].into_iter().chain(options.iter().copied());
        self.program.spawn(args.chain(["--", "sh", "-c", script]))
    }
}

pub(crate) fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(child.id().unwrap().cast_signed()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// How a program ended, and what it said.
pub(crate) async fn ended(child: Child) -> (Option<i32>, String) {
    let output = child.wait_with_output().await.unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

async fn sha256(file: &Path) -> String {
    let output = tokio::process::Command::new("sha256sum").arg(file).output().await.unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}
