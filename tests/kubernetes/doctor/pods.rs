//! Pods with a plugin, and doctor with the settings of their cluster.

use std::path::PathBuf;

use harness::{Cluster, DoctorRunner, PluginVolume, ServerPool, VaultPods, VaultPodsBuilder, build};
use rollout::Binary;
use serde_json::{Value, json};

use crate::BINARY;

/// A plugin that is linked statically, because the image of the pods has no dynamic linker.
pub(super) const PLUGIN: &str = "notes";
pub(super) const PLUGIN_FILE: &str = "notes-1.0.0";

pub(super) struct DoctorPods {
    pub(super) pods: VaultPods,
    pub(super) doctor: DoctorRunner,
}

/// Runs a test on three shared pods, which keep their files and must be healthy when the test ends.
pub(super) fn on_three_pods(test: impl AsyncFnOnce(&DoctorPods)) {
    static PODS: ServerPool<DoctorPods> = ServerPool::new(1);
    let start = async || {
        let pods = DoctorPods::healthy(|pods| pods.plugin_volume(PluginVolume::Persistent)).await;
        let logs = pods.doctor.run(&["--logs"]).await.json();
        assert_eq!(logs["logs"], json!([]), "their logs mean nothing: {logs:#}");
        pods
    };
    PODS.run(start, test);
}

impl DoctorPods {
    /// Pods with the default settings as changed by `choose`, without a registered plugin.
    pub(super) async fn new(
        flags: &[&str],
        choose: impl FnOnce(VaultPodsBuilder) -> VaultPodsBuilder,
    ) -> DoctorPods {
        let cluster = Cluster::shared().await;
        let pods = choose(VaultPods::builder(cluster)).start().await;
        let address = pods.url(pods.active().await);
        let flags = [&["-n", pods.namespace()][..], flags].concat();
        let programs = [("kubectl", build::kubectl().await), ("vault", build::vault().await)];
        let programs = programs.each_ref().map(|(name, path)| (*name, path.as_path()));
        let mut doctor = DoctorRunner::new(BINARY, &programs, &flags, |program| {
            let program = program
                .env("KUBECONFIG", cluster.kubeconfig().display().to_string())
                .env("VAULT_TOKEN", pods.root_token());
            match pods.ca_file() {
                Some(file) => program.env("VAULT_CACERT", file.display().to_string()),
                None => program,
            }
        });
        // Doctor finds the server itself; only the official program needs its address.
        doctor.shell = doctor.shell.env("VAULT_ADDR", address);
        DoctorPods { pods, doctor }
    }

    /// With the plugin on every pod, registered and mounted.
    pub(super) async fn healthy(choose: impl FnOnce(VaultPodsBuilder) -> VaultPodsBuilder) -> DoctorPods {
        let pods = DoctorPods::new(&[], choose).await;
        pods.copy_and_register(PLUGIN_FILE, "v1.0.0").await;
        pods.mount().await;
        pods.doctor.assert_healthy().await;
        pods
    }

    pub(super) async fn place_everywhere(&self, file: &str, version: &str) {
        let binary = build::go_kv(version).await;
        for pod in self.pods.names() {
            self.pods.copy_to_plugin_directory(pod, &binary, file).await;
        }
    }

    pub(super) async fn register(&self, file: &str, version: &str) {
        let binary = Binary::read(&build::go_kv(version).await, &mut |_, _| ()).unwrap();
        let entry = json!({"command": file, "version": version, "sha256": binary.sha256});
        self.write(&format!("sys/plugins/catalog/secret/{PLUGIN}"), entry).await;
    }

    pub(super) async fn mount(&self) {
        self.write(
            &format!("sys/mounts/{PLUGIN}"),
            json!({"type": PLUGIN, "config": {"plugin_version": "v1.0.0"}}),
        )
        .await;
    }

    pub(super) async fn write(&self, path: &str, body: Value) {
        self.pods.request(self.pods.active().await, "POST", path, Some(body)).await.success();
    }

    /// A file in the plugin directory of a pod, as a path of this machine.
    pub(super) async fn path(&self, pod: &str, file: &str) -> PathBuf {
        self.pods.plugin_directory(pod).await.join(file)
    }

    /// Copies this version to every pod, and registers it.
    pub(super) async fn copy_and_register(&self, file: &str, version: &str) {
        self.place_everywhere(file, version).await;
        self.register(file, version).await;
    }

    /// `kubectl patch` of the StatefulSet.
    pub(super) async fn patch(&self, kind: &str, patch: &Value) {
        let namespace = self.pods.namespace();
        let command = format!("kubectl -n {namespace} patch statefulset vault --type={kind} -p '{patch}'");
        self.doctor.run_in_shell(&command).await;
    }
}
