//! The journeys of the other rungs on the pods of a real Kubernetes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use harness::{
    Cluster, Fault, LoadGenerator, Operation, PluginVolume, PluginYamlBuilder, Product, Program, Stream,
    Upstream, VaultPods, VaultPodsBuilder, build, eventually,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{BINARY, NAME};

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
pub(crate) const PACKAGE: &str = "vault-token-plugin";
pub(crate) const MOUNTS: [&str; 2] = ["first", "second"];

/// Three pods, an upstream that they reach, and our binary, which reaches them through the API server.
pub(crate) struct Pods {
    pub(crate) pods: VaultPods,
    pub(crate) upstream: Upstream,
    pub(crate) program: Program,
    pub(crate) folder: TempDir,
}

impl Pods {
    async fn with_volume(volume: PluginVolume) -> Pods {
        Pods::with_product(Product::Vault, volume).await
    }

    async fn with_product(product: Product, volume: PluginVolume) -> Pods {
        Pods::new(|pods| pods.product(product).plugin_volume(volume)).await
    }

    /// With the default settings as changed by `choose`.
    pub(crate) async fn new(choose: impl FnOnce(VaultPodsBuilder) -> VaultPodsBuilder) -> Pods {
        let cluster = Cluster::shared().await;
        let upstream = Upstream::builder().in_network_of(cluster).start().await;
        let pods = choose(VaultPods::builder(cluster)).start().await;
        let program = Program::new(BINARY).pods(&pods);
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("api-key"), upstream.api_key()).unwrap();
        Pods { pods, upstream, program, folder }
    }

    /// The `plugin.yaml` of a version of our plugin on two mounts.
    pub(crate) fn description(&self, binary: &Path) -> PathBuf {
        let folder = self.folder.path().join("of").join(binary.file_name().unwrap());
        fs::create_dir_all(&folder).unwrap();
        PluginYamlBuilder::new(binary, self.upstream.endpoint(), self.folder.path().join("api-key"))
            .mounts(&MOUNTS)
            .for_pods(&self.pods)
            .write_to(&folder)
    }

    pub(crate) async fn running_versions(&self) -> BTreeSet<String> {
        self.running_on(self.pods.active().await).await
    }

    /// The version as the server of this pod reports it.
    pub(crate) async fn running_on(&self, pod: &str) -> BTreeSet<String> {
        let all = self.pods.request(pod, "GET", "sys/mounts", None).await.success();
        let of =
            |mount: &&str| all[format!("{mount}/")]["running_plugin_version"].as_str().unwrap().to_owned();
        MOUNTS.iter().map(of).collect()
    }
}

pub(crate) fn next() -> String {
    build::highest_version(VERSION)
}

pub(crate) fn only(version: &str) -> BTreeSet<String> {
    BTreeSet::from([format!("v{version}")])
}

#[tokio::test]
async fn three_pods_are_upgraded_and_rolled_back_under_load_and_every_one_of_them_serves_the_version() {
    let lab = Pods::with_volume(PluginVolume::Persistent).await;
    let static_binary = build::static_binary(PACKAGE).await;
    let file = lab.description(&static_binary);
    lab.program.run(["register", "-f", file.to_str().unwrap()]).await.success();
    assert_eq!(lab.running_versions().await, only(VERSION));

    let load = LoadGenerator::start(&lab.pods, &lab.upstream, &MOUNTS);
    load.wait_progress().await;
    let binary = build::with_next_version(&static_binary, VERSION, lab.folder.path());
    let file = lab.description(&binary);
    lab.program.run(["upgrade", "-f", file.to_str().unwrap()]).await.success();
    assert_eq!(lab.running_versions().await, only(&next()));
    load.wait_progress().await;
    let namespace = lab.pods.namespace().to_owned();
    let back = ["rollback", NAME, "-n", &namespace];
    lab.program.run(back).await.success();
    assert_eq!(lab.running_versions().await, only(VERSION));
    load.wait_progress().await;
    load.stop().await.assert_all_served();

    lab.program.run(["upgrade", "-f", file.to_str().unwrap()]).await.success();
    let active = lab.pods.active().await.to_owned();
    let standbys: Vec<String> = lab.pods.standbys().await.into_iter().map(str::to_owned).collect();
    for pod in standbys.iter().chain([&active]) {
        lab.pods.delete(pod).await;
        lab.pods.wait_all_ready().await;
        assert_eq!(lab.running_versions().await, only(&next()), "after {pod} was deleted");
    }
    let again = lab.program.run(["upgrade", "-f", file.to_str().unwrap()]).await.success();
    assert!(again.starts_with("Nothing to do"), "{again}");
    let status = lab.program.run(["status", "-n", &namespace]).await.success();
    assert!(status.contains("3 of 3"), "{status}");
}

#[tokio::test]
async fn an_upgrade_and_a_rollback_reach_the_standbys_of_openbao_too() {
    let lab = Pods::with_product(Product::OpenBao, PluginVolume::Persistent).await;
    let static_binary = build::static_binary(PACKAGE).await;
    let file = lab.description(&static_binary);
    lab.program.run(["register", "-f", file.to_str().unwrap()]).await.success();
    let request = async |path: &str, body: Value| {
        lab.pods.request(lab.pods.active().await, "POST", path, Some(body)).await.success()
    };
    request("sys/namespaces/team", json!({})).await;
    let mount = json!({"type": NAME, "config": {"plugin_version": format!("v{VERSION}")}});
    request("team/sys/mounts/custom", mount).await;
    let in_namespace = async |pod: &str| {
        let mounts = lab.pods.request(pod, "GET", "team/sys/mounts", None).await.body;
        mounts["data"]["custom/"]["running_plugin_version"].as_str().unwrap_or_default().to_owned()
    };
    for pod in lab.pods.names() {
        eventually("a standby has the new mount", async || {
            (!in_namespace(pod).await.is_empty()).then_some(())
        })
        .await;
    }
    let binary = build::with_next_version(&static_binary, VERSION, lab.folder.path());
    let file = lab.description(&binary);
    lab.program.run(["upgrade", "-f", file.to_str().unwrap()]).await.success();
    for pod in lab.pods.names() {
        assert_eq!(lab.running_on(pod).await, only(&next()), "{pod}");
        assert_eq!(in_namespace(pod).await, format!("v{}", next()), "{pod}");
    }

    let namespace = lab.pods.namespace();
    lab.program.run(["rollback", NAME, "-n", namespace]).await.success();
    for pod in lab.pods.names() {
        assert_eq!(lab.running_on(pod).await, only(VERSION), "{pod}");
        assert_eq!(in_namespace(pod).await, format!("v{VERSION}"), "{pod}");
        // A request to a standby returns a credential that the active node has leased.
        let credential = eventually("a standby knows who is active, and passes it on", async || {
            let reply = lab.pods.request(pod, "GET", "first/creds/developer", None).await;
            // Until then it reports the error, or redirects its client.
            (reply.status < 500 && reply.status != 307).then(|| reply.success())
        })
        .await;
        assert!(credential["lease_id"].is_string(), "{pod}: {credential}");
    }
    let doctor = lab.program.run(["doctor", "-n", namespace, "--output", "json"]).await.json();
    assert_eq!(doctor["findings"], json!([]), "{doctor:#}");
}

#[tokio::test]
async fn what_the_next_restart_would_lose_is_refused_on_an_empty_dir() {
    let lab = Pods::with_volume(PluginVolume::EmptyDir).await;
    let static_binary = build::static_binary(PACKAGE).await;
    let file = lab.description(&static_binary);
    let register = ["register", "-f", file.to_str().unwrap()];
    let refused = lab.program.run(register).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("a restart of a node would remove "), "{}", refused.stderr);
    lab.program.run([&register[..], &["--allow-ephemeral"]].concat()).await.success();
    assert_eq!(lab.running_versions().await, only(VERSION));
}

/// Pods with the plugin on both mounts, and the `plugin.yaml` of its next version.
async fn registered(lab: &Pods) -> PathBuf {
    let static_binary = build::static_binary(PACKAGE).await;
    let file = lab.description(&static_binary);
    lab.program.run(["register", "-f", file.to_str().unwrap()]).await.success();
    let binary = build::with_next_version(&static_binary, VERSION, lab.folder.path());
    lab.description(&binary)
}

#[tokio::test]
async fn an_upgrade_with_a_sealed_pod_is_refused_and_changes_nothing() {
    let lab = Pods::with_volume(PluginVolume::Persistent).await;
    let file = registered(&lab).await;
    let sealed = lab.pods.active().await.to_owned();
    lab.pods.seal(&sealed).await;
    lab.pods.active().await;
    let refused = lab.program.run(["upgrade", "-f", file.to_str().unwrap()]).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    for words in [&*sealed, "its server is sealed", "Unseal it, or remove the node."] {
        assert!(refused.stderr.contains(words), "{words:?} is not in: {}", refused.stderr);
    }
    assert_eq!(lab.running_versions().await, only(VERSION));
    assert!(!file_is_placed(&lab).await, "nothing is left behind");
}

/// It waits five minutes for a pod that existed when it started.
#[tokio::test]
async fn long_an_upgrade_whose_pod_is_sealed_and_never_unsealed_is_undone_after_its_deadline() {
    let lab = Pods::with_volume(PluginVolume::Persistent).await;
    let file = registered(&lab).await;
    let mut upgrade = lab.program.start(["upgrade", "-f", file.to_str().unwrap()]);
    let mut sealed = None;
    while let Some(line) = upgrade.next_line(Stream::Stderr).await {
        if sealed.is_none() && line.starts_with("[2/") {
            let active = lab.pods.active().await.to_owned();
            lab.pods.seal(&active).await;
            sealed = Some(active);
        }
    }
    let sealed = sealed.expect("it has a second step");
    let output = upgrade.wait().await;
    let said = &output.stderr;
    assert_eq!(output.code, Some(1), "{said}");
    assert!(said.contains(&format!("waiting for {sealed}: its server is sealed")), "{said}");
    assert_eq!(lab.running_versions().await, only(VERSION));
    assert!(!file_is_placed(&lab).await, "nothing is left behind: {said}");
}

/// Whether a pod has the file of the next version.
async fn file_is_placed(lab: &Pods) -> bool {
    let file = format!("{NAME}-{}", next());
    for pod in lab.pods.names() {
        if lab.pods.plugin_directory(pod).await.join(&file).exists() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn the_lease_of_a_register_is_held_until_its_mounts_are_tried() {
    let lab = Pods::new(|pods| pods.replicas(1).plugin_volume(PluginVolume::Persistent)).await;
    let kubeconfig = Cluster::shared().await.kubeconfig().display().to_string();
    let kubectl = Program::new(build::kubectl().await).env("KUBECONFIG", kubeconfig);
    let holder = async || {
        let lease = ["get", "lease", "vault-token-plugin-vault", "--output=jsonpath={.spec.holderIdentity}"];
        kubectl.run([&lease[..], &["-n", lab.pods.namespace()]].concat()).await.success()
    };
    let file = lab.description(&build::static_binary(PACKAGE).await);
    lab.upstream.fail(Operation::Mint, Fault::Withheld);
    let run = lab.program.start(["register", "-f", file.to_str().unwrap()]);
    lab.upstream.wait_withheld(1).await;
    assert_ne!(holder().await, "", "another operator could change plugins while they are tried");
    lab.upstream.heal();
    run.wait().await.success();
    assert_eq!(holder().await, "");
}
