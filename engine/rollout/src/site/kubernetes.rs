//! Site `kubernetes`: the pods of a StatefulSet. Files go by exec, the server is reached by port-forward.

pub(crate) mod agent;
mod brings;
pub(crate) mod cluster;
pub(crate) mod error;
mod exec;
mod facts;
pub(crate) mod find;
mod forward;
mod keeping;
mod lease;
mod logs;
pub(crate) mod node;
mod pack;
mod presence;
mod proxy;
mod restart;
mod server;

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
use serde_json::json;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio::time::{Duration, Instant};
use vault_api::{Client, ClientConfig};

use self::agent::{Agent, Asking, Parcel};
use self::brings::Brought;
use self::cluster::{Cluster, ClusterChoice};
use self::error::{Asked, KubernetesError};
use self::facts::{Content, Facts, Known};
use self::find::PodChoice;
use self::lease::{Identity, Sight};
use self::pack::Packed;
use self::server::Servers;
use super::held::HeldLease;
use super::local::is_version_of;
use super::{Age, Copied, MODE, Question, Site, SiteError, Unready};
use crate::apply::chain;
use crate::binary::{Binary, Linkage};
use crate::observed::PluginDirectory;
use crate::observed::site::{
    Keeping, NodeName, NodeObserved, Presence, Restarts, SharedDirectory, SiteKind, SiteObserved,
};

/// Which site, and how to work there.
#[derive(Clone, Debug, Default)]
pub struct KubernetesChoice {
    /// Which cluster.
    pub cluster: ClusterChoice,
    /// Which pods of it.
    pub pods: PodChoice,
    /// The server's plugin directory, where the server does not show it.
    pub directory: Option<PathBuf>,
    /// An image with this program in it, for pods without a shell.
    pub tool_image: Option<String>,
}

/// The pods of a StatefulSet.
#[derive(Debug)]
pub struct KubernetesSite(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    cluster: Cluster,
    statefulset: String,
    container: Option<String>,
    directory: Option<PathBuf>,
    tool_image: Option<String>,
    identity: Identity,
    /// What was seen of the Lease so far.
    sight: Sight,
    servers: Servers,
    /// What was learned of a pod, by its uid.
    learned: Mutex<BTreeMap<String, Learned>>,
}

/// What is only found out once of a pod.
#[derive(Clone, Debug)]
struct Learned {
    agent: Agent,
    known: Known,
    /// Who has to own its plugins, where that is not the one who puts them there.
    owner: Option<u32>,
    /// The latest look, until something is done to the node.
    latest: Option<Latest>,
}

/// What was asked, in which container, and what the answer was.
#[derive(Clone, Debug)]
struct Latest {
    at: Instant,
    container: String,
    asked: Asking,
    facts: Facts,
}

/// A look is not the latest for longer: what others do is to be seen too.
const LATEST: Duration = Duration::from_secs(10);

/// Copies that are cut are begun again; what cuts one more often than that does not stop doing so.
const COPIES: u32 = 3;

impl KubernetesSite {
    /// Finds the pods that are meant. `vault` says how to speak to their servers; its address is not used.
    ///
    /// # Errors
    /// When the cluster cannot be asked, and when it is not clear what is meant.
    pub async fn connect(choice: KubernetesChoice, vault: ClientConfig) -> Result<Self, SiteError> {
        let KubernetesChoice { cluster, pods, directory, tool_image } = choice;
        let cluster = Cluster::connect(&cluster).await?;
        let statefulset = find::statefulset(&cluster, &pods).await?;
        let container = server_container(&cluster, &statefulset, pods.container.as_deref())?;
        let servers = Servers::new(cluster.clone(), keeping::door(container), vault).await?;
        let inner = Inner {
            statefulset: statefulset.name_any(),
            container: pods.container,
            directory,
            tool_image,
            identity: Identity::of_this_process(),
            sight: Sight::default(),
            servers,
            learned: Mutex::default(),
            cluster,
        };
        let running = inner.running().await?;
        if let Some(first) = running.first() {
            inner.servers.try_way(first).await?;
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
        Ok(find::nodes(statefulset, self.cluster.pods_with(&find::selector(statefulset)).await?))
    }

    /// The nodes of which something can be asked.
    async fn running(&self) -> Result<Vec<NodeName>, KubernetesError> {
        let statefulset = self.statefulset().await?;
        let container = server_container(&self.cluster, &statefulset, self.container.as_deref())?;
        let runs = |(name, pod): (NodeName, Option<Pod>)| {
            (presence::presence(pod.as_ref(), &container.name) == Presence::Ready).then_some(name)
        };
        Ok(self.nodes(&statefulset).await?.into_iter().filter_map(runs).collect())
    }

    fn directory(&self, servers: &PluginDirectory) -> Option<PathBuf> {
        match servers {
            PluginDirectory::At(directory) => Some(directory.clone()),
            PluginDirectory::NotConfigured => None,
            PluginDirectory::NotShown => self.directory.clone(),
        }
    }

    /// A node as it is. What concerns only this node is part of the answer.
    async fn look(
        &self,
        name: &NodeName,
        pod: Option<&Pod>,
        view: &View,
        question: &Question,
    ) -> Result<Seen, KubernetesError> {
        let presence = presence::presence(pod, &view.server.name);
        let (Some(pod), Presence::Ready) = (pod, &presence) else {
            let Presence::NotReady { why } = presence else {
                return Ok(Seen::not_ready("it is not there"));
            };
            return Ok(Seen::not_ready(why));
        };
        let files = async {
            match &view.directory {
                Some(directory) => self.files(pod, view, directory, question).await,
                None => Ok(Seen::not_ready("it is not known where its plugin directory is")),
            }
        };
        let (files, server) = tokio::join!(files, self.servers.look(name));
        let Seen { mut node, brought } = match files {
            Ok(seen) => seen,
            Err(error) if error.is_of_all() => return Err(error),
            Err(error) => Seen::not_ready(chain(&error)),
        };
        match server {
            Ok(server) => node.vault = Some(server),
            Err(why) if node.presence == Presence::Ready => {
                node.presence = Presence::NotReady { why: format!("its server does not answer: {why}") };
            }
            Err(_) => {}
        }
        node.uid = Some(uid(pod));
        Ok(Seen { node, brought })
    }

    async fn files(
        &self,
        pod: &Pod,
        view: &View,
        directory: &Path,
        question: &Question,
    ) -> Result<Seen, KubernetesError> {
        let linkage = question.binary.as_ref().and_then(|binary| binary.format.linkage());
        let linker = match linkage {
            Some(Linkage::Dynamic { interpreter }) => interpreter.display().to_string(),
            Some(Linkage::Static) | None => String::new(),
        };
        let needs_linker = !linker.is_empty();
        let learned = self.learned(pod).await;
        let mut known = learned.as_ref().map(|learned| learned.known.clone()).unwrap_or_default();
        let plugin = question.plugin.clone().unwrap_or_default();
        let needed = question.needed.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
        let asked = Asking { directory: directory.display().to_string(), linker, plugin, needed };
        let shell = Agent::Shell { container: view.server.name.clone() };
        let container = presence::container_id(pod, &view.server.name).unwrap_or_default();
        let (mut agent, latest) = learned.map_or((shell, None), |learned| (learned.agent, learned.latest));
        let is_it = |latest: &Latest| {
            latest.asked == asked && latest.container == container && latest.at.elapsed() < LATEST
        };
        let latest = latest.filter(|latest| question.age == Age::Latest && is_it(latest));
        let facts = match latest {
            Some(latest) => latest.facts,
            None => {
                let at = Instant::now();
                let mut facts = self.ask(pod, view, directory, &mut agent, &asked, &known).await?;
                facts.learn(&mut known);
                let owner = facts.server.filter(|server| facts.user == 0 && *server != 0);
                let latest = Some(Latest { at, container, asked, facts: facts.clone() });
                let learned = Learned { agent: agent.clone(), known, owner, latest };
                self.learned.lock().await.insert(uid(pod), learned);
                facts
            }
        };
        let beside = agent.beside().map(str::to_owned);
        let is_version =
            |file: &str| is_version_of(file, question.plugin.as_deref()) || question.look.names(file);
        let filled = view.filler.as_ref().and_then(|filler| brings::filled(pod, filler));
        let brought = filled.map(|brings::Filled { image_id, at }| {
            let files = facts.unchanged_since(at).into_iter().filter(|file| is_version(file)).collect();
            Brought { image_id, files }
        });
        let with = pod.spec.as_ref().map(|spec| keeping::others_on_volume(spec, &view.server, directory));
        let with = with.filter(|with| !with.is_empty());
        let shared = with.and_then(|with| {
            let (directory, by) = facts.exposed()?;
            Some(SharedDirectory { directory, by, with })
        });
        let mut node = facts.into_node(directory, needs_linker, keeping::writers(&view.server), is_version);
        node.beside = beside;
        node.oddities.shared = shared;
        Ok(Seen { node, brought })
    }

    /// Asks the shell of a pod, or where there is none this program beside it, who is then the `agent` there.
    async fn ask(
        &self,
        pod: &Pod,
        view: &View,
        directory: &Path,
        agent: &mut Agent,
        asked: &Asking,
        known: &Known,
    ) -> Result<Facts, KubernetesError> {
        let name = pod.name_any();
        let known = known.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
        if let Some(facts) = agent.facts(&self.cluster, &name, asked, &known).await? {
            return Ok(facts);
        }
        let no_shell = || KubernetesError::NoShell { pod: name.clone() };
        let image = self.tool_image.as_ref().or(view.loader.as_ref()).ok_or_else(no_shell)?;
        *agent = agent::beside(&self.cluster, pod, &view.server, directory, image).await?;
        agent.facts(&self.cluster, &name, asked, &known).await?.ok_or_else(no_shell)
    }

    async fn learned(&self, pod: &Pod) -> Option<Learned> {
        self.learned.lock().await.get(&uid(pod)).cloned()
    }

    /// A pod that was looked at, by its uid, with what was learned. It is about to be changed, and is looked at anew then.
    async fn acquainted(&self, node: &NodeName) -> Result<(String, Learned), KubernetesError> {
        let uid = self.cluster.pod(node.as_str()).await?.as_ref().map(uid).unwrap_or_default();
        let mut learned = self.learned.lock().await;
        let found = learned.get_mut(&uid).map(|learned| {
            learned.latest = None;
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
        file: &Shipment,
        progress: &(dyn Fn(usize) + Sync),
    ) -> Result<(), KubernetesError> {
        let (uid, learned) = self.acquainted(node).await?;
        let parcel = Parcel {
            directory: &file.directory,
            file: &file.file,
            sha256: &file.sha256,
            bytes: &file.bytes,
            mode: MODE,
            owner: learned.owner,
        };
        let mut copies = 1;
        loop {
            match learned.agent.place(&self.cluster, node.as_str(), &parcel, progress).await {
                Err(KubernetesError::Cut { .. } | KubernetesError::Corrupt { .. }) if copies < COPIES => {
                    copies += 1;
                }
                Err(error) => return Err(error),
                Ok(key) => {
                    // It was read back there, and need not be read again as long as that is the same file.
                    if let (Some(key), Some(learned)) = (key, self.learned.lock().await.get_mut(&uid)) {
                        learned.known.insert(key, file.content.clone());
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
        self.directory(&shown).ok_or_else(unknown)
    }
}

/// What the description of the pods says, for one look at them.
struct View {
    server: Container,
    /// The image of the init container that is this program.
    loader: Option<String>,
    /// The init container that fills the directory.
    filler: Option<Container>,
    directory: Option<PathBuf>,
}

/// A node, and what it shows of what an init container brings.
struct Seen {
    node: NodeObserved,
    brought: Option<Brought>,
}

impl Seen {
    fn not_ready(why: impl Into<String>) -> Self {
        Self { node: NodeObserved::not_ready(why), brought: None }
    }
}

/// What is sent to every node.
struct Shipment {
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
    find::container(&cluster.namespace, pod, wanted)
}

/// The image of the init container that is this program.
fn loader(statefulset: &StatefulSet) -> Option<String> {
    init_containers(statefulset).find(|container| keeping::is_loader(container))?.image.clone()
}

/// What [`Site::persist`] has written down of an image that no pod has run yet: with that, a rollback knows what the image brings.
const IMAGE_FILES: &str = "vault-token-plugin/image-files";

/// What is in the image of that name, as was read when it was named.
fn named_files(statefulset: &StatefulSet, image: &str) -> Option<BTreeSet<String>> {
    #[derive(serde::Deserialize)]
    struct Named {
        image: String,
        files: BTreeSet<String>,
    }
    let written = statefulset.metadata.annotations.as_ref()?.get(IMAGE_FILES)?;
    let named: Named = serde_json::from_str(written).ok()?;
    (named.image == image).then_some(named.files)
}

fn init_containers(statefulset: &StatefulSet) -> impl Iterator<Item = &Container> {
    let pod = statefulset.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
    pod.into_iter().flat_map(|pod| pod.init_containers.iter().flatten())
}

#[async_trait]
impl Site for KubernetesSite {
    async fn find_active(&self) -> Result<(), SiteError> {
        Ok(self.0.servers.find_active(self.0.running().await?).await?)
    }

    fn leads_to_active(&self) -> bool {
        true
    }

    async fn observe(&self, question: &Question) -> Result<SiteObserved, SiteError> {
        let statefulset = self.0.statefulset().await?;
        let server = server_container(&self.0.cluster, &statefulset, self.0.container.as_deref())?.clone();
        let directory = self.0.directory(&question.servers);
        let mut keeping = match (&statefulset.spec, &directory) {
            (Some(spec), Some(directory)) => keeping::keeping(spec, &server, directory),
            _ => Keeping::Unknown { why: "it is not known where the plugin directory is".into() },
        };
        let kind = SiteKind::Kubernetes {
            namespace: self.0.cluster.namespace.clone(),
            statefulset: self.0.statefulset.clone(),
            container: server.name.clone(),
        };
        let filler = match &keeping {
            Keeping::InitContainer { name, .. } => {
                init_containers(&statefulset).find(|it| it.name == *name).cloned()
            }
            _ => None,
        };
        let view =
            Arc::new(View { server, loader: loader(&statefulset), filler, directory: directory.clone() });
        let mut looking = JoinSet::new();
        for (name, pod) in self.0.nodes(&statefulset).await? {
            let (inner, view, question) = (Arc::clone(&self.0), Arc::clone(&view), question.clone());
            looking.spawn(async move {
                let node = inner.look(&name, pod.as_ref(), &view, &question).await;
                (name, node)
            });
        }
        let mut unseen = BTreeMap::new();
        let held = lease::other(&self.0.cluster, &self.0.statefulset, &self.0.identity, &self.0.sight).await;
        let holder = held.unwrap_or_else(|error| {
            unseen.insert("whether somebody changes plugins at this moment".to_owned(), chain(&error));
            None
        });
        let (mut nodes, mut brought) = (BTreeMap::new(), Vec::new());
        for (name, seen) in looking.join_all().await {
            let seen = seen?;
            nodes.insert(name, seen.node);
            brought.extend(seen.brought);
        }
        if let Keeping::InitContainer { image, brings, .. } = &mut keeping {
            *brings = brings::by_all(brought).or_else(|| named_files(&statefulset, image));
        }
        let restarts = keeping::restarts(&statefulset);
        let directory = directory.unwrap_or_default();
        Ok(SiteObserved { kind, directory, nodes, keeping, restarts, holder, unseen })
    }

    async fn place(
        &self,
        binary: &Binary,
        file: &str,
        nodes: &[NodeName],
        progress: UnboundedSender<Copied>,
    ) -> Result<(), SiteError> {
        let Packed { bytes, start } = pack::pack(binary.clone()).await?;
        let directory = self.0.current_directory().await?;
        let (file, sha256, total) = (file.to_owned(), binary.sha256.clone(), binary.size);
        let content = Content { sha256: sha256.clone(), start: Some(start) };
        let shipment = Arc::new(Shipment { directory, file, sha256, bytes, content });
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
                    let _heard = progress.send(Copied { node: node.clone(), done, total });
                };
                inner.place_on(&node, &shipment, &tell).await
            });
        }
        drop(progress);
        all(placing).await
    }

    async fn logs(&self) -> Result<BTreeMap<NodeName, Result<String, String>>, SiteError> {
        let statefulset = self.0.statefulset().await?;
        let server = server_container(&self.0.cluster, &statefulset, self.0.container.as_deref())?;
        Ok(logs::of(&self.0.cluster, self.0.nodes(&statefulset).await?, &server.name).await?)
    }

    async fn take_away(&self, file: &str, nodes: &[NodeName]) -> Result<(), SiteError> {
        let directory = self.0.current_directory().await?;
        let mut taking = JoinSet::new();
        for node in nodes {
            let (node, inner, directory, file) =
                (node.clone(), Arc::clone(&self.0), directory.clone(), file.to_owned());
            taking.spawn(async move {
                let (_, learned) = inner.acquainted(&node).await?;
                learned.agent.remove(&inner.cluster, node.as_str(), &directory, &file).await
            });
        }
        all(taking).await
    }

    async fn client_of(&self, node: &NodeName) -> Result<Option<Client>, SiteError> {
        Ok(Some(self.0.servers.client_of(node).await?))
    }

    async fn hold(&self) -> Result<HeldLease, SiteError> {
        let Inner { cluster, statefulset, identity, sight, .. } = &*self.0;
        Ok(lease::hold(cluster, statefulset, identity, sight).await?)
    }

    async fn restart(&self, node: &NodeName, uid: &str, unready: Unready) -> Result<(), SiteError> {
        Ok(restart::restart(&self.0.cluster, node, uid, unready).await?)
    }

    async fn prove_pull(&self, image: &str) -> Result<Option<String>, SiteError> {
        let statefulset = self.0.statefulset().await?;
        let server = server_container(&self.0.cluster, &statefulset, self.0.container.as_deref())?;
        let directory = self.0.current_directory().await?;
        let keeping = statefulset.spec.as_ref().map(|spec| keeping::keeping(spec, server, &directory));
        let filler = match &keeping {
            Some(Keeping::InitContainer { name, .. }) => {
                init_containers(&statefulset).find(|container| container.name == *name)
            }
            _ => None,
        };
        let Some(filler) = filler else {
            return Err(KubernetesError::NoInitContainer { statefulset: self.0.statefulset.clone() }.into());
        };
        match self.0.running().await?.first() {
            Some(node) => Ok(agent::pull(&self.0.cluster, node.as_str(), filler, image).await?),
            None => Ok(Some("no pod is ready".to_owned())),
        }
    }

    async fn persist(&self, image: &str, files: Option<&BTreeSet<String>>) -> Result<(), SiteError> {
        let statefulset = self.0.statefulset().await?;
        let server = server_container(&self.0.cluster, &statefulset, self.0.container.as_deref())?;
        let directory = self.0.current_directory().await?;
        let keeping = statefulset.spec.as_ref().map(|spec| keeping::keeping(spec, server, &directory));
        let name = || self.0.statefulset.clone();
        let Some(Keeping::InitContainer { name: container, image: there, .. }) = keeping else {
            return Err(KubernetesError::NoInitContainer { statefulset: name() }.into());
        };
        if there == image {
            return Ok(());
        }
        if keeping::restarts(&statefulset) != Restarts::ByHand {
            return Err(KubernetesError::WouldRestart { statefulset: name() }.into());
        }
        // The version that was looked at: whoever has changed the strategy since then is not overruled.
        let patch = Patch::Strategic(json!({
            "metadata": {
                "resourceVersion": statefulset.metadata.resource_version,
                "annotations": {IMAGE_FILES: files.map(|files| json!({"image": image, "files": files}).to_string())},
            },
            "spec": {"template": {"spec": {"initContainers": [{"name": container, "image": image}]}}},
        }));
        let (api, params) = (self.0.cluster.statefulsets(), PatchParams::default());
        let patched = self
            .0
            .cluster
            .again(Asked::PATCH_STATEFULSET, || api.patch(&self.0.statefulset, &params, &patch));
        patched.await?;
        Ok(())
    }
}

/// Waits for all, also when one has failed: what the others do is done as it should be.
async fn all(mut working: JoinSet<Result<(), KubernetesError>>) -> Result<(), SiteError> {
    let mut failed = Vec::new();
    while let Some(ended) = working.join_next().await {
        let ended = ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        failed.extend(ended.err());
    }
    match failed.len() {
        0 => Ok(()),
        1 => Err(failed.remove(0).into()),
        _ => Err(KubernetesError::Several { each: failed.iter().map(|error| chain(error)).collect() }.into()),
    }
}
