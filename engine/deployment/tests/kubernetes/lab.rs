//! Vaults in pods, and the deployment of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use deployment::{ClusterOptions, KubernetesError, KubernetesOptions, PodSelector, StatefulSetDeployment};
use harness::{Cluster, VaultPods, VaultPodsBuilder, build};
use rollout::{
    Binary, CopyProgress, Deployment, DeploymentError, DeploymentObserved, Detail, Freshness, NodeName,
    NodeObserved, PluginDirectory, Query,
};
use tokio::sync::mpsc::unbounded_channel;
use vault_api::{ClientConfig, SecretString};

pub(crate) const DIRECTORY: &str = "/vault/plugins";
pub(crate) const FILE: &str = "kv-1.0.0";

pub(crate) struct Lab {
    pub(crate) pods: VaultPods,
}

impl Lab {
    /// Starts pods with the options that `choose` sets.
    pub(crate) async fn new(choose: impl FnOnce(VaultPodsBuilder) -> VaultPodsBuilder) -> Lab {
        Lab { pods: choose(VaultPods::builder(Cluster::shared().await)).start().await }
    }

    pub(crate) fn options(&self) -> KubernetesOptions {
        KubernetesOptions {
            cluster: ClusterOptions {
                kubeconfig: Some(self.pods.cluster().kubeconfig().to_owned()),
                namespace: Some(self.pods.namespace().to_owned()),
                ..ClusterOptions::default()
            },
            pods: PodSelector::default(),
            ..KubernetesOptions::default()
        }
    }

    pub(crate) fn client_config(&self) -> ClientConfig {
        let mut config = ClientConfig::new("https://not.used");
        config.token = Some(SecretString::new(self.pods.root_token()));
        config.ca_cert = self.pods.ca_file().map(Path::to_owned);
        config
    }

    pub(crate) async fn deployment(&self) -> StatefulSetDeployment {
        self.connect(self.options()).await.unwrap()
    }

    pub(crate) async fn connect(
        &self,
        options: KubernetesOptions,
    ) -> Result<StatefulSetDeployment, KubernetesError> {
        StatefulSetDeployment::connect(options, self.client_config()).await
    }

    /// The files in the plugin directory of a pod, read from the host.
    pub(crate) async fn files(&self, pod: &str) -> Vec<String> {
        let directory = self.pods.plugin_directory(pod).await;
        let entries = std::fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

/// The error of the cluster in that of the deployment.
pub(crate) fn kubernetes_error<T>(result: &Result<T, DeploymentError>) -> Option<&KubernetesError> {
    match result {
        Err(DeploymentError::Other(error) | DeploymentError::Transient(error)) => error.downcast_ref(),
        Err(_) | Ok(_) => None,
    }
}

/// A real, statically linked plugin.
pub(crate) async fn plugin() -> Binary {
    let path: PathBuf = build::go_kv("v1.0.0").await;
    Binary::read(&path, &mut |_, _| ()).unwrap()
}

pub(crate) fn query() -> Query {
    Query {
        plugin_directory: PluginDirectory::At(DIRECTORY.into()),
        namespaces: BTreeSet::new(),
        plugin: Some("kv".into()),
        binary: None,
        detail: Detail::Versions,
        needed_files: None,
        freshness: Freshness::Now,
    }
}

pub(crate) async fn observe_pods(deployment: &StatefulSetDeployment) -> DeploymentObserved {
    deployment.observe(&query()).await.unwrap()
}

pub(crate) fn node<'a>(observed: &'a DeploymentObserved, pod: &str) -> &'a NodeObserved {
    &observed.nodes[&NodeName::new(pod)]
}

/// Copies a binary to all nodes. Returns the last progress of each.
pub(crate) async fn copy(
    deployment: &StatefulSetDeployment,
    binary: &Binary,
) -> Result<Vec<CopyProgress>, DeploymentError> {
    let nodes: Vec<NodeName> = observe_pods(deployment).await.nodes.into_keys().collect();
    let (progress, mut reports) = unbounded_channel();
    deployment.copy(binary, FILE, &nodes, progress).await?;
    let mut last = Vec::<CopyProgress>::new();
    while let Ok(copied) = reports.try_recv() {
        last.retain(|known| known.node != copied.node);
        last.push(copied);
    }
    last.sort_by(|a, b| a.node.cmp(&b.node));
    Ok(last)
}
