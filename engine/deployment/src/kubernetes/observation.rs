//! The observation of one pod: its state, its server and its files.

use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::ResourceExt;
use rollout::{
    Freshness, Linkage, NodeName, NodeObserved, Query, Readiness, SharedDirectory, error_chain,
    is_version_file_of,
};
use tokio::time::Instant;

use super::error::KubernetesError;
use super::executor::{self, FactsRequest, NodeExecutor};
use super::facts::{ContentCache, Facts};
use super::init_container_files::{self, InitContainerFiles};
use super::pod_cache::{CachedFacts, FACTS_CACHE_TTL, PodCache};
use super::{Inner, plugin_storage, readiness, uid};

/// What the pod template contains, for one observation.
pub(super) struct PodTemplateView {
    pub(super) server: Container,
    /// The image of the init container that runs this program.
    pub(super) loader_image: Option<String>,
    /// The init container that fills the directory.
    pub(super) init_container: Option<Container>,
    pub(super) directory: Option<PathBuf>,
}

/// A node, with the files that its init container has copied.
pub(super) struct PodSnapshot {
    pub(super) node: NodeObserved,
    pub(super) init_files: Option<InitContainerFiles>,
}

impl PodSnapshot {
    fn not_ready(why: impl Into<String>) -> Self {
        Self { node: NodeObserved::not_ready(why), init_files: None }
    }
}

impl Inner {
    /// Observes a node. A problem of this node alone is part of the result.
    pub(super) async fn observe_node(
        &self,
        name: &NodeName,
        pod: Option<&Pod>,
        view: &PodTemplateView,
        query: &Query,
    ) -> Result<PodSnapshot, KubernetesError> {
        let readiness = readiness::readiness(pod, &view.server.name);
        let (Some(pod), Readiness::Ready) = (pod, &readiness) else {
            let Readiness::NotReady { reason } = readiness else {
                return Ok(PodSnapshot::not_ready("the pod does not exist"));
            };
            return Ok(PodSnapshot::not_ready(reason));
        };
        let files = async {
            match &view.directory {
                Some(directory) => self.observe_files(pod, view, directory, query).await,
                None => Ok(PodSnapshot::not_ready("its plugin directory is unknown")),
            }
        };
        let (files, server) = tokio::join!(files, self.servers.read_node_server(name, &query.namespaces));
        let PodSnapshot { mut node, init_files } = match files {
            Ok(snapshot) => snapshot,
            Err(error) if error.is_cluster_wide() => return Err(error),
            Err(error) => PodSnapshot::not_ready(error_chain(&error)),
        };
        match server {
            Ok(server) => node.server = Some(server),
            Err(why) if node.readiness == Readiness::Ready => {
                node.readiness =
                    Readiness::NotReady { reason: format!("its server does not respond: {why}") };
            }
            Err(_) => {}
        }
        node.uid = Some(uid(pod));
        Ok(PodSnapshot { node, init_files })
    }

    async fn observe_files(
        &self,
        pod: &Pod,
        view: &PodTemplateView,
        directory: &Path,
        query: &Query,
    ) -> Result<PodSnapshot, KubernetesError> {
        let linkage = query.binary.as_ref().and_then(|binary| binary.format.linkage());
        let linker = match linkage {
            Some(Linkage::Dynamic { interpreter }) => interpreter.display().to_string(),
            Some(Linkage::Static) | None => String::new(),
        };
        let needs_linker = !linker.is_empty();
        let cached = self.cached_pod(pod).await;
        let mut contents = cached.as_ref().map(|cached| cached.contents.clone()).unwrap_or_default();
        let plugin = query.plugin.clone().unwrap_or_default();
        let needed = query.needed_files.iter().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
        let request = FactsRequest { directory: directory.display().to_string(), linker, plugin, needed };
        let shell = NodeExecutor::Shell { container: view.server.name.clone() };
        let container = readiness::container_id(pod, &view.server.name).unwrap_or_default();
        let (mut executor, last) =
            cached.map_or((shell, None), |cached| (cached.executor, cached.cached_facts));
        let is_valid = |last: &CachedFacts| {
            last.request == request && last.container == container && last.at.elapsed() < FACTS_CACHE_TTL
        };
        let last = last.filter(|last| query.freshness == Freshness::MayBeCached && is_valid(last));
        let facts = match last {
            Some(last) => last.facts,
            None => {
                let at = Instant::now();
                let mut facts =
                    self.fetch_facts(pod, view, directory, &mut executor, &request, &contents).await?;
                facts.update_cache(&mut contents);
                let owner = facts.server.filter(|server| facts.user == 0 && *server != 0);
                let cached_facts = Some(CachedFacts { at, container, request, facts: facts.clone() });
                let cached = PodCache { executor: executor.clone(), contents, owner, cached_facts };
                self.pod_cache.lock().await.insert(uid(pod), cached);
                facts
            }
        };
        let helper_container = executor.helper_container().map(str::to_owned);
        let is_version =
            |file: &str| is_version_file_of(file, query.plugin.as_deref()) || query.detail.includes(file);
        let populated = view
            .init_container
            .as_ref()
            .and_then(|container| init_container_files::populated_volume(pod, container));
        let init_files = populated.map(|init_container_files::PopulatedVolume { image_id, finished_at }| {
            let files =
                facts.unchanged_since(finished_at).into_iter().filter(|file| is_version(file)).collect();
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
        node.helper_container = helper_container;
        node.file_issues.shared = shared;
        Ok(PodSnapshot { node, init_files })
    }

    /// Reads the facts with the shell of a pod, or with this program in an ephemeral container, which then becomes the `executor`.
    async fn fetch_facts(
        &self,
        pod: &Pod,
        view: &PodTemplateView,
        directory: &Path,
        executor: &mut NodeExecutor,
        request: &FactsRequest,
        contents: &ContentCache,
    ) -> Result<Facts, KubernetesError> {
        let name = pod.name_any();
        let known = contents.keys().map(String::as_str).collect::<Vec<_>>().join(" ");
        if let Some(facts) = executor.facts(&self.cluster, &name, request, &known).await? {
            return Ok(facts);
        }
        let no_shell = || KubernetesError::NoShell { pod: name.clone() };
        let image = self.tool_image.as_ref().or(view.loader_image.as_ref()).ok_or_else(no_shell)?;
        *executor =
            executor::ensure_helper_container(&self.cluster, pod, &view.server, directory, image).await?;
        executor.facts(&self.cluster, &name, request, &known).await?.ok_or_else(no_shell)
    }
}
