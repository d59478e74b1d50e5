//! Three pods under load, two versions of our plugin, and what must hold of them after a fault.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;

use harness::{Account, Cluster, Load, PluginVolume, Program, Upstream, VaultPods, build, eventually};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::gate::Gate;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");
pub(crate) const NAME: &str = "custom-plugin";
pub(crate) const OLD: &str = env!("CARGO_PKG_VERSION");
pub(crate) const MOUNTS: [&str; 2] = ["first", "second"];

/// The version after ours, of the same length.
pub(crate) fn new() -> String {
    OLD.chars().map(|sign| if sign.is_ascii_digit() { '9' } else { sign }).collect()
}

/// Three pods that run the old version on two mounts, and a way to them that can be cut.
pub(crate) struct Lab {
    pub(crate) pods: VaultPods,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) gate: Gate,
    pub(crate) old: PathBuf,
    pub(crate) new: PathBuf,
    pub(crate) folder: TempDir,
}

impl Lab {
    pub(crate) async fn start() -> Lab {
        let cluster = Cluster::shared().await;
        let upstream = Upstream::builder().in_network_of(cluster).start().await;
        let pods = VaultPods::builder(cluster).plugin_volume(PluginVolume::Persistent).raw_storage();
        let pods = pods.start().await;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("api-key"), upstream.api_key()).unwrap();
        let old = stripped(&build::static_binary("vault-token-plugin").await, folder.path());
        let new = build::another_version(&old, OLD, &new(), folder.path());
        let gate = Gate::open(cluster.kubeconfig(), folder.path()).await;
        let lab = Lab { pods, upstream: Arc::new(upstream), gate, old, new, folder };
        let file = lab.description(&lab.old, &MOUNTS);
        lab.program().run(["register", "-f", file.to_str().unwrap()]).await.success();
        lab
    }

    /// Our binary, which reaches the API server through the gate.
    pub(crate) fn program(&self) -> Program {
        self.program_with(self.pods.root_token())
    }

    pub(crate) fn program_with(&self, token: &str) -> Program {
        Program::new(BINARY)
            .env("KUBECONFIG", self.gate.kubeconfig().display().to_string())
            .env("VAULT_TOKEN", token)
    }

    /// The description of a version as a user writes it.
    pub(crate) fn description(&self, binary: &Path, mounts: &[&str]) -> PathBuf {
        let mount = |path: &&str| {
            format!(
                "- path: {path}\n  write:\n    config: {{api_endpoint: \"{}\", api_key: {{file: ./api-key}}}}\n    \
                 roles/developer: {{permissions: read, ttl: 1h}}\n  smoke: {{read: creds/developer}}\n",
                self.upstream.endpoint()
            )
        };
        let text = format!(
            "plugin: {{name: {NAME}, binary: {}, args: [serve]}}\nmounts:\n{}\
             site: {{kubernetes: {{namespace: {}, statefulset: vault}}}}\n",
            binary.display(),
            mounts.iter().map(mount).collect::<String>(),
            self.pods.namespace(),
        );
        let name = binary.file_name().unwrap().to_str().unwrap();
        let file = self.folder.path().join(format!("{name}.yaml"));
        fs::write(&file, text).unwrap();
        file
    }

    pub(crate) fn load(&self) -> Load {
        Load::start(&self.pods, &self.upstream, &MOUNTS)
    }

    /// Who is active, and since when.
    pub(crate) async fn leadership(&self) -> String {
        let active = self.pods.active().await;
        let leader = self.pods.api(active, "GET", "sys/leader", None).await.success();
        format!("{active} since {}", leader["active_time"])
    }

    /// What the mounts run.
    pub(crate) async fn running(&self) -> BTreeSet<String> {
        self.of_mounts(&["running_plugin_version"]).await
    }

    async fn of_mounts(&self, fields: &[&str]) -> BTreeSet<String> {
        let all = self.get("sys/mounts").await;
        let value = |mount: &str, field: &str| all[format!("{mount}/")][field].as_str().unwrap().to_owned();
        let of = |mount: &&str| fields.iter().map(|field| value(mount, field)).collect::<Vec<_>>();
        MOUNTS.iter().flat_map(of).collect()
    }

    /// Asks the active Vault, and the next one if that is no longer active.
    pub(crate) async fn get(&self, path: &str) -> Value {
        eventually(&format!("an active Vault answers GET {path}"), async || {
            let reply = self.pods.api(self.pods.active().await, "GET", path, None).await;
            (reply.status < 300).then_some(reply.body)
        })
        .await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        self.pods.api(self.pods.active().await, method, path, body).await.success()
    }

    /// Fails unless a mount runs one of both versions as a whole.
    pub(crate) async fn assert_old_or_new(&self) {
        let (old, new) = (format!("v{OLD}"), format!("v{}", new()));
        let running = self.running().await;
        assert!(running.iter().all(|version| [&old, &new].contains(&version)), "the mounts run {running:?}");
    }

    /// Fails unless all mounts run this version, are configured to, and every pod has its file.
    pub(crate) async fn assert_all_on(&self, version: &str) {
        let versions = self.of_mounts(&["running_plugin_version", "plugin_version"]).await;
        let pinned = self.get_if_there(&format!("sys/plugins/pins/secret/{NAME}")).await;
        // Under a pin the mounts' own version says nothing.
        let versions = if pinned.is_some() { self.running().await } else { versions };
        assert_eq!(versions, BTreeSet::from([format!("v{version}")]), "what mounts run and are told to run");
        let content = fs::read(if version == OLD { &self.old } else { &self.new }).unwrap();
        for pod in self.pods.names() {
            let file = self.pods.plugin_directory(pod).await.join(format!("{NAME}-{version}"));
            assert!(fs::read(&file).is_ok_and(|there| there == content), "{pod} lacks the file of {version}");
        }
    }

    pub(crate) async fn get_if_there(&self, path: &str) -> Option<Value> {
        let reply = self.pods.api(self.pods.active().await, "GET", path, None).await;
        (reply.status != 404).then(|| reply.success())
    }

    /// Fails when a run has left something that nobody needs.
    pub(crate) async fn assert_nothing_is_left_but(&self, versions: &[&str]) {
        let mounts = self.get("sys/mounts").await;
        let mut left: Vec<String> = mounts["data"].as_object().unwrap().keys().cloned().collect();
        left.retain(|path| path.contains("canary"));
        let catalog = self.get("sys/plugins/catalog").await;
        for entry in catalog["data"]["detailed"].as_array().unwrap() {
            let known = entry["name"] == NAME
                && versions.iter().any(|version| entry["version"] == format!("v{version}").as_str());
            if entry["builtin"] == false && !known {
                left.push(format!("{} {}", entry["name"], entry["version"]));
            }
        }
        for pod in self.pods.names() {
            for file in fs::read_dir(self.pods.plugin_directory(pod).await).unwrap() {
                let file = file.unwrap().file_name().into_string().unwrap();
                if !versions.iter().any(|version| file == format!("{NAME}-{version}")) {
                    left.push(format!("{file} in {pod}"));
                }
            }
        }
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    /// Fails unless every lease in a client's hands is alive, and every live token is on record. Ends all leases.
    pub(crate) async fn settle(&self, account: &Account) {
        for (lease, token) in &account.kept {
            let lookup = Some(json!({"lease_id": lease}));
            let reply = self.pods.api(self.pods.active().await, "PUT", "sys/leases/lookup", lookup).await;
            assert_eq!(reply.status, 200, "a lease is lost: {}", reply.body);
            assert!(self.upstream.takes(token), "the token of a living lease is revoked");
        }
        for mount in MOUNTS {
            self.send("PUT", &format!("sys/leases/revoke-prefix/{mount}/creds"), None).await;
        }
        let announced = self.announced().await;
        let mut live: Vec<String> = self.upstream.live().into_iter().map(|issued| issued.name).collect();
        live.retain(|name| !announced.contains(name));
        assert!(
            live.is_empty(),
            "{} tokens upstream have neither a lease nor a record: {live:?}",
            live.len()
        );
    }

    /// The names of tokens in the plugin's write-ahead log, which Vault has it take back by itself.
    async fn announced(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for mount in MOUNTS {
            let uuid = self.get(&format!("sys/mounts/{mount}")).await["data"]["uuid"].clone();
            let log = format!("sys/raw/logical/{}/wal", uuid.as_str().unwrap());
            let listed = self.pods.api(self.pods.active().await, "LIST", &log, None).await;
            for key in listed.body["data"]["keys"].as_array().into_iter().flatten() {
                // It may be done between the list and this.
                let Some(entry) = self.get_if_there(&format!("{log}/{}", key.as_str().unwrap())).await else {
                    continue;
                };
                let entry: Value = serde_json::from_str(entry["data"]["value"].as_str().unwrap()).unwrap();
                names.extend(entry["data"]["order"]["name"].as_str().map(str::to_owned));
            }
        }
        names
    }

    /// Puts everything back to the old version, or to the new one beside it, past the program under test.
    pub(crate) async fn reset(&self, to: &str) {
        self.upstream.heal();
        self.pods.wait_whole().await;
        if self.get_if_there(&format!("sys/plugins/pins/secret/{NAME}")).await.is_some() {
            self.send("DELETE", &format!("sys/plugins/pins/secret/{NAME}"), None).await;
        }
        if to == new() {
            self.bring_new().await;
        }
        for mount in MOUNTS {
            let tune = json!({"plugin_version": format!("v{to}")});
            self.send("POST", &format!("sys/mounts/{mount}/tune"), Some(tune)).await;
        }
        self.send("PUT", "sys/plugins/reload/backend", Some(json!({"mounts": MOUNTS}))).await;
        if to == OLD {
            self.send("DELETE", &format!("sys/plugins/catalog/secret/{NAME}?version=v{}", new()), None).await;
            for pod in self.pods.names() {
                // Where it was never brought there is nothing to remove.
                let _ =
                    fs::remove_file(self.pods.plugin_directory(pod).await.join(format!("{NAME}-{}", new())));
            }
        }
        assert_eq!(self.running().await, BTreeSet::from([format!("v{to}")]), "after putting it back");
    }

    async fn bring_new(&self) {
        for pod in self.pods.names() {
            self.pods.place(pod, &self.new, &format!("{NAME}-{}", new())).await;
        }
        let entry = json!({
            "version": format!("v{}", new()), "command": format!("{NAME}-{}", new()), "args": ["serve"],
            "sha256": sha256(&self.new),
        });
        self.send("PUT", &format!("sys/plugins/catalog/secret/{NAME}"), Some(entry)).await;
    }
}

pub(crate) fn sha256(file: &Path) -> String {
    let output = Process::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

/// A copy without symbols: it is brought, hashed and started hundreds of times.
fn stripped(binary: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join("release");
    let status = Process::new("strip").arg("-o").args([&copy, &binary.to_path_buf()]).status().unwrap();
    assert!(status.success(), "strip comes with the C compiler");
    copy
}
