//! The pods of a real Kubernetes, and what is done to them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Instant;

use harness::{Cluster, Doctor, PluginVolume, VaultPods, VaultPodsBuilder, build, set_mode};
use rollout::Binary;
use rustix::fs::{XattrFlags, removexattr, setxattr};
use serde_json::{Value, json};

use crate::BINARY;

/// A plugin that is linked statically, as the pods' image has no linker.
pub(super) const PLUGIN: &str = "notes";
pub(super) const PLUGIN_FILE: &str = "notes-1.0.0";

pub(super) struct Pods {
    pub(super) pods: VaultPods,
    pub(super) doctor: Doctor,
}

impl Pods {
    /// Pods with what `choose` changes of the usual, and nothing registered.
    pub(super) async fn new(
        flags: &[&str],
        choose: impl FnOnce(VaultPodsBuilder) -> VaultPodsBuilder,
    ) -> Pods {
        let cluster = Cluster::shared().await;
        let pods = choose(VaultPods::builder(cluster)).start().await;
        let address = pods.url(pods.active().await);
        let flags = [&["-n", pods.namespace()][..], flags].concat();
        let programs = [("kubectl", build::kubectl().await), ("vault", build::vault().await)];
        let programs = programs.each_ref().map(|(name, path)| (*name, path.as_path()));
        let mut doctor = Doctor::new(BINARY, &programs, &flags, |program| {
            let program = program
                .env("KUBECONFIG", cluster.kubeconfig().display().to_string())
                .env("VAULT_TOKEN", pods.root_token());
            match pods.ca_file() {
                Some(file) => program.env("VAULT_CACERT", file.display().to_string()),
                None => program,
            }
        });
        // Doctor finds the server itself; only the official program needs to be told.
        doctor.shell = doctor.shell.env("VAULT_ADDR", address);
        Pods { pods, doctor }
    }

    /// With the plugin on every pod, registered and mounted.
    pub(super) async fn healthy(choose: impl FnOnce(VaultPodsBuilder) -> VaultPodsBuilder) -> Pods {
        let pods = Pods::new(&[], choose).await;
        pods.place_everywhere(PLUGIN_FILE, "v1.0.0").await;
        pods.register(PLUGIN_FILE, "v1.0.0").await;
        pods.mount().await;
        pods.doctor.is_healthy().await;
        pods
    }

    pub(super) async fn place_everywhere(&self, file: &str, version: &str) {
        let binary = build::go_kv(version).await;
        for pod in self.pods.names() {
            self.pods.place(pod, &binary, file).await;
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
        self.pods.api(self.pods.active().await, "POST", path, Some(body)).await.success();
    }

    /// A file in the plugin directory of a pod, as this machine sees it.
    pub(super) async fn path(&self, pod: &str, file: &str) -> PathBuf {
        self.pods.plugin_directory(pod).await.join(file)
    }

    /// `kubectl patch` of the StatefulSet.
    pub(super) async fn patch(&self, kind: &str, patch: &Value) {
        let namespace = self.pods.namespace();
        let command = format!("kubectl -n {namespace} patch statefulset vault --type={kind} -p '{patch}'");
        self.doctor.in_shell(&command).await;
    }
}

/// VTP-152, VTP-203, VTP-206, VTP-207, VTP-208, VTP-210, VTP-302, VTP-303, VTP-304, VTP-307, VTP-308, VTP-309,
/// VTP-801, VTP-802, VTP-806.
#[tokio::test]
async fn what_is_wrong_with_three_pods() {
    let pods = Pods::healthy(|pods| pods.plugin_volume(PluginVolume::Persistent)).await;
    let doctor = &pods.doctor;
    let logs = doctor.run(&["--logs"]).await.json();
    assert_eq!((&logs["healthy"], &logs["logs"]), (&json!(true), &json!([])), "{logs:#}");

    // For docs/performance.md; nothing rests on it.
    let started = Instant::now();
    doctor.is_healthy().await;
    println!("doctor looked at three pods in {} ms", started.elapsed().as_millis());

    let standby = pods.pods.standbys().await[0].to_owned();
    for pod in pods.pods.names().into_iter().filter(|pod| *pod != standby) {
        fs::remove_file(pods.path(pod, PLUGIN_FILE).await).unwrap();
    }
    // Only one is left that has it.
    doctor.cures("VTP-302").await;
    let file = pods.path(&standby, PLUGIN_FILE).await;
    files(&pods, &file).await;
    volumes(&pods, &standby).await;
    entries(&pods).await;
    capabilities(&pods).await;
    nodes(&pods, &standby).await;
}

/// One pod's file is not what the others have.
async fn files(pods: &Pods, file: &Path) {
    let doctor = &pods.doctor;
    let directory = file.parent().unwrap();
    fs::write(file, "#!/bin/sh\n").unwrap();
    doctor.cures("VTP-303").await;

    set_mode(file, 0o644);
    doctor.cures("VTP-304").await;

    set_mode(file, 0o775);
    doctor.cures("VTP-210").await;

    fs::write(directory.join(".notes-2.0.0.n1.vtp-part"), "cut").unwrap();
    doctor.cures("VTP-206").await;

    // A folder of the pod that is not the plugin directory, on the same volume for nobody else.
    let elsewhere = directory.with_file_name("data").join("elsewhere");
    fs::copy(file, elsewhere).unwrap();
    fs::remove_file(file).unwrap();
    symlink("/vault/data/elsewhere", file).unwrap();
    doctor.cures("VTP-208").await;
}

async fn volumes(pods: &Pods, standby: &str) {
    let doctor = &pods.doctor;
    pods.pods.remount_plugin_directory(standby, "noexec").await;
    doctor.finds(&["VTP-203"], &[]).await;
    pods.pods.remount_plugin_directory(standby, "exec").await;
    doctor.is_healthy().await;

    pods.pods.fill_plugin_directory(standby).await;
    let findings = doctor.finds(&["VTP-207"], &[]).await;
    doctor.in_shell(findings[0]["commands"][0].as_str().unwrap()).await;
    // There was nothing to remove: it takes a larger volume.
    pods.pods.free_plugin_directory(standby).await;
    doctor.is_healthy().await;
}

/// Registered files that no pod can start; what the server says when it tries is in its log.
async fn entries(pods: &Pods) {
    let doctor = &pods.doctor;
    let folder = tempfile::tempdir().unwrap();
    let (page, foreign) = (folder.path().join("page"), folder.path().join("foreign"));
    fs::write(&page, "<html>not found</html>").unwrap();
    let mut content = fs::read(build::go_kv("v1.0.0").await).unwrap();
    content[18..20].copy_from_slice(&183_u16.to_le_bytes());
    fs::write(&foreign, content).unwrap();
    // The kernel has the same word for two of them.
    for (name, binary, id, heard_as) in [
        ("page", page, "VTP-307", "VTP-307"),
        ("foreign", foreign, "VTP-308", "VTP-307"),
        ("linked", "/bin/true".into(), "VTP-309", "VTP-309"),
    ] {
        let file = format!("{name}-1.0.0");
        for pod in pods.pods.names() {
            pods.pods.place(pod, &binary, &file).await;
        }
        let sha256 = Binary::read(&binary, &mut |_, _| ()).unwrap().sha256;
        let entry = json!({"command": file, "version": "v1.0.0", "sha256": sha256});
        pods.write(&format!("sys/plugins/catalog/secret/{name}"), entry).await;
        let body = Some(json!({"type": name, "config": {"plugin_version": "v1.0.0"}}));
        let active = pods.pods.active().await;
        let refused = pods.pods.api(active, "POST", "sys/mounts/refused", body).await;
        assert!(refused.status >= 400, "{refused:?}");
        doctor.cures(id).await;
        let logs = doctor.run(&["--logs"]).await.json();
        let heard = logs["logs"].as_array().unwrap();
        assert!(heard.iter().any(|line| line["id"] == heard_as && line["node"] == active), "{logs:#}");
    }
}

/// `CAP_SYS_BOOT`, permitted and effective, as the kernel keeps it with a file; no container has it.
const CAPABILITY: [u8; 20] = [1, 0, 0, 2, 0, 0, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
const ATTRIBUTE: &str = "security.capability";

async fn capabilities(pods: &Pods) {
    let active = pods.pods.active().await;
    pods.place_everywhere("notes-2.0.0", "v2.0.0").await;
    let file = pods.path(active, "notes-2.0.0").await;
    setxattr(&file, ATTRIBUTE, &CAPABILITY, XattrFlags::empty()).unwrap();
    pods.register("notes-2.0.0", "v2.0.0").await;
    let mount = || Some(json!({"type": PLUGIN, "config": {"plugin_version": "v2.0.0"}}));
    let refused = pods.pods.api(active, "POST", "sys/mounts/capable", mount()).await;
    assert!(refused.status >= 400, "{refused:?}");
    let told = pods.doctor.explains(&refused.body.to_string(), "VTP-152").await;
    assert!(told["cure"].as_str().unwrap().starts_with("Remove them with `setcap -r`"), "{told}");
    removexattr(&file, ATTRIBUTE).unwrap();
    pods.pods.api(active, "POST", "sys/mounts/capable", mount()).await.success();
    pods.doctor.is_healthy().await;
}

async fn nodes(pods: &Pods, standby: &str) {
    let doctor = &pods.doctor;
    let namespace = pods.pods.namespace();
    let lease = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": "vault-token-plugin-vault", "namespace": namespace},
        "spec": {
            "holderIdentity": "alice@laptop", "leaseDurationSeconds": 3600,
            "renewTime": "2999-01-01T00:00:00.000000Z",
        },
    });
    doctor.in_shell(&format!("echo '{lease}' | kubectl apply -f -")).await;
    doctor.finds(&["VTP-806"], &[]).await;
    doctor.in_shell(&format!("kubectl -n {namespace} delete lease vault-token-plugin-vault")).await;
    doctor.is_healthy().await;

    // A fourth pod, whose claim nothing is bound to.
    pods.patch("merge", &json!({"spec": {"replicas": 4}})).await;
    let findings = doctor.finds(&["VTP-801"], &[]).await;
    assert_eq!(findings[0]["subject"], "vault-3");
    pods.patch("merge", &json!({"spec": {"replicas": 3}})).await;
    doctor.is_healthy().await;

    let active = pods.pods.active().await.to_owned();
    pods.pods.seal(&active).await;
    pods.pods.active().await;
    let findings = doctor.finds(&["VTP-802"], &[]).await;
    assert_eq!(findings[0]["subject"], active.as_str());
    assert_ne!(active, standby);
    pods.pods.delete(&active).await;
    pods.pods.wait_whole().await;
    doctor.wait_healthy().await;
}
