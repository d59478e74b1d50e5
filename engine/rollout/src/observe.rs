//! Takes a snapshot of server and nodes. Changes nothing, except that it revokes a lease that a read has issued.

mod consumers;
mod other_nodes;
mod query;
mod raft;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use vault_api::catalog::{ListedPlugin, PluginRef, PluginType};
use vault_api::config_state::ConfigState;
use vault_api::health::Product;
use vault_api::{
    ApiError, CallError, Client, Endpoint, capabilities, catalog, config_state, health, help, leases,
    logical, mounts, pins,
};

use crate::compare::{Comparison, compare};
use crate::consumer::Consumer;
use crate::decide::permission_paths;
use crate::deployment::{Deployment, DeploymentError, Freshness};
use crate::goal::{DesiredMount, DesiredWrite, Goal};
use crate::observed::deployment::DeploymentKind;
use crate::observed::other_nodes::OtherNodes;
use crate::observed::{
    Caller, CatalogEntry, ConsumerObserved, MountHealth, Observed, Pins, PluginDirectory, Raft, ReadState,
    Server, WriteObserved,
};
use crate::poll::Poll;
use crate::smoke::is_unrevocable_data_lease;
use crate::timeouts::OBSERVE_ELECTION_TIMEOUT;
use crate::transient::{NO_ACTIVE_NODE_ERRORS, is_transient};
use other_nodes::ObservedDirectory;
use query::{ObserveScope, StandbyRestarts, build_query, deep_capability_paths, needs_entry_detail};
use raft::{RaftQuery, needs_raft_servers};

pub use other_nodes::is_local_address;

/// A server and its nodes.
#[derive(Clone, Debug)]
pub struct Environment {
    /// Client of the server.
    pub client: Client,
    /// The nodes and their plugin directories; `None` if they are unknown.
    pub deployment: Option<Arc<dyn Deployment>>,
    /// How the client reaches the server.
    pub connection_mode: ConnectionMode,
}

/// How the client is connected to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionMode {
    /// To a given address, at which requests are forwarded to the active node.
    Address,
    /// Through the deployment, which connects to the active node.
    PortForward,
}

/// A snapshot that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// A request failed with an error that is not part of the state.
    #[error("could not observe {subject}")]
    Call {
        /// The object of the request.
        subject: String,
        /// The cause.
        #[source]
        source: CallError,
    },
    /// The token is invalid.
    #[error("the server at {address} rejected the token")]
    InvalidToken {
        /// Address of the server.
        address: String,
    },
    /// The server does not support namespaces, and would ignore the given one.
    #[error("the server at {address} has no namespaces, so it would ignore {namespace:?}")]
    NoNamespaces {
        /// Address of the server.
        address: String,
        /// The given namespace.
        namespace: String,
    },
    /// The plugin directory could not be read.
    #[error("could not observe the plugin directory")]
    Deployment(#[source] DeploymentError),
}

impl ObserveError {
    /// Whether the error may disappear after a failover.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Call { source, .. } => is_transient(source),
            Self::Deployment(error) => matches!(error, DeploymentError::Transient(_)),
            Self::InvalidToken { .. } | Self::NoNamespaces { .. } => false,
        }
    }
}

/// Mounts of the server itself.
const INTERNAL_MOUNTS: [&str; 4] = ["sys/", "identity/", "cubbyhole/", "auth/token/"];

/// Part of OpenBao's response to a request for a catalog entry whose file is missing.
const MISSING_FILE_ERROR: &str = "error while validating the command path";

/// Names of the root namespace.
const ROOT_NAMESPACE: [&str; 2] = ["", "root"];

/// Timeout of a help request, which takes a healthy plugin some milliseconds.
const MOUNT_HELP_TIMEOUT: Duration = Duration::from_secs(10);

/// Observes what `goal` depends on, or everything.
///
/// A sealed server, a missing permission and a missing directory are part of the result, not errors.
pub async fn observe(environment: &Environment, goal: Option<&Goal>) -> Result<Observed, ObserveError> {
    observe_scope(environment, ObserveScope::of(goal), Freshness::Now).await
}

/// As [`observe`], if no node was changed since the last observation: files and processes may be some seconds old.
pub async fn observe_cached(
    environment: &Environment,
    goal: Option<&Goal>,
) -> Result<Observed, ObserveError> {
    observe_scope(environment, ObserveScope::of(goal), Freshness::MayBeCached).await
}

/// Observes the server, without its nodes.
pub async fn observe_server(environment: &Environment) -> Result<Observed, ObserveError> {
    observe_scope(environment, ObserveScope::Server, Freshness::Now).await
}

/// Observes everything, and checks that each external mount responds.
pub async fn observe_health(environment: &Environment) -> Result<Observed, ObserveError> {
    observe_scope(environment, ObserveScope::Health, Freshness::Now).await
}

/// As [`observe_health`], and examines files, permissions and leases in detail. Observes again during an election, until a node is active
/// or the timeout has passed.
pub async fn observe_deep(environment: &Environment) -> Result<Observed, ObserveError> {
    let mut poll = Poll::new(OBSERVE_ELECTION_TIMEOUT);
    loop {
        let observed = observe_scope(environment, ObserveScope::Deep, Freshness::Now).await;
        let is_election = match &observed {
            Ok(observed) => observed.is_failing_over(),
            Err(error) => {
                error.is_transient()
                    && environment.deployment.as_ref().is_some_and(|it| it.follows_active_node())
            }
        };
        if !is_election || poll.timed_out() {
            return observed;
        }
        poll.pause().await;
    }
}

/// Observes the consumers of all plugins, builtin ones and those of child namespaces included.
///
/// # Errors
/// As [`observe`].
pub async fn observe_consumers(environment: &Environment) -> Result<Observed, ObserveError> {
    observe_scope(environment, ObserveScope::Consumers, Freshness::Now).await
}

async fn observe_scope(
    environment: &Environment,
    scope: ObserveScope<'_>,
    freshness: Freshness,
) -> Result<Observed, ObserveError> {
    if let Some(deployment) = &environment.deployment {
        deployment.find_active().await.map_err(ObserveError::Deployment)?;
    }
    let health = environment
        .client
        .send(&health::Read)
        .await
        .map_err(|source| ObserveError::Call { subject: "the server's health".to_owned(), source })?;
    if let Some(namespace) = environment.client.namespace()
        && !health.has_namespaces
        && !ROOT_NAMESPACE.contains(&namespace.trim_matches('/'))
    {
        let address = environment.client.address().to_owned();
        return Err(ObserveError::NoNamespaces { address, namespace: namespace.to_owned() });
    }
    let server = Server {
        address: environment.client.address().to_owned(),
        product: health.product,
        version: health.version,
        initialized: health.initialized,
        sealed: health.sealed,
        standby: health.standby,
        // A port-forward leads to a standby only while no node is active. The token is not sent to that standby.
        has_active_node: !(health.standby && environment.connection_mode == ConnectionMode::PortForward),
    };
    let raft = match (scope.goal(), &environment.deployment) {
        (Some(goal), Some(deployment))
            if deployment.follows_active_node() && needs_raft_servers(goal, health.product) =>
        {
            RaftQuery::Yes
        }
        _ => RaftQuery::No,
    };
    let namespace = environment.client.namespace().map(|name| name.trim_matches('/').to_owned());
    let namespace =
        namespace.filter(|name| health.has_namespaces && !ROOT_NAMESPACE.contains(&name.as_str()));
    let has_namespaces = health.has_namespaces;
    let standby_restarts = StandbyRestarts::of(scope, health.product, environment.deployment.as_deref());
    let mut observer = Observer {
        client: &environment.client,
        scope,
        server,
        denied: BTreeSet::new(),
        has_namespaces,
        raft,
        standby_restarts,
    };
    let mut snapshot =
        if observer.is_unsealed() { observer.read_server().await? } else { ServerSnapshot::default() };
    let deployment = match &environment.deployment {
        Some(_) if matches!(scope, ObserveScope::Server | ObserveScope::Consumers) => None,
        Some(deployment) => {
            let query = build_query(&snapshot, scope, standby_restarts, freshness);
            Some(deployment.observe(&query).await.map_err(ObserveError::Deployment)?)
        }
        None => None,
    };
    let directory = match &deployment {
        Some(deployment) if deployment.kind == DeploymentKind::Local && scope.needs_other_nodes() => {
            Some(ObservedDirectory::ThisMachine)
        }
        // A rollback copies nothing, so it needs no directory.
        None if scope.goal().is_some_and(Goal::is_rollback) => Some(ObservedDirectory::None),
        _ => None,
    };
    let other_nodes = match directory.filter(|_| observer.can_serve()) {
        Some(directory) => {
            observer.other_nodes(scope.goal().and_then(Goal::other_nodes_policy), directory).await?
        }
        None => OtherNodes::NotAsked,
    };
    snapshot.consumers.retain(|path, _| !INTERNAL_MOUNTS.contains(&path.local_path()));
    let caller = Caller { capabilities: snapshot.capabilities, denied: observer.denied };
    Ok(Observed {
        server: observer.server,
        caller,
        plugin_directory: snapshot.plugin_directory,
        deployment,
        other_nodes,
        catalog: snapshot.catalog,
        pins: snapshot.pins,
        consumers: snapshot.consumers,
        namespaces: snapshot.namespaces,
        namespace,
        irrevocable_leases: snapshot.irrevocable_leases,
        raft: snapshot.raft,
        writes: snapshot.writes,
    })
}

struct Observer<'a> {
    client: &'a Client,
    scope: ObserveScope<'a>,
    server: Server,
    denied: BTreeSet<String>,
    raft: RaftQuery,
    standby_restarts: StandbyRestarts,
    has_namespaces: bool,
}

struct ServerSnapshot {
    capabilities: Option<BTreeMap<String, capabilities::Capabilities>>,
    plugin_directory: PluginDirectory,
    catalog: Vec<CatalogEntry>,
    pins: Pins,
    consumers: BTreeMap<Consumer, ConsumerObserved>,
    namespaces: BTreeSet<String>,
    irrevocable_leases: Option<u64>,
    raft: Raft,
    writes: Vec<WriteObserved>,
}

impl Default for ServerSnapshot {
    fn default() -> Self {
        Self {
            capabilities: None,
            plugin_directory: PluginDirectory::NotVisible,
            catalog: Vec::new(),
            pins: Pins::Unsupported,
            consumers: BTreeMap::new(),
            namespaces: BTreeSet::new(),
            irrevocable_leases: None,
            raft: Raft::NotAsked,
            writes: Vec::new(),
        }
    }
}

impl Observer<'_> {
    fn is_unsealed(&self) -> bool {
        self.server.initialized && !self.server.sealed
    }

    fn can_serve(&self) -> bool {
        self.is_unsealed() && self.server.has_active_node
    }

    async fn read_server(&mut self) -> Result<ServerSnapshot, ObserveError> {
        if !self.server.has_active_node {
            return Ok(ServerSnapshot::default());
        }
        let mut snapshot =
            ServerSnapshot { consumers: self.secrets_mounts().await?, ..ServerSnapshot::default() };
        if !self.server.has_active_node {
            return Ok(snapshot);
        }
        snapshot.plugin_directory =
            match self.request("sys/config/state/sanitized", &config_state::ReadSanitized).await? {
                Some(ConfigState::Available(config)) if config.plugin_directory.is_empty() => {
                    PluginDirectory::NotConfigured
                }
                Some(ConfigState::Available(config)) => {
                    PluginDirectory::At(PathBuf::from(config.plugin_directory))
                }
                _ => PluginDirectory::NotVisible,
            };
        snapshot.catalog = self.list_catalog().await?;
        self.read_other_consumers(&mut snapshot).await?;
        // OpenBao has no pins, but returns "permission denied" for the path to tokens without permission.
        if self.server.product == Product::Vault
            && let Some(Some(pins)) = self.request("sys/plugins/pins", &pins::List).await?
        {
            snapshot.pins = Pins::Set(pins);
        }
        if self.has_namespaces && self.scope.needs_namespaces(&snapshot.pins, self.standby_restarts) {
            self.read_child_namespaces(&mut snapshot).await?;
        }
        self.read_entry_details(&mut snapshot).await?;
        Self::add_connection_checksums(&mut snapshot);
        if let ObserveScope::Health | ObserveScope::Deep = self.scope {
            self.check_mounts_respond(&mut snapshot).await?;
        }
        if let ObserveScope::Deep = self.scope {
            self.read_deep(&mut snapshot).await?;
        }
        if self.raft == RaftQuery::Yes {
            snapshot.raft = self.raft().await?;
        }
        if let Some(goal) = self.scope.goal() {
            let request =
                capabilities::CapabilitiesSelf { paths: permission_paths(goal, &snapshot.consumers) };
            snapshot.capabilities = match self.client.send(&request).await {
                Ok(capabilities) => Some(capabilities),
                Err(CallError::Api(_)) => None,
                Err(source) => return Err(call_error("the token's capabilities", source)),
            };
            self.read_mount_warnings(goal, &mut snapshot.consumers).await?;
            for mount in goal.mounts() {
                for write in &mount.writes {
                    snapshot.writes.push(self.observe_write(mount, write, &snapshot.consumers).await?);
                }
            }
        }
        Ok(snapshot)
    }

    async fn list_catalog(&mut self) -> Result<Vec<CatalogEntry>, ObserveError> {
        let listed = self.request("sys/plugins/catalog", &catalog::List).await?.unwrap_or_default();
        Ok(listed.into_iter().filter(|entry| !entry.builtin).map(CatalogEntry::from).collect())
    }

    /// Reads what the list of the catalog does not contain, where it is needed.
    async fn read_entry_details(&mut self, snapshot: &mut ServerSnapshot) -> Result<(), ObserveError> {
        let mut entries = snapshot.catalog.clone();
        let (scope, restarts) = (self.scope, self.standby_restarts);
        for entry in entries.iter_mut().filter(|entry| needs_entry_detail(snapshot, scope, restarts, entry)) {
            let version = Some(entry.version.clone()).filter(|version| !version.is_empty());
            let name = PluginRef { kind: entry.kind, name: entry.name.clone(), version };
            let path = format!("sys/plugins/catalog/{}/{}", entry.kind, entry.name);
            match self.request(&path, &catalog::Read(name)).await {
                Ok(Some(Some(detail))) => {
                    entry.sha256 = detail.sha256;
                    entry.command = Some(detail.command);
                    entry.args = Some(detail.args);
                }
                Ok(None | Some(None)) => {}
                // OpenBao does not show an entry whose file is missing.
                Err(ObserveError::Call { source, .. })
                    if source.api_error_is(|error| error.has_message(MISSING_FILE_ERROR)) => {}
                Err(ObserveError::Call { source, .. })
                    if catalog::is_of_root_namespace(self.client, &source) => {}
                Err(error) => return Err(error),
            }
        }
        snapshot.catalog = entries;
        Ok(())
    }

    /// Reads the server's warnings about the goal's mounts. Skipped if the token can list mounts but not read them.
    async fn read_mount_warnings(
        &self,
        goal: &Goal,
        mounts: &mut BTreeMap<Consumer, ConsumerObserved>,
    ) -> Result<(), ObserveError> {
        for mount in goal.mounts() {
            let Some(observed) = mounts.get_mut(mount.path.as_str()) else { continue };
            let client = self.client.in_namespace(mount.path.namespace());
            match client.send(&mounts::Read { path: mount.path.local_path().to_owned() }).await {
                Ok(Some(shown)) => observed.warnings = shown.warnings,
                Ok(None) | Err(CallError::Api(_)) => {}
                Err(source) => return Err(call_error(mount.path.as_str(), source)),
            }
        }
        Ok(())
    }

    /// Checks whether plugins respond.
    async fn check_mounts_respond(&self, snapshot: &mut ServerSnapshot) -> Result<(), ObserveError> {
        let ServerSnapshot { consumers, catalog, .. } = snapshot;
        // A connection has no help, and each of its requests would need a database.
        let mounts = consumers.iter_mut().filter(|(_, mount)| mount.kind != PluginType::Database);
        for (path, mount) in mounts.filter(|(_, mount)| is_external(mount, catalog)) {
            mount.health = self.mount_health(path.as_str()).await?;
        }
        Ok(())
    }

    /// Reads what only a deep observation needs: permissions of the token, and irrevocable leases.
    async fn read_deep(&mut self, snapshot: &mut ServerSnapshot) -> Result<(), ObserveError> {
        let request = capabilities::CapabilitiesSelf { paths: deep_capability_paths(&snapshot.catalog) };
        snapshot.capabilities = match self.client.send(&request).await {
            Ok(capabilities) => Some(capabilities),
            Err(CallError::Api(_)) => None,
            Err(source) => return Err(call_error("the token's capabilities", source)),
        };
        snapshot.irrevocable_leases = match self.client.send(&leases::CountIrrevocable).await {
            Ok(count) => Some(count),
            Err(CallError::Api(_)) => None,
            Err(source) => return Err(call_error("the count of leases", source)),
        };
        Ok(())
    }

    /// Whether the plugin of a mount responds; `None` if the token has no permission to send it a request.
    async fn mount_health(&self, path: &str) -> Result<Option<MountHealth>, ObserveError> {
        let request = help::ReadMountHelp { path: path.to_owned() };
        let Ok(response) = tokio::time::timeout(MOUNT_HELP_TIMEOUT, self.client.send(&request)).await else {
            let message = format!("no response within {} s", MOUNT_HELP_TIMEOUT.as_secs());
            return Ok(Some(MountHealth::Error { message }));
        };
        match response {
            Ok(_) => Ok(Some(MountHealth::Ok)),
            Err(CallError::Api(error)) if error.is_permission_denied() => Ok(None),
            Err(CallError::Api(error)) if error.is_nil_backend() => Ok(Some(MountHealth::NoBackend)),
            Err(CallError::Api(error)) => Ok(Some(MountHealth::Error { message: error.to_string() })),
            Err(source) => Err(call_error(path, source)),
        }
    }

    async fn observe_write(
        &self,
        mount: &DesiredMount,
        write: &DesiredWrite,
        mounts: &BTreeMap<Consumer, ConsumerObserved>,
    ) -> Result<WriteObserved, ObserveError> {
        let path = mount.path.join(&write.path);
        let all = |read_state, comparison| WriteObserved {
            path: path.clone(),
            read_state,
            fields: write.data.keys().map(|field| (field.clone(), comparison)).collect(),
        };
        let Some(Goal::Register(register)) = self.scope.goal() else {
            return Ok(all(ReadState::NotRead, Comparison::Unreadable));
        };
        if mounts.get(mount.path.as_str()).is_none_or(|current| current.plugin != register.plugin.name) {
            return Ok(all(ReadState::NotRead, Comparison::Unreadable));
        }
        let reply = match self.client.send(&logical::Read { path: path.clone() }).await {
            Ok(None) => return Ok(all(ReadState::Absent, Comparison::Differs)),
            Ok(Some(reply)) => reply,
            // No read operation, no permission, or a failing plugin that an earlier step may fix.
            Err(CallError::Api(_)) => return Ok(all(ReadState::Unreadable, Comparison::Unreadable)),
            Err(source) => return Err(call_error(&path, source)),
        };
        if !reply.lease_id.is_empty()
            && self.revoke_issued_lease(mount.path.namespace(), &path, reply.lease_id).await?
        {
            return Ok(all(ReadState::Unreadable, Comparison::Unreadable));
        }
        let fields = write
            .data
            .iter()
            .map(|(field, desired)| (field.clone(), compare(field, desired, &reply.data.0)))
            .collect();
        Ok(WriteObserved { path, read_state: ReadState::Present, fields })
    }

    /// Revokes a lease that a read has issued. Returns false if the lease is not of a credential.
    async fn revoke_issued_lease(
        &self,
        namespace: &str,
        path: &str,
        lease_id: String,
    ) -> Result<bool, ObserveError> {
        match self.client.in_namespace(namespace).send(&leases::Revoke { lease_id }).await {
            Ok(_) => Ok(true),
            Err(error) if is_unrevocable_data_lease(&error) => Ok(false),
            Err(source) => Err(call_error(path, source)),
        }
    }

    /// Sends a request. Returns `None` if the server is sealed or has no active node, or the token has no permission, and records that.
    async fn request<E: Endpoint>(
        &mut self,
        path: &str,
        endpoint: &E,
    ) -> Result<Option<E::Response>, ObserveError> {
        self.request_in("", path, endpoint).await
    }

    /// As [`Self::request`], in a child namespace.
    async fn request_in<E: Endpoint>(
        &mut self,
        namespace: &str,
        path: &str,
        endpoint: &E,
    ) -> Result<Option<E::Response>, ObserveError> {
        let path = format!("{namespace}{path}");
        match self.client.in_namespace(namespace).send(endpoint).await {
            Ok(response) => Ok(Some(response)),
            Err(CallError::Sealed { .. }) => {
                self.server.sealed = true;
                Ok(None)
            }
            Err(error) if error.api_error_is(ApiError::is_invalid_token) => {
                Err(ObserveError::InvalidToken { address: self.client.address().to_owned() })
            }
            Err(error) if error.api_error_is(ApiError::is_permission_denied) => {
                self.denied.insert(path);
                Ok(None)
            }
            Err(error)
                if error.api_error_is(|error| {
                    NO_ACTIVE_NODE_ERRORS.iter().any(|message| error.has_message(message))
                }) =>
            {
                self.server.has_active_node = false;
                Ok(None)
            }
            Err(source) => Err(call_error(&path, source)),
        }
    }
}

fn call_error(subject: &str, source: CallError) -> ObserveError {
    ObserveError::Call { subject: subject.to_owned(), source }
}

/// Whether a mount runs a binary from the plugin directory, or is configured to.
fn is_external(mount: &ConsumerObserved, catalog: &[CatalogEntry]) -> bool {
    !mount.running_sha256.is_empty()
        || catalog.iter().any(|entry| entry.kind == mount.kind && entry.name == mount.plugin)
}

impl From<ListedPlugin> for CatalogEntry {
    fn from(ListedPlugin { kind, name, version, builtin: _, sha256 }: ListedPlugin) -> Self {
        Self { kind, name, version, sha256, command: None, args: None }
    }
}
