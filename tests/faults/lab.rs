//! Three pods with two mounts of our plugin, three versions of it, and requests that bypass the program under test.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command as Process;
use std::sync::Arc;

use harness::{
    Cluster, FaultyProxy, ImageArchive, ImageKind, LoadGenerator, LoadReport, Output, PluginVolume, Product,
    Program, Transport, Upstream, VaultPods, build, eventually,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::fault_point::{Command, PodKind};
use crate::paused_process;
use crate::snapshot::Snapshot;

const BINARY: &str = env!("CARGO_BIN_EXE_vault-token-plugin");
pub(crate) const NAME: &str = "custom-plugin";
pub(crate) const OLD: &str = env!("CARGO_PKG_VERSION");
pub(crate) const MOUNTS: [&str; 2] = ["first", "second"];

/// Number of pods, without one that a fault adds.
pub(crate) const REPLICAS: usize = 3;

/// The role for smoke tests. Clients read `developer`.
pub(crate) const SMOKE_PATH: &str = "creds/trial";

/// An image with the program, for pods without a shell.
const TOOL_IMAGE: &str = "localhost/vault-token-plugin:faults";

/// The version after ours, of the same length.
pub(crate) fn next_version() -> String {
    build::highest_version(OLD)
}

/// The version before ours.
pub(crate) fn zero_version() -> String {
    OLD.chars().map(|sign| if sign.is_ascii_digit() { '0' } else { sign }).collect()
}

/// Three pods that run the old version on two mounts, and a proxy to the API server that can be cut.
pub(crate) struct Lab {
    pub(crate) kind: PodKind,
    pub(crate) pods: VaultPods,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) gate: FaultyProxy,
    pub(crate) old: PathBuf,
    pub(crate) new: PathBuf,
    pub(crate) zero: PathBuf,
    pub(crate) content_old: Vec<u8>,
    pub(crate) content_new: Vec<u8>,
    pub(crate) content_zeroed: Vec<u8>,
    pub(crate) folder: TempDir,
    /// Folder for the output of programs.
    pub(crate) log: PathBuf,
    /// State of the pods between two faults.
    baseline: Snapshot,
}

impl Lab {
    pub(crate) async fn start(kind: PodKind, log: PathBuf) -> Lab {
        let cluster = Cluster::shared().await;
        let upstream = Upstream::builder().in_network_of(cluster).start().await;
        let static_binary = build::static_binary("vault-token-plugin").await;
        let pods = VaultPods::builder(cluster).plugin_volume(PluginVolume::Persistent).raw_storage();
        let pods = match kind {
            PodKind::Usual => pods,
            PodKind::Tls => pods.transport(Transport::Tls),
            PodKind::WithoutShell => {
                let program = static_binary.clone();
                cluster.import_image_once(TOOL_IMAGE, || ImageArchive::of_program(TOOL_IMAGE, program)).await;
                pods.image(ImageKind::WithoutShell)
            }
            PodKind::OpenBao => pods.product(Product::OpenBao),
        };
        let pods = pods.start().await;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("api-key"), upstream.api_key()).unwrap();
        let old = stripped(&static_binary, folder.path());
        let new = build::with_next_version(&old, OLD, folder.path());
        let zeroed = build::with_patched_version(&old, OLD, &zero_version(), folder.path());
        let gate = FaultyProxy::start(cluster.kubeconfig(), folder.path()).await;
        let [content_old, content_new, content_zeroed] =
            [&old, &new, &zeroed].map(|file| fs::read(file).unwrap());
        let mut lab = Lab {
            kind,
            pods,
            upstream: Arc::new(upstream),
            gate,
            old,
            new,
            zero: zeroed,
            content_old,
            content_new,
            content_zeroed,
            folder,
            log,
            baseline: Snapshot::default(),
        };
        let file = lab.description(&lab.old);
        let output = lab.run(&["register".to_owned(), "-f".to_owned(), file.display().to_string()]).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        lab.baseline = Snapshot::take(&lab).await;
        lab
    }

    /// Our binary, which reaches the API server through the proxy.
    pub(crate) fn program(&self) -> Program {
        self.program_with(self.pods.root_token())
    }

    pub(crate) fn program_with(&self, token: &str) -> Program {
        let program = Program::new(BINARY)
            .env("KUBECONFIG", self.gate.kubeconfig().display().to_string())
            .env("VAULT_TOKEN", token);
        match self.pods.ca_file() {
            Some(file) => program.env("VAULT_CACERT", file.display().to_string()),
            None => program,
        }
    }

    /// Runs our binary to its end.
    pub(crate) async fn run(&self, args: &[String]) -> Output {
        paused_process::run(&self.program(), args, &self.log).await
    }

    /// The command line as a user types it.
    pub(crate) fn args(&self, command: Command) -> Vec<String> {
        let pods = format!("-n {} --statefulset vault{}", self.pods.namespace(), self.tool_image());
        let file = || self.description(&self.new).display().to_string();
        let line = match command {
            Command::Upgrade => format!("upgrade -f {} --output json", file()),
            Command::UpgradeFromImage => {
                let image = self.folder.path().join("image");
                format!(
                    "upgrade {NAME} --image {} {pods} --smoke {SMOKE_PATH} --output json",
                    image.display()
                )
            }
            Command::Rollback => {
                format!("rollback {NAME} --version {OLD} {pods} --smoke {SMOKE_PATH} --output json")
            }
            Command::Register => format!("register -f {}", file()),
            Command::Reload => format!("reload --mount {} --mount {} {pods}", MOUNTS[0], MOUNTS[1]),
            Command::Gc => format!("gc {pods}"),
            Command::Deregister => format!("deregister {NAME} --version {} {pods}", zero_version()),
        };
        line.split(' ').map(str::to_owned).collect()
    }

    fn tool_image(&self) -> String {
        match self.kind {
            PodKind::WithoutShell => format!(" --tool-image {TOOL_IMAGE}"),
            _ => String::new(),
        }
    }

    /// The `plugin.yaml` of a version.
    pub(crate) fn description(&self, binary: &Path) -> PathBuf {
        let mount = |path: &str| {
            format!(
                "- path: {path}\n  write:\n    config: {{api_endpoint: \"{}\", api_key: {{file: ./api-key}}}}\n    \
                 roles/developer: {{permissions: read, ttl: 1h}}\n    roles/trial: {{permissions: read, ttl: 1h}}\n  \
                 smoke: {SMOKE_PATH}\n",
                self.upstream.endpoint()
            )
        };
        let image = match self.kind {
            PodKind::WithoutShell => format!(", tool_image: {TOOL_IMAGE}"),
            _ => String::new(),
        };
        let text = format!(
            "plugin: {{name: {NAME}, binary: {}, args: [serve]}}\nmounts:\n{}\
             deployment: {{kubernetes: {{namespace: {}, statefulset: vault{image}}}}}\n",
            binary.display(),
            MOUNTS.map(mount).concat(),
            self.pods.namespace(),
        );
        let name = binary.file_name().unwrap().to_str().unwrap();
        let file = self.folder.path().join(format!("{name}.yaml"));
        fs::write(&file, text).unwrap();
        file
    }

    /// Creates the preconditions of a command.
    pub(crate) async fn prepare(&self, command: Command) {
        match command {
            // Only standbys whose version differs from that of the active node are restarted.
            Command::Reload if self.kind == PodKind::OpenBao => {
                self.copy_and_register(&next_version(), &self.new).await;
                self.tune(&next_version()).await;
            }
            Command::Upgrade | Command::Register | Command::Reload => {}
            Command::UpgradeFromImage => {
                let binary = self.folder.path().join(format!("{NAME}-{}", next_version()));
                fs::copy(&self.new, &binary).unwrap();
                let layout = self.folder.path().join("image");
                let _ = fs::remove_dir_all(&layout);
                let loader = self.old.display();
                let line =
                    format!("package {} --loader {loader} --layout {}", binary.display(), layout.display());
                let args: Vec<String> = line.split(' ').map(str::to_owned).collect();
                let output = self.run(&args).await;
                assert_eq!(output.code, Some(0), "{output:?}");
            }
            Command::Rollback => {
                self.copy_and_register(&next_version(), &self.new).await;
                self.move_mounts(&next_version()).await;
            }
            Command::Gc | Command::Deregister => {
                self.copy_and_register(&zero_version(), &self.zero).await;
                self.copy_and_register(&next_version(), &self.new).await;
                self.move_mounts(&next_version()).await;
            }
        }
    }

    pub(crate) fn load(&self) -> LoadGenerator {
        LoadGenerator::start(&self.pods, &self.upstream, &MOUNTS)
    }

    /// Sends the request to the active Vault, and to the next one if leadership has changed.
    pub(crate) async fn get(&self, path: &str) -> Value {
        eventually(&format!("an active Vault answers GET {path}"), async || {
            let reply = self.pods.request(self.pods.active().await, "GET", path, None).await;
            (reply.status < 300).then_some(reply.body)
        })
        .await
    }

    pub(crate) async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        self.pods.request(self.pods.active().await, method, path, body).await.success()
    }

    async fn get_if_there(&self, path: &str) -> Option<Value> {
        let reply = self.pods.request(self.pods.active().await, "GET", path, None).await;
        (reply.status != 404).then(|| reply.success())
    }

    /// The version that the plugin is pinned to. OpenBao has no pins.
    pub(crate) async fn pinned(&self) -> Option<String> {
        if self.kind == PodKind::OpenBao {
            return None;
        }
        let pin = self.get_if_there(&format!("sys/plugins/pins/secret/{NAME}")).await?;
        Some(pin["data"]["version"].as_str().unwrap().to_owned())
    }

    /// The running version of a mount as its node reports it.
    pub(crate) async fn running_on(&self, pod: &str, mount: &str) -> String {
        let mounts = eventually(&format!("{pod} answers"), async || {
            let reply = self.pods.request(pod, "GET", "sys/mounts", None).await;
            (reply.status == 200).then_some(reply.body)
        })
        .await;
        mounts[format!("{mount}/")]["running_plugin_version"].as_str().unwrap_or_default().to_owned()
    }

    /// Requires that every lease of a client is alive, and every live token is recorded. Revokes all leases. Returns the tokens that only
    /// the plugin's WAL knows.
    pub(crate) async fn settle_leases(&self, account: &LoadReport) -> BTreeSet<String> {
        for (lease, token) in &account.open_leases {
            let lookup = Some(json!({"lease_id": lease}));
            let reply = self.pods.request(self.pods.active().await, "PUT", "sys/leases/lookup", lookup).await;
            assert_eq!(reply.status, 200, "a lease is lost: {}", reply.body);
            assert!(self.upstream.accepts(token), "the token of a living lease is revoked");
        }
        for mount in MOUNTS {
            self.send("PUT", &format!("sys/leases/revoke-prefix/{mount}/creds"), None).await;
        }
        let announced: BTreeSet<String> =
            self.wal_entries().await.into_iter().map(|(_, _, name)| name).collect();
        let live: BTreeSet<String> = self.upstream.live().into_iter().map(|issued| issued.name).collect();
        let unknown: Vec<&String> = live.difference(&announced).collect();
        assert!(
            unknown.is_empty(),
            "{} tokens upstream have neither a lease nor a record: {unknown:?}",
            unknown.len()
        );
        live
    }

    /// Entries of the plugin's write-ahead log: storage path, entry, and name of the token.
    pub(crate) async fn wal_entries(&self) -> Vec<(String, Value, String)> {
        let mut found = Vec::new();
        for mount in MOUNTS {
            let uuid = self.get(&format!("sys/mounts/{mount}")).await["data"]["uuid"].clone();
            let log = format!("sys/raw/logical/{}/wal", uuid.as_str().unwrap());
            let listed = self.pods.request(self.pods.active().await, "LIST", &log, None).await;
            for key in listed.body["data"]["keys"].as_array().into_iter().flatten() {
                let path = format!("{log}/{}", key.as_str().unwrap());
                // It may be removed between the list and this read.
                let Some(entry) = self.get_if_there(&path).await else { continue };
                let entry: Value = serde_json::from_str(entry["data"]["value"].as_str().unwrap()).unwrap();
                if let Some(name) = entry["data"]["order"]["name"].as_str().map(str::to_owned) {
                    found.push((path, entry, name));
                }
            }
        }
        found
    }

    /// Restores the initial state without the program under test.
    pub(crate) async fn reset(&self) {
        self.upstream.heal();
        self.pods.wait_all_ready().await;
        if self.pinned().await.is_some() {
            self.send("DELETE", &format!("sys/plugins/pins/secret/{NAME}"), None).await;
        }
        let mounts = self.get("sys/mounts").await;
        for (path, mount) in mounts["data"].as_object().unwrap() {
            let is_of_us = mount["type"].as_str().is_some_and(|name| name.starts_with(NAME));
            if is_of_us && !MOUNTS.contains(&path.trim_end_matches('/')) {
                self.send("DELETE", &format!("sys/mounts/{path}"), None).await;
            }
        }
        self.move_mounts(OLD).await;
        self.write_role().await;
        let catalog = self.get("sys/plugins/catalog").await;
        for entry in catalog["data"]["detailed"].as_array().unwrap() {
            let (name, version) = (entry["name"].as_str().unwrap(), entry["version"].as_str().unwrap());
            if entry["builtin"] == false && version != format!("v{OLD}") {
                self.send("DELETE", &format!("sys/plugins/catalog/secret/{name}?version={version}"), None)
                    .await;
            }
        }
        for pod in self.pods.names() {
            for file in fs::read_dir(self.pods.plugin_directory(pod).await).unwrap() {
                let file = file.unwrap();
                if *file.file_name() != *format!("{NAME}-{OLD}") {
                    fs::remove_file(file.path()).unwrap();
                }
            }
        }
        if self.kind == PodKind::OpenBao {
            self.restart_standbys_that_do_not_run(OLD).await;
        }
        let left = Snapshot::take(self).await.differs_from(&self.baseline);
        assert!(left.is_empty(), "after putting it back: {left:?}");
    }

    /// Makes all mounts run a version.
    pub(crate) async fn move_mounts(&self, version: &str) {
        self.tune(version).await;
        self.send("PUT", "sys/plugins/reload/backend", Some(json!({"mounts": MOUNTS}))).await;
        if self.kind == PodKind::OpenBao {
            self.restart_standbys_that_do_not_run(version).await;
        }
    }

    async fn tune(&self, version: &str) {
        for mount in MOUNTS {
            let tune = json!({"plugin_version": format!("v{version}")});
            self.send("POST", &format!("sys/mounts/{mount}/tune"), Some(tune)).await;
        }
    }

    async fn restart_standbys_that_do_not_run(&self, version: &str) {
        let standbys: Vec<String> = self.pods.standbys().await.into_iter().map(str::to_owned).collect();
        for pod in standbys {
            if self.running_on(&pod, MOUNTS[0]).await != format!("v{version}")
                || self.running_on(&pod, MOUNTS[1]).await != format!("v{version}")
            {
                self.pods.delete(&pod).await;
                self.pods.wait_all_ready().await;
            }
        }
    }

    /// Creates the role for smoke tests on both mounts.
    pub(crate) async fn write_role(&self) {
        for mount in MOUNTS {
            let role = json!({"permissions": "read", "ttl": "1h"});
            self.send("POST", &format!("{mount}/roles/trial"), Some(role)).await;
        }
    }

    /// Copies a version to all nodes and registers it.
    pub(crate) async fn copy_and_register(&self, version: &str, binary: &Path) {
        let file = format!("{NAME}-{version}");
        for pod in self.pods.names() {
            self.pods.copy_to_plugin_directory(pod, binary, &file).await;
        }
        self.register(version, &file, binary).await;
    }

    pub(crate) async fn register(&self, version: &str, file: &str, binary: &Path) {
        let entry = json!({
            "version": format!("v{version}"), "command": file, "args": ["serve"], "sha256": sha256(binary),
        });
        self.send("PUT", &format!("sys/plugins/catalog/secret/{NAME}"), Some(entry)).await;
    }
}

fn sha256(file: &Path) -> String {
    let output = Process::new("sha256sum").arg(file).output().unwrap();
    String::from_utf8(output.stdout).unwrap()[..64].to_owned()
}

/// A copy without symbols, because it is copied, hashed and started hundreds of times.
fn stripped(binary: &Path, folder: &Path) -> PathBuf {
    let copy = folder.join("release");
    let status = Process::new("strip").arg("-o").args([&copy, &binary.to_path_buf()]).status().unwrap();
    assert!(status.success(), "strip comes with the C compiler");
    copy
}
