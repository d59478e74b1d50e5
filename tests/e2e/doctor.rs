//! `doctor` on a real server. Each test breaks one thing; doctor reports exactly that, and the commands that it prints fix it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use harness::{DoctorRunner, ServerPool, build, eventually};
use rollout::Binary;
use serde_json::{Value, json};

use crate::lab::{BINARY, Lab, NAME};

mod binary;
mod catalog;
mod known_messages;
mod legacy_storage;
mod mounts;
mod old_sdk_plugins;
mod openbao;
mod permissions;
mod plugin_directory;
mod report_formats;
mod server;
mod several_findings;
mod target_catalog;

/// A version after ours.
const NEXT_VERSION: &str = "0.1.9";
const PLUGIN_FILE: &str = concat!("custom-plugin-", env!("CARGO_PKG_VERSION"));
const VERSION: &str = concat!("v", env!("CARGO_PKG_VERSION"));

/// Mount path of the canary mount.
const CANARY_MOUNT: &str = "vault-token-plugin-canary/";

/// A server, and doctor with its address and token.
struct DoctoredServer {
    lab: Lab,
    doctor: DoctorRunner,
}

/// Runs a test on a shared server, which has our plugin at `custom/` and must be healthy when the test ends.
fn on_shared_server(test: impl AsyncFnOnce(&DoctoredServer)) {
    // As many servers as keep two processors busy.
    static SERVERS: ServerPool<DoctoredServer> = ServerPool::new(3);
    SERVERS.run(DoctoredServer::healthy, test);
}

impl DoctoredServer {
    fn from_lab(lab: Lab) -> DoctoredServer {
        let doctor = DoctorRunner::new(BINARY, &[("vault", lab.vault.cli_binary())], &[], |program| {
            program.vault(&lab.vault)
        });
        DoctoredServer { lab, doctor }
    }

    /// With our plugin at `custom/`.
    async fn healthy() -> DoctoredServer {
        let server = DoctoredServer::from_lab(Lab::with_registered_plugin(&["custom"], "1h").await);
        server.doctor.assert_healthy().await;
        server
    }

    /// Like [`Server::healthy`], with the next version registered, and running at `custom/`.
    async fn with_next_version() -> DoctoredServer {
        let server = DoctoredServer::healthy().await;
        server.register_next().await;
        server.tune_to(NEXT_VERSION).await;
        server.write("sys/plugins/reload/backend", json!({"mounts": ["custom/"]})).await;
        server.doctor.assert_healthy().await;
        server
    }

    fn directory(&self) -> &Path {
        self.lab.vault.plugin_directory()
    }

    fn file(&self) -> PathBuf {
        self.directory().join(PLUGIN_FILE)
    }

    /// Changes the server's configuration, and restarts it.
    async fn reconfigure(&mut self, key: &str, value: Value) {
        let file = self.lab.vault.directory().join("vault.json");
        let mut configuration: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
        configuration[key] = value;
        fs::write(&file, configuration.to_string()).unwrap();
        self.lab.vault.restart().await;
    }

    async fn write(&self, path: &str, body: Value) -> Value {
        self.lab.vault.request("POST", path, Some(body)).await.success()
    }

    /// Configures the mount `custom/` to run this version at the next reload.
    async fn tune_to(&self, version: &str) {
        self.write("sys/mounts/custom/tune", json!({"plugin_version": format!("v{version}")})).await;
    }

    /// Registers the file through the API, with its checksum.
    async fn register_by_hand(&self, name: &str, version: &str, file: &str) {
        let path = self.directory().join(file);
        let there = Binary::read(&path, &mut |_, _| ()).map(|binary| binary.sha256);
        let sha256 = there.unwrap_or_else(|_| "0".repeat(64));
        let mut body = json!({"sha256": sha256, "command": file, "args": ["serve"]});
        if !version.is_empty() {
            body["version"] = json!(version);
        }
        self.write(&format!("sys/plugins/catalog/secret/{name}"), body).await;
    }

    /// Copies and registers the next version of our plugin.
    async fn register_next(&self) {
        let file = format!("{NAME}-{NEXT_VERSION}");
        let binary = build::with_patched_version(
            BINARY.as_ref(),
            env!("CARGO_PKG_VERSION"),
            NEXT_VERSION,
            self.lab.folder(),
        );
        self.place(&file, &fs::read(binary).unwrap());
        self.register_by_hand(NAME, &format!("v{NEXT_VERSION}"), &file).await;
    }

    async fn deregister_by_hand(&self, version: &str) {
        let path = format!("sys/plugins/catalog/secret/{NAME}?version={version}");
        self.lab.vault.request("DELETE", &path, None).await.success();
    }

    /// Waits until the server has noticed that its plugin has exited, and cannot restart it without its file.
    async fn wait_plugin_missed(&self) {
        eventually("the server has noticed that the plugin is gone", async || {
            let said = self.lab.vault.request("GET", "custom/config", None).await.body.to_string();
            said.contains("no such file or directory").then_some(())
        })
        .await;
    }

    /// Writes an executable file into the plugin directory.
    fn place(&self, file: &str, content: &[u8]) {
        let part = self.lab.folder().join("part");
        fs::write(&part, content).unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(&part, self.directory().join(file)).unwrap();
    }
}

/// An executable of another architecture.
fn for_other_architecture(mut program: Vec<u8>) -> Vec<u8> {
    build::set_foreign_machine(&mut program);
    program
}

/// An executable whose dynamic linker does not exist.
fn with_missing_linker(folder: &Path) -> Vec<u8> {
    fs::read(build::with_patched_version("/bin/true".as_ref(), "ld-linux-", "ld-absnt-", folder)).unwrap()
}
