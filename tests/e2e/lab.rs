//! A real Vault, an upstream that issues tokens, and our binary to bring the two together.

use std::fs;
use std::path::{Path, PathBuf};

use harness::{
    IssuedToken, Output, PluginYamlBuilder, Product, Program, Storage, Upstream, VaultServer,
    VaultServerBuilder, eventually,
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) const NAME: &str = "custom-plugin";
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");

pub(crate) struct Lab {
    pub(crate) vault: VaultServer,
    pub(crate) upstream: Upstream,
    pub(crate) program: Program,
    folder: TempDir,
}

impl Lab {
    /// A Vault that forgets everything when it ends.
    pub(crate) async fn new() -> Lab {
        Lab::with_storage(Storage::Memory).await
    }

    pub(crate) async fn with_storage(storage: Storage) -> Lab {
        Lab::with_vault(VaultServer::builder().storage(storage)).await
    }

    pub(crate) async fn with_vault(vault: VaultServerBuilder) -> Lab {
        Lab::with_upstream(vault, Upstream::start().await).await
    }

    /// Any Vault, with an audit log and its storage in view.
    pub(crate) async fn with_upstream(vault: VaultServerBuilder, upstream: Upstream) -> Lab {
        Lab::start(vault.audit_log().raw_storage(), upstream).await
    }

    /// An OpenBao, which takes an audit device from its configuration only.
    pub(crate) async fn openbao() -> Lab {
        let vault = VaultServer::builder().product(Product::OpenBao).storage(Storage::Raft);
        Lab::start(vault, Upstream::start().await).await
    }

    async fn start(vault: VaultServerBuilder, upstream: Upstream) -> Lab {
        let vault = vault.start().await;
        let program = Program::new(BINARY).vault(&vault);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("api-key"), upstream.api_key()).unwrap();
        Lab { vault, upstream, program, folder }
    }

    /// A Vault with our plugin registered on `mounts`, each with a role `developer` whose leases live for `ttl`.
    pub(crate) async fn with_registered_plugin(mounts: &[&str], ttl: &str) -> Lab {
        let lab = Lab::new().await;
        lab.register(&lab.description(mounts, ttl)).await.success();
        lab
    }

    /// The description of the plugin as a user writes it.
    pub(crate) fn description(&self, mounts: &[&str], ttl: &str) -> String {
        self.description_of(Path::new(BINARY), mounts, ttl)
    }

    /// The same with another binary.
    pub(crate) fn description_of(&self, binary: &Path, mounts: &[&str], ttl: &str) -> String {
        PluginYamlBuilder::new(binary, self.upstream.endpoint(), self.api_key_file())
            .mounts(mounts)
            .role(format!(r#"permissions: "read,write", ttl: {ttl}, max_ttl: 24h"#))
            .for_local_server(self.vault.plugin_directory())
            .to_string()
    }

    pub(crate) async fn register(&self, description: &str) -> Output {
        let file = self.file("plugin.yaml", description);
        self.program.run(["register", "-f", file.to_str().unwrap(), "--yes", "--output", "json"]).await
    }

    /// Where the key of the upstream is, for whoever must not have it on a command line.
    pub(crate) fn api_key_file(&self) -> PathBuf {
        self.folder.path().join("api-key")
    }

    /// A folder that goes with the lab.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The requests that changed something so far; a question about capabilities is a POST and changes nothing.
    pub(crate) fn writes(&self) -> usize {
        let log = self.vault.audit_log();
        let written = log.iter().filter(|line| line["type"] == "request").filter(|line| {
            let operation = line["request"]["operation"].as_str().unwrap_or_default();
            let asks_only = line["request"]["path"] == "sys/capabilities-self";
            ["create", "update", "delete", "patch"].contains(&operation) && !asks_only
        });
        written.count()
    }

    pub(crate) fn file(&self, name: &str, content: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// One credential, read by the official CLI.
    pub(crate) async fn read_credential(&self, mount: &str) -> Value {
        self.vault.cli(["read", "-format=json", &format!("{mount}/creds/developer")]).await.json()
    }

    /// The upstream's id of a token.
    pub(crate) fn upstream_id(&self, credential: &Value) -> String {
        self.issued(credential["data"]["token"].as_str().unwrap()).id
    }

    /// What the upstream knows of a token.
    pub(crate) fn issued(&self, token: &str) -> IssuedToken {
        self.upstream.issued().into_iter().find(|issued| issued.token == token).unwrap()
    }

    /// Kills the one plugin process, and waits until it is gone. Returns its id.
    pub(crate) async fn kill_plugin(&self) -> u32 {
        let running = self.vault.child_plugin_pids();
        let [plugin] = running[..] else { panic!("not one plugin process but {running:?}") };
        self.kill_plugin_process(plugin).await;
        plugin
    }

    /// Kills a plugin process of the server, and waits until it is gone: a request in the moment of its death meets a closed
    /// socket, which Vault does not retry.
    pub(crate) async fn kill_plugin_process(&self, plugin: u32) {
        kill_process(Pid::from_raw(plugin.cast_signed()).unwrap(), Signal::KILL).unwrap();
        eventually("the killed plugin is gone", async || {
            (!self.vault.child_plugin_pids().contains(&plugin)).then_some(())
        })
        .await;
    }

    pub(crate) fn is_live(&self, id: &str) -> bool {
        self.upstream.live().iter().any(|issued| issued.id == id)
    }
}
