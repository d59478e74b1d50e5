//! Site `kubernetes`: the pods of a StatefulSet. Files go by exec, the server is reached by port-forward.

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
mod plugin_storage;
mod port_forward;
mod proxy;
mod readiness;
mod restart;
mod servers;

#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt;
use kube::api::{Patch, PatchParams};
use rollout::{
    BINARY_MODE, Binary, CopyProgress, Deployment, DeploymentError, DeploymentKind, DeploymentObserved,
    Freshness, LeaseLock, Linkage, NodeName, NodeObserved, PluginDirectory, PluginStorage, PodUpdateStrategy,
    Query, Readiness, SharedDirectory, UnreadyPodPolicy, error_chain, is_version_file_of,
};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};
use vault_api::{Client, ClientConfig};

use self::cluster::{Cluster, ClusterOptions};
use self::compress::Compressed;
use self::error::{ApiRequest, KubernetesError};
use self::executor::{FactsRequest, NodeExecutor, Upload};
use self::facts::{Content, ContentCache, Facts};
use self::find::PodSelector;
use self::init_container_files::InitContainerFiles;
use self::lease::{Identity, LockObserver};
use self::servers::Servers;

/// Which site, and how to work there.
#[derive(Clone, Debug, Default)]
pub struct KubernetesOptions {
    /// Which cluster.
    pub cluster: ClusterOptions,
    /// Which pods of it.
    pub pods: PodSelector,
    /// The server's plugin directory, where the server does not show it.
    pub directory: Option<PathBuf>,
    /// An image with this program in it, for pods without a shell.
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
    /// What was seen of the Lease so far.
    lock_observer: LockObserver,
    servers: Servers,
    /// What was learned of a pod, by its uid.
    pod_cache: Mutex<BTreeMap<String, PodCache>>,
}

/// What is only found out once of a pod.
#[derive(Clone, Debug)]
struct PodCache {
    executor: NodeExecutor,
    contents: ContentCache,
    /// Who has to own its plugins, where that is not the one who puts them there.
    owner: Option<u32>,
    /// The latest look, until something is done to the node.
    cached_facts: Option<CachedFacts>,
}

/// What was asked, in which container, and what the answer was.
#[derive(Clone, Debug)]
struct CachedFacts {
    at: Instant,
    container: String,
    request: FactsRequest,
    facts: Facts,
}

/// A look is not the latest for longer: what others do is to be seen too.
const FACTS_CACHE_TTL: Duration = Duration::from_secs(10);

/// Copies that are cut are begun again; what cuts one more often than that does not stop doing so.
const MAX_COPY_ATTEMPTS: u32 = 3;

impl StatefulSetDeployment {
    /// Finds the pods that are meant. `vault` says how to speak to their servers; its address is not used.
    ///
    /// # Errors
    /// When the cluster cannot be asked, and when it is not clear what is meant.
    pub async fn connect(choice: KubernetesOptions, vault: ClientConfig) -> Result<Self, KubernetesError> {
        let KubernetesOptions { cluster, pods, directory, tool_image } = choice;
        let cluster = Cluster::connect(&cluster).await?;
        let statefulset = find::find_statefulset(&cluster, &pods).await?;
        let container = server_container(&cluster, &statefulset, pods.container.as_deref())?;
        let servers = Servers::new(cluster.clone(), plugin_storage::vault_endpoint(container), vault).await?;
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

    /// The server, by way of whichever pod was active when that was last looked for.
    pub fn client(&self) -> Client {
        self.0.servers.client().clone()
    }
}

impl Inner {
    async fn statefulset(&self) -> Result<StatefulSet, KubernetesError> {
        let found = self.cluster.statefulset(&self.statefulset).await?;
        found.ok_or_else(|| KubernetesError::NotFound {
            what: format!("StatefulSet {}", self.statefulset),
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

    /// The nodes of which something can be asked.
    async fn running_nodes(&self) -> Result<Vec<NodeName>, KubernetesError> {
        let statefulset = self.statefulset().await?;
        let container = server_container(&self.cluster, &statefulset, self.container.as_deref())?;
        let runs = |(name, pod): (NodeName, Option<Pod>)| {
            (readiness::readiness(pod.as_ref(), &container.name) == Readiness::Ready).then_some(name)
        };
        Ok(self.nodes(&statefulset).await?.into_iter().filter_map(runs).collect())
    }

    fn effective_directory(&self, servers: &PluginDirectory) -> Option<PathBuf> {
        match servers {
            PluginDirectory::At(directory) => Some(directory.clone()),
            PluginDirectory::NotConfigured => None,
            PluginDirectory::NotVisible => self.directory.clone(),
        }
    }

    /// A node as it is. What concerns only this node is part of the answer.
    async fn observe_node(
        &self,
        name: &NodeName,
        pod: Option<&Pod>,
        view: &PodTemplateView,
        question: &Query,
    ) -> Result<PodSnapshot, KubernetesError> {
        let presence = readiness::readiness(pod, &view.server.name);
        let (Some(pod), Readiness::Ready) = (pod, &presence) else {
            let Readiness::NotReady { reason: why } = presence else {
                return Ok(PodSnapshot::not_ready("it is not there"));
            };
            return Ok(PodSnapshot::not_ready(why));
        };
        let files = async {
            match &view.directory {
                Some(directory) => self.observe_files(pod, view, directory, question).await,
                None => Ok(PodSnapshot::not_ready("it is not known where its plugin directory is")),
            }
        };
        let (files, server) = tokio::join!(files, self.servers.read_node_server(name));
        let PodSnapshot { mut node, init_files: brought } = match files {
            Ok(seen) => seen,
            Err(error) if error.is_cluster_wide() => return Err(error),
            Err(error) => PodSnapshot::not_ready(error_chain(&error)),
        };
        match server {
            Ok(server) => node.server = Some(server),
            Err(why) if node.readiness == Readiness::Ready => {
                node.readiness = Readiness::NotReady { reason: format!("its server does not answer: {why}") };
            }
            Err(_) => {}
        }
        node.uid = Some(uid(pod));
        Ok(PodSnapshot { node, init_files: brought })
    }

    async fn observe_files(
        &self,
        pod: &Pod,
        view: &PodTemplateView,
        directory: &Path,
        question: &Query,
    ) -> Result<PodSnapshot, KubernetesError> {
        let linkage = question.binary.as_ref().and_then(|binary| binary.format.linkage());
        let linker = match linkage {
            Some(Linkage::Dynamic { interpreter }) => interpreter.display().to_string(),
            Some(Linkage::Static) | None => String::new(),
        };
        let needs_linker = !linker.is_empty();
        let learned = self.cached_pod(pod).await;
        let mut known = learned.as_ref().map(|learned| learned.contents.clone()).unwrap_or_default();
        let plugin = question.plugin.clone().unwrap_or_default();
        let needed = question.needed_files.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
        let asked = FactsRequest { directory: directory.display().to_string(), linker, plugin, needed };
        let shell = NodeExecutor::Shell { container: view.server.name.clone() };
        let container = readiness::container_id(pod, &view.server.name).unwrap_or_default();
        let (mut agent, latest) =
            learned.map_or((shell, None), |learned| (learned.executor, learned.cached_facts));
        let is_it = |latest: &CachedFacts| {
            latest.request == asked && latest.container == container && latest.at.elapsed() < FACTS_CACHE_TTL
        };
        let latest = latest.filter(|latest| question.freshness == Freshness::MayBeCached && is_it(latest));
        let facts = match latest {
            Some(latest) => latest.facts,
            None => {
                let at = Instant::now();
                let mut facts = self.fetch_facts(pod, view, directory, &mut agent, &asked, &known).await?;
                facts.update_cache(&mut known);
                let owner = facts.server.filter(|server| facts.user == 0 && *server != 0);
                let latest = Some(CachedFacts { at, container, request: asked, facts: facts.clone() });
                let learned =
                    PodCache { executor: agent.clone(), contents: known, owner, cached_facts: latest };
                self.pod_cache.lock().await.insert(uid(pod), learned);
                facts
            }
        };
        let beside = agent.helper_container().map(str::to_owned);
        let is_version = |file: &str| {
            is_version_file_of(file, question.plugin.as_deref()) || question.detail.includes(file)
        };
        let filled = view
            .init_container
            .as_ref()
            .and_then(|filler| init_container_files::populated_volume(pod, filler));
        let brought = filled.map(|init_container_files::PopulatedVolume { image_id, finished_at: at }| {
            let files = facts.unchanged_since(at).into_iter().filter(|file| is_version(file)).collect();
            InitContainerFiles { image_id, files }
        });
        let with =
            pod.spec.as_ref().map(|spec| plugin_storage::others_on_volume(spec, &view.server, directory));
        let with = with.filter(|with| !with.is_empty());
        let shared = with.and_then(|with| {
            let (directory, by) = facts.exposed()?;
            Some(SharedDirectory { directory, by, with })
        });
        let mut node =
            facts.into_node(directory, needs_linker, plugin_storage::writer_policy(&view.server), is_version);
        node.helper_container = beside;
        node.file_issues.shared = shared;
        Ok(PodSnapshot { node, init_files: brought })
    }

    /// Asks the shell of a pod, or where there is none this program beside it, who is then the `agent` there.
    async fn fetch_facts(
        &self,
        pod: &Pod,
        view: &PodTemplateView,
        directory: &Path,
        agent: &mut NodeExecutor,
        asked: &FactsRequest,
        known: &ContentCache,
    ) -> Result<Facts, KubernetesError> {
        let name = pod.name_any();
        let known = known.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
        if let Some(facts) = agent.facts(&self.cluster, &name, asked, &known).await? {
            return Ok(facts);
        }
        let no_shell = || KubernetesError::NoShell { pod: name.clone() };
        let image = self.tool_image.as_ref().or(view.loader_image.as_ref()).ok_or_else(no_shell)?;
        *agent =
            executor::ensure_helper_container(&self.cluster, pod, &view.server, directory, image).await?;
        agent.facts(&self.cluster, &name, asked, &known).await?.ok_or_else(no_shell)
    }

    async fn cached_pod(&self, pod: &Pod) -> Option<PodCache> {
        self.pod_cache.lock().await.get(&uid(pod)).cloned()
    }

    /// A pod that was looked at, by its uid, with what was learned. It is about to be changed, and is looked at anew then.
    async fn take_cached_pod(&self, node: &NodeName) -> Result<(String, PodCache), KubernetesError> {
        let uid = self.cluster.pod(node.as_str()).await?.as_ref().map(uid).unwrap_or_default();
        let mut learned = self.pod_cache.lock().await;
        let found = learned.get_mut(&uid).map(|learned| {
            learned.cached_facts = None;
            (uid, learned.clone())
        });
        // A pod that has come since then has not been looked at, and may not be fit.
        found.ok_or_else(|| KubernetesError::Pod {
            pod: node.to_string(),
            what: "be changed",
            said: "it was made anew since it was looked at".to_owned(),
        })
    }

    async fn place_on(
        &self,
        node: &NodeName,
        file: &BinaryPayload,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<(), KubernetesError> {
        let (uid, learned) = self.take_cached_pod(node).await?;
        let parcel = Upload {
            directory: &file.directory,
            file: &file.file,
            sha256: &file.sha256,
            bytes: &file.bytes,
            mode: BINARY_MODE,
            owner: learned.owner,
        };
        let mut copies = 1;
        loop {
            match learned.executor.place(&self.cluster, node.as_str(), &parcel, progress).await {
                Err(KubernetesError::ConnectionLost { .. } | KubernetesError::Corrupt { .. })
                    if copies < MAX_COPY_ATTEMPTS =>
                {
                    copies += 1;
                }
                Err(error) => return Err(error),
                Ok(key) => {
                    // It was read back there, and need not be read again as long as that is the same file.
                    if let (Some(key), Some(learned)) = (key, self.pod_cache.lock().await.get_mut(&uid)) {
                        learned.contents.insert(key, file.content.clone());
                    }
                    return Ok(());
                }
            }
        }
    }

    /// Where the server says its plugins are now; a file may only be put where it was looked before.
    async fn current_directory(&self) -> Result<PathBuf, KubernetesError> {
        let shown = self.servers.plugin_directory().await;
        let unknown = || KubernetesError::Api {
            what: "find out where the server's plugin directory is".to_owned(),
            said: "the server does not show its configuration to this token".to_owned(),
        };
        self.effective_directory(&shown).ok_or_else(unknown)
    }
}

/// What the description of the pods says, for one look at them.
struct PodTemplateView {
    server: Container,
    /// The image of the init container that is this program.
    loader_image: Option<String>,
    /// The init container that fills the directory.
    init_container: Option<Container>,
    directory: Option<PathBuf>,
}

/// A node, and what it shows of what an init container brings.
struct PodSnapshot {
    node: NodeObserved,
    init_files: Option<InitContainerFiles>,
}

impl PodSnapshot {
    fn not_ready(why: impl Into<String>) -> Self {
        Self { node: NodeObserved::not_ready(why), init_files: None }
    }
}

/// What is sent to every node.
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

fn server_container<'a>(
    cluster: &Cluster,
    statefulset: &'a StatefulSet,
    wanted: Option<&str>,
) -> Result<&'a Container, KubernetesError> {
    let pod = statefulset.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    let pod = pod.ok_or_else(|| KubernetesError::NotFound {
        what: format!("description of the pods of {}", statefulset.name_any()),
        namespace: cluster.namespace.clone(),
        found: Vec::new(),
    })?;
    find::find_server_container(&cluster.namespace, pod, wanted)
}

/// The image of the init container that is this program.
fn loader_image(statefulset: &StatefulSet) -> Option<String> {
    init_containers(statefulset).find(|container| plugin_storage::is_loader(container))?.image.clone()
}

/// What [`Deployment::set_init_image`] has written down of an image that no pod has run yet: with that, a rollback knows what the image brings.
const IMAGE_FILES_ANNOTATION: &str = "vault-token-plugin/image-files";

/// What is in the image of that name, as was read when it was named.
fn annotated_image_files(statefulset: &StatefulSet, image: &str) -> Option<BTreeSet<String>> {
    #[derive(serde::Deserialize)]
    struct Named {
        image: String,
        files: BTreeSet<String>,
    }
    let written = statefulset.metadata.annotations.as_ref()?.get(IMAGE_FILES_ANNOTATION)?;
    let named: Named = serde_json::from_str(written).ok()?;
    (named.image == image).then_some(named.files)
}

fn init_containers(statefulset: &StatefulSet) -> impl Iterator<Item = &Container> {
    let pod = statefulset.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.into_iter().flat_map(|pod| pod.init_containers.iter().flatten())
}

#[async_trait]
impl Deployment for StatefulSetDeployment {
    async fn find_active(&self) -> Result<(), DeploymentError> {
        Ok(self.0.servers.find_active(self.0.running_nodes().await?).await?)
    }

    fn follows_active_node(&self) -> bool {
        true
    }

    async fn observe(&self, question: &Query) -> Result<DeploymentObserved, DeploymentError> {
        let statefulset = self.0.statefulset().await?;
        let server = server_container(&self.0.cluster, &statefulset, self.0.container.as_deref())?.clone();
        let directory = self.0.effective_directory(&question.plugin_directory);
        let mut plugin_storage = match (&statefulset.spec, &directory) {
            (Some(spec), Some(directory)) => plugin_storage::plugin_storage(spec, &server, directory),
            _ => PluginStorage::Unknown { reason: "it is not known where the plugin directory is".into() },
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
        let mut looking = JoinSet::new();
        for (name, pod) in self.0.nodes(&statefulset).await? {
            let (inner, view, question) = (Arc::clone(&self.0), Arc::clone(&view), question.clone());
            looking.spawn(async move {
                let node = inner.observe_node(&name, pod.as_ref(), &view, &question).await;
                (name, node)
            });
        }
        let mut unobserved = BTreeMap::new();
        let held = lease::other_holder(
            &self.0.cluster,
            &self.0.statefulset,
            &self.0.identity,
            &self.0.lock_observer,
        )
        .await;
        let lock_holder = held.unwrap_or_else(|error| {
            unobserved
                .insert("whether somebody changes plugins at this moment".to_owned(), error_chain(&error));
            None
        });
        let (mut nodes, mut init_files) = (BTreeMap::new(), Vec::new());
        for (name, seen) in looking.join_all().await {
            let seen = seen?;
            nodes.insert(name, seen.node);
            init_files.extend(seen.init_files);
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

    async fn place(
        &self,
        binary: &Binary,
        file: &str,
        nodes: &[NodeName],
        progress: UnboundedSender<CopyProgress>,
    ) -> Result<(), DeploymentError> {
        let Compressed { bytes, prefix } = compress::compress(binary.clone()).await?;
        let directory = self.0.current_directory().await?;
        let (file, sha256, total) = (file.to_owned(), binary.sha256.clone(), binary.size);
        let content = Content { sha256: sha256.clone(), prefix: Some(prefix) };
        let shipment = Arc::new(BinaryPayload { directory, file, sha256, bytes, content });
        let mut placing = JoinSet::new();
        for node in nodes {
            let (node, inner, shipment, progress) =
                (node.clone(), Arc::clone(&self.0), Arc::clone(&shipment), progress.clone());
            placing.spawn(async move {
                let packed = shipment.bytes.len().max(1) as u64;
                let tell = |sent: usize| {
                    let done =
                        u64::try_from(u128::from(total) * sent as u128 / u128::from(packed)).unwrap_or(total);
                    // Nobody has to listen.
                    let _heard = progress.send(CopyProgress { node: node.clone(), done, total });
                };
                inner.place_on(&node, &shipment, &tell).await
            });
        }
        drop(progress);
        Ok(join_all(placing).await?)
    }

    async fn logs(&self) -> Result<BTreeMap<NodeName, Result<String, String>>, DeploymentError> {
        let statefulset = self.0.statefulset().await?;
        let server = server_container(&self.0.cluster, &statefulset, self.0.container.as_deref())?;
        Ok(logs::read_all(&self.0.cluster, self.0.nodes(&statefulset).await?, &server.name).await?)
    }

    async fn remove(&self, file: &str, nodes: &[NodeName]) -> Result<(), DeploymentError> {
        let directory = self.0.current_directory().await?;
        let mut taking = JoinSet::new();
        for node in nodes {
            let (node, inner, directory, file) =
                (node.clone(), Arc::clone(&self.0), directory.clone(), file.to_owned());
            taking.spawn(async move {
                let (_, learned) = inner.take_cached_pod(&node).await?;
                learned.executor.remove(&inner.cluster, node.as_str(), &directory, &file).await
            });
        }
        Ok(join_all(taking).await?)
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
        let statefulset = self.0.statefulset().await?;
        let server = server_container(&self.0.cluster, &statefulset, self.0.container.as_deref())?;
        let directory = self.0.current_directory().await?;
        let plugin_storage =
            statefulset.spec.as_ref().map(|spec| plugin_storage::plugin_storage(spec, server, &directory));
        let init_container = match &plugin_storage {
            Some(PluginStorage::InitContainer { name, .. }) => {
                init_containers(&statefulset).find(|container| container.name == *name)
            }
            _ => None,
        };
        let Some(init_container) = init_container else {
            return Err(KubernetesError::NoInitContainer { statefulset: self.0.statefulset.clone() }.into());
        };
        match self.0.running_nodes().await?.first() {
            Some(node) => {
                Ok(executor::verify_image_pull(&self.0.cluster, node.as_str(), init_container, image).await?)
            }
            None => Ok(Some("no pod is ready".to_owned())),
        }
    }

    async fn set_init_image(
        &self,
        image: &str,
        files: Option<&BTreeSet<String>>,
    ) -> Result<(), DeploymentError> {
        let statefulset = self.0.statefulset().await?;
        let server = server_container(&self.0.cluster, &statefulset, self.0.container.as_deref())?;
        let directory = self.0.current_directory().await?;
        let plugin_storage =
            statefulset.spec.as_ref().map(|spec| plugin_storage::plugin_storage(spec, server, &directory));
        let name = || self.0.statefulset.clone();
        let Some(PluginStorage::InitContainer { name: container, image: there, .. }) = plugin_storage else {
            return Err(KubernetesError::NoInitContainer { statefulset: name() }.into());
        };
        if there == image {
            return Ok(());
        }
        if plugin_storage::update_strategy(&statefulset) != PodUpdateStrategy::OnDelete {
            return Err(KubernetesError::WouldRestart { statefulset: name() }.into());
        }
        // The version that was looked at: whoever has changed the strategy since then is not overruled.
        let patch = Patch::Strategic(json!({
            "metadata": {
                "resourceVersion": statefulset.metadata.resource_version,
                "annotations": {IMAGE_FILES_ANNOTATION: files.map(|files| json!({"image": image, "files": files}).to_string())},
            },
            "spec": {"template": {"spec": {"initContainers": [{"name": container, "image": image}]}}},
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

/// Waits for all, also when one has failed: what the others do is done as it should be.
async fn join_all(mut working: JoinSet<Result<(), KubernetesError>>) -> Result<(), KubernetesError> {
    let mut failed = Vec::new();
    while let Some(ended) = working.join_next().await {
        let ended = ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        failed.extend(ended.err());
    }
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0)),
        _ => Err(KubernetesError::Multiple { each: failed.iter().map(|error| error_chain(error)).collect() }),
    }
}
