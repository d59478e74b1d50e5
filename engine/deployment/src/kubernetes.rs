//! The deployment of servers on Kubernetes: the pods of a StatefulSet. Copies files with exec, and connects to servers with port-forward.

pub(crate) mod cluster;
mod compress;
pub(crate) mod error;
mod exec;
pub(crate) mod executor;
mod facts;
pub(crate) mod find;
mod init_container_files;
mod lease;
mod logs;
pub(crate) mod node;
mod observation;
mod plugin_storage;
mod pod_cache;
mod pod_template;
mod port_forward;
mod proxy;
mod readiness;
mod restart;
mod servers;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use rollout::{
    BINARY_MODE, Binary, CopyProgress, Deployment, DeploymentError, DeploymentKind, DeploymentObserved,
    LeaseLock, NodeName, PluginDirectory, PluginStorage, PodUpdateStrategy, Query, Readiness,
    UnreadyPodPolicy, error_chain,
};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use vault_api::{Client, ClientConfig};

use self::cluster::{Cluster, ClusterOptions};
use self::compress::Compressed;
use self::error::{ApiRequest, KubernetesError};
use self::executor::Upload;
use self::facts::Content;
use self::find::PodSelector;
use self::lease::{Identity, LockObserver};
use self::observation::PodTemplateView;
use self::pod_cache::PodCache;
use self::pod_template::{
    IMAGE_FILES_ANNOTATION, annotated_image_files, init_containers, loader_image, server_container,
};
use self::servers::Servers;

/// The pods, and how commands run in them.
#[derive(Clone, Debug, Default)]
pub struct KubernetesOptions {
    /// The cluster.
    pub cluster: ClusterOptions,
    /// The pods.
    pub pods: PodSelector,
    /// The plugin directory, for servers that do not show it.
    pub directory: Option<PathBuf>,
    /// An image that contains this program, for pods without a shell.
    pub tool_image: Option<String>,
}

/// The pods of a StatefulSet.
#[derive(Debug)]
pub struct StatefulSetDeployment(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cluster: Cluster,
    statefulset: String,
    container: Option<String>,
    directory: Option<PathBuf>,
    tool_image: Option<String>,
    identity: Identity,
    /// The last state of the Lease.
    lock_observer: LockObserver,
    servers: Servers,
    /// What is known about pods, by their uids.
    pod_cache: Mutex<BTreeMap<String, PodCache>>,
}

/// Attempts of a copy whose connection is lost.
const MAX_COPY_ATTEMPTS: u32 = 3;

impl StatefulSetDeployment {
    /// Finds the pods and connects to their servers. The address in `client_config` is not used.
    ///
    /// # Errors
    /// If the API server cannot be reached or does not allow the requests, and if none or several StatefulSets match.
    pub async fn connect(
        options: KubernetesOptions,
        client_config: ClientConfig,
    ) -> Result<Self, KubernetesError> {
        let KubernetesOptions { cluster, pods, directory, tool_image } = options;
        let cluster = Cluster::connect(&cluster).await?;
        let statefulset = find::find_statefulset(&cluster, &pods).await?;
        let container = server_container(&cluster, &statefulset, pods.container.as_deref())?;
        let endpoint = plugin_storage::vault_endpoint(container);
        let servers = Servers::new(cluster.clone(), endpoint, client_config).await?;
        let inner = Inner {
            statefulset: statefulset.name_any(),
            container: pods.container,
            directory,
            tool_image,
            identity: Identity::of_this_process(),
            lock_observer: LockObserver::default(),
            servers,
            pod_cache: Mutex::default(),
            cluster,
        };
        let running = inner.running_nodes().await?;
        if let Some(first) = running.first() {
            inner.servers.check_port_forward(first).await?;
        }
        inner.servers.find_active(running).await?;
        Ok(Self(Arc::new(inner)))
    }

    /// Returns a client of the server, connected to the pod that was active when that was last checked.
    pub fn client(&self) -> Client {
        self.0.servers.client().clone()
    }
}

impl Inner {
    async fn statefulset(&self) -> Result<StatefulSet, KubernetesError> {
        let found = self.cluster.statefulset(&self.statefulset).await?;
        found.ok_or_else(|| KubernetesError::NotFound {
            object: format!("StatefulSet {}", self.statefulset),
            namespace: self.cluster.namespace.clone(),
            found: Vec::new(),
        })
    }

    async fn nodes(
        &self,
        statefulset: &StatefulSet,
    ) -> Result<Vec<(NodeName, Option<Pod>)>, KubernetesError> {
        Ok(find::nodes(statefulset, self.cluster.pods_with(&find::label_selector(statefulset)).await?))
    }

    /// The nodes whose container runs.
    async fn running_nodes(&self) -> Result<Vec<NodeName>, KubernetesError> {
        let statefulset = self.statefulset().await?;
        let container = server_container(&self.cluster, &statefulset, self.container.as_deref())?;
        let running = |(name, pod): (NodeName, Option<Pod>)| {
            (readiness::readiness(pod.as_ref(), &container.name) == Readiness::Ready).then_some(name)
        };
        Ok(self.nodes(&statefulset).await?.into_iter().filter_map(running).collect())
    }

    fn effective_directory(&self, shown: &PluginDirectory) -> Option<PathBuf> {
        match shown {
            PluginDirectory::At(directory) => Some(directory.clone()),
            PluginDirectory::NotConfigured => None,
            PluginDirectory::NotVisible => self.directory.clone(),
        }
    }

    async fn cached_pod(&self, pod: &Pod) -> Option<PodCache> {
        self.pod_cache.lock().await.get(&uid(pod)).cloned()
    }

    /// Returns the uid of an observed pod, with what is known about it, and discards its facts, because it is about to be changed.
    async fn begin_change(&self, node: &NodeName) -> Result<(String, PodCache), KubernetesError> {
        let uid = self.cluster.pod(node.as_str()).await?.as_ref().map(uid).unwrap_or_default();
        let mut cache = self.pod_cache.lock().await;
        let found = cache.get_mut(&uid).map(|cached| {
            cached.cached_facts = None;
            (uid, cached.clone())
        });
        // A pod that was created since then has not been checked.
        found.ok_or_else(|| KubernetesError::Pod {
            pod: node.to_string(),
            action: "be changed",
            message: "it was recreated since it was observed".to_owned(),
        })
    }

    async fn copy_to(
        &self,
        node: &NodeName,
        file: &BinaryPayload,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<(), KubernetesError> {
        let (uid, cached) = self.begin_change(node).await?;
        let upload = Upload {
            directory: &file.directory,
            file: &file.file,
            sha256: &file.sha256,
            bytes: &file.bytes,
            mode: BINARY_MODE,
            owner: cached.owner,
        };
        let mut attempts = 1;
        loop {
            match cached.executor.copy(&self.cluster, node.as_str(), &upload, progress).await {
                Err(KubernetesError::ConnectionLost { .. } | KubernetesError::Corrupt { .. })
                    if attempts < MAX_COPY_ATTEMPTS =>
                {
                    attempts += 1;
                }
                Err(error) => return Err(error),
                Ok(key) => {
                    // It was read back on the node, and need not be read again while its key is the same.
                    if let (Some(key), Some(cached)) = (key, self.pod_cache.lock().await.get_mut(&uid)) {
                        cached.contents.insert(key, file.content.clone());
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Reads the plugin directory from the server.
    async fn read_plugin_directory(&self) -> Result<PathBuf, KubernetesError> {
        let shown = self.servers.plugin_directory().await;
        let unknown = || KubernetesError::Api {
            action: "read the plugin directory of the server".to_owned(),
            message: "the server does not show its configuration to this token".to_owned(),
        };
        self.effective_directory(&shown).ok_or_else(unknown)
    }

    /// Reads the StatefulSet, and the init container of its template that copies the plugins.
    async fn read_init_container(&self) -> Result<(StatefulSet, Container), KubernetesError> {
        let statefulset = self.statefulset().await?;
        let server = server_container(&self.cluster, &statefulset, self.container.as_deref())?;
        let directory = self.read_plugin_directory().await?;
        let storage =
            statefulset.spec.as_ref().map(|spec| plugin_storage::plugin_storage(spec, server, &directory));
        let container = match storage {
            Some(PluginStorage::InitContainer { name, .. }) => {
                init_containers(&statefulset).find(|container| container.name == name).cloned()
            }
            _ => None,
        };
        let missing = || KubernetesError::NoInitContainer { statefulset: self.statefulset.clone() };
        let container = container.ok_or_else(missing)?;
        Ok((statefulset, container))
    }
}

/// The file that is sent to every node.
struct BinaryPayload {
    directory: PathBuf,
    file: String,
    sha256: String,
    bytes: Bytes,
    content: Content,
}

fn uid(pod: &Pod) -> String {
    pod.metadata.uid.clone().unwrap_or_default()
}

#[async_trait]
impl Deployment for StatefulSetDeployment {
    async fn find_active(&self) -> Result<(), DeploymentError> {
        Ok(self.0.servers.find_active(self.0.running_nodes().await?).await?)
    }

    fn follows_active_node(&self) -> bool {
        true
    }

    async fn observe(&self, query: &Query) -> Result<DeploymentObserved, DeploymentError> {
        let statefulset = self.0.statefulset().await?;
        let server = server_container(&self.0.cluster, &statefulset, self.0.container.as_deref())?.clone();
        let directory = self.0.effective_directory(&query.plugin_directory);
        let mut plugin_storage = match (&statefulset.spec, &directory) {
            (Some(spec), Some(directory)) => plugin_storage::plugin_storage(spec, &server, directory),
            _ => PluginStorage::Unknown { reason: "the plugin directory is unknown".into() },
        };
        let kind = DeploymentKind::Kubernetes {
            namespace: self.0.cluster.namespace.clone(),
            statefulset: self.0.statefulset.clone(),
            container: server.name.clone(),
        };
        let init_container = match &plugin_storage {
            PluginStorage::InitContainer { name, .. } => {
                init_containers(&statefulset).find(|it| it.name == *name).cloned()
            }
            _ => None,
        };
        let view = Arc::new(PodTemplateView {
            server,
            loader_image: loader_image(&statefulset),
            init_container,
            directory: directory.clone(),
        });
        let mut observations = JoinSet::new();
        for (name, pod) in self.0.nodes(&statefulset).await? {
            let (inner, view, query) = (Arc::clone(&self.0), Arc::clone(&view), query.clone());
            observations.spawn(async move {
                let node = inner.observe_node(&name, pod.as_ref(), &view, &query).await;
                (name, node)
            });
        }
        let mut unobserved = BTreeMap::new();
        let holder = lease::other_holder(
            &self.0.cluster,
            &self.0.statefulset,
            &self.0.identity,
            &self.0.lock_observer,
        )
        .await;
        let lock_holder = holder.unwrap_or_else(|error| {
            unobserved.insert("whether another operator is changing plugins".to_owned(), error_chain(&error));
            None
        });
        let (mut nodes, mut init_files) = (BTreeMap::new(), Vec::new());
        for (name, snapshot) in observations.join_all().await {
            let snapshot = snapshot?;
            nodes.insert(name, snapshot.node);
            init_files.extend(snapshot.init_files);
        }
        if let PluginStorage::InitContainer { image, files, .. } = &mut plugin_storage {
            *files = init_container_files::common_files(init_files)
                .or_else(|| annotated_image_files(&statefulset, image));
        }
        let update_strategy = plugin_storage::update_strategy(&statefulset);
        let directory = directory.unwrap_or_default();
        Ok(DeploymentObserved {
            kind,
            directory,
            nodes,
            plugin_storage,
            update_strategy,
            lock_holder,
            unobserved,
        })
    }

    async fn copy(
        &self,
        binary: &Binary,
        file: &str,
        nodes: &[NodeName],
        progress: UnboundedSender<CopyProgress>,
    ) -> Result<(), DeploymentError> {
        let Compressed { bytes, prefix } = compress::compress(binary.clone()).await?;
        let directory = self.0.read_plugin_directory().await?;
        let (file, sha256, total) = (file.to_owned(), binary.sha256.clone(), binary.size);
        let content = Content { sha256: sha256.clone(), prefix: Some(prefix) };
        let payload = Arc::new(BinaryPayload { directory, file, sha256, bytes, content });
        let mut copies = JoinSet::new();
        for node in nodes {
            let (node, inner, payload, progress) =
                (node.clone(), Arc::clone(&self.0), Arc::clone(&payload), progress.clone());
            copies.spawn(async move {
                let compressed = payload.bytes.len().max(1) as u64;
                let report = |sent: usize| {
                    let done = u64::try_from(u128::from(total) * sent as u128 / u128::from(compressed))
                        .unwrap_or(total);
                    // The receiver may have been dropped.
                    let _received = progress.send(CopyProgress { node: node.clone(), done, total });
                };
                inner.copy_to(&node, &payload, &report).await
            });
        }
        drop(progress);
        Ok(join_all(copies).await?)
    }

    async fn logs(&self) -> Result<BTreeMap<NodeName, Result<String, String>>, DeploymentError> {
        let statefulset = self.0.statefulset().await?;
        let server = server_container(&self.0.cluster, &statefulset, self.0.container.as_deref())?;
        Ok(logs::read_all(&self.0.cluster, self.0.nodes(&statefulset).await?, &server.name).await?)
    }

    async fn remove(&self, file: &str, nodes: &[NodeName]) -> Result<(), DeploymentError> {
        let directory = self.0.read_plugin_directory().await?;
        let mut removals = JoinSet::new();
        for node in nodes {
            let (node, inner, directory, file) =
                (node.clone(), Arc::clone(&self.0), directory.clone(), file.to_owned());
            removals.spawn(async move {
                let (_, cached) = inner.begin_change(&node).await?;
                cached.executor.remove(&inner.cluster, node.as_str(), &directory, &file).await
            });
        }
        Ok(join_all(removals).await?)
    }

    async fn node_client(&self, node: &NodeName) -> Result<Option<Client>, DeploymentError> {
        Ok(Some(self.0.servers.node_client(node).await?))
    }

    async fn acquire_lock(&self) -> Result<LeaseLock, DeploymentError> {
        let Inner { cluster, statefulset, identity, lock_observer, .. } = &*self.0;
        Ok(lease::acquire_lock(cluster, statefulset, identity, lock_observer).await?)
    }

    async fn restart_node(
        &self,
        node: &NodeName,
        uid: &str,
        unready: UnreadyPodPolicy,
    ) -> Result<(), DeploymentError> {
        Ok(restart::restart_pod(&self.0.cluster, node, uid, unready).await?)
    }

    async fn verify_image_pull(&self, image: &str) -> Result<Option<String>, DeploymentError> {
        let (_, init_container) = self.0.read_init_container().await?;
        match self.0.running_nodes().await?.first() {
            Some(node) => {
                Ok(executor::verify_image_pull(&self.0.cluster, node.as_str(), &init_container, image)
                    .await?)
            }
            None => Ok(Some("no pod is ready".to_owned())),
        }
    }

    async fn set_init_image(
        &self,
        image: &str,
        files: Option<&BTreeSet<String>>,
    ) -> Result<(), DeploymentError> {
        let (statefulset, init_container) = self.0.read_init_container().await?;
        if init_container.image.as_deref() == Some(image) {
            return Ok(());
        }
        if plugin_storage::update_strategy(&statefulset) != PodUpdateStrategy::OnDelete {
            return Err(KubernetesError::WouldRestart { statefulset: self.0.statefulset.clone() }.into());
        }
        // The resource version makes the patch fail if the update strategy was changed since it was read.
        let patch = Patch::Strategic(json!({
            "metadata": {
                "resourceVersion": statefulset.metadata.resource_version,
                "annotations": {IMAGE_FILES_ANNOTATION: files.map(|files| json!({"image": image, "files": files}).to_string())},
            },
            "spec": {"template": {"spec": {"initContainers": [{"name": init_container.name, "image": image}]}}},
        }));
        let (api, params) = (self.0.cluster.statefulsets(), PatchParams::default());
        let patched = self
            .0
            .cluster
            .retry(ApiRequest::PATCH_STATEFULSET, || api.patch(&self.0.statefulset, &params, &patch));
        patched.await?;
        Ok(())
    }
}

/// Waits for all tasks, also after an error, so that the others complete.
async fn join_all(mut tasks: JoinSet<Result<(), KubernetesError>>) -> Result<(), KubernetesError> {
    let mut failed = Vec::new();
    while let Some(result) = tasks.join_next().await {
        let result = result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        failed.extend(result.err());
    }
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0)),
        _ => Err(KubernetesError::Multiple { each: failed.iter().map(|error| error_chain(error)).collect() }),
    }
}
