//! Takes the snapshot. Changes nothing, except that a lease which a read turns out to issue is revoked at once.

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
    logical, mounts, namespaces, pins,
};

use crate::compare::{Comparison, compare};
use crate::decide::permission_paths;
use crate::deployment::{Deployment, DeploymentError, Freshness};
use crate::goal::{DesiredMount, DesiredWrite, Goal};
use crate::observed::deployment::DeploymentKind;
use crate::observed::other_nodes::OtherNodes;
use crate::observed::{
    Caller, CatalogEntry, MountHealth, MountObserved, Observed, Pins, PluginDirectory, Raft, ReadState,
    Server, WriteObserved,
};
use crate::poll::Poll;
use crate::smoke::is_unrevocable_data_lease;
use crate::transient::{NO_ACTIVE_NODE_ERRORS, is_transient};
use other_nodes::ObservedDirectory;
use query::{ObserveScope, build_query, deep_capability_paths, needs_entry_detail};
use raft::{RaftQuery, needs_raft_servers};

pub use other_nodes::is_local_address;

/// What can be looked at and changed: a server and, where files matter, the place of its plugins.
#[derive(Clone, Debug)]
pub struct Environment {
    /// The server.
    pub client: Client,
    /// The plugin directory.
    pub deployment: Option<Arc<dyn Deployment>>,
    /// How the client reaches the server.
    pub connection_mode: ConnectionMode,
}

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionMode {
    /// At an address that was given. Whatever answers there passes requests on to the active node.
    Address,
    /// As the site does it, which looks for the active node by itself.
    PortForward,
}

/// A snapshot that could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObserveError {
    /// The server did not answer, or with an error that is no state.
    #[error("could not observe {what}")]
    Call {
        /// What was asked for.
        what: String,
        /// Why not.
        #[source]
        source: CallError,
    },
    /// The server does not know the token, so it shows nothing.
    #[error("the server at {address} does not accept the token")]
    InvalidToken {
        /// Of the server.
        address: String,
    },
    /// A namespace was named to a server that has none, and would act on the only one it has.
    #[error("the server at {address} has no namespaces, so it would ignore {namespace:?}")]
    NoNamespaces {
        /// Of the server.
        address: String,
        /// As named.
        namespace: String,
    },
    /// The plugin directory could not be read.
    #[error("could not observe the plugin directory")]
    Deployment(#[source] DeploymentError),
}

impl ObserveError {
    /// Whether it may be of a node that is about to be replaced by another.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Call { source, .. } => is_transient(source),
            Self::Deployment(error) => matches!(error, DeploymentError::Transient(_)),
            Self::InvalidToken { .. } | Self::NoNamespaces { .. } => false,
        }
    }
}

/// The names of the one namespace that every server has.
const ROOT_NAMESPACE: [&str; 2] = ["", "root"];

/// Help takes a plugin that works some milliseconds.
const MOUNT_HELP_TIMEOUT: Duration = Duration::from_secs(10);

/// With Vault's default timeouts, raft notices after ten seconds that a leader is lost, and elects another in as many.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(30);

/// Takes a snapshot of what concerns `goal`, or of everything.
///
/// A sealed server, a missing permission and a directory that is not there are part of the snapshot, not errors.
pub async fn observe(environment: &Environment, goal: Option<&Goal>) -> Result<Observed, ObserveError> {
    take_snapshot(environment, ObserveScope::of(goal), Freshness::Now).await
}

/// As [`observe`], where nothing has been done to nodes since they were looked at: what is known of them may be some seconds old.
pub async fn observe_cached(
    environment: &Environment,
    goal: Option<&Goal>,
) -> Result<Observed, ObserveError> {
    take_snapshot(environment, ObserveScope::of(goal), Freshness::MayBeCached).await
}

/// Takes a snapshot of the server alone, as if there were no site.
pub async fn observe_server(environment: &Environment) -> Result<Observed, ObserveError> {
    take_snapshot(environment, ObserveScope::Server, Freshness::Now).await
}

/// Takes a snapshot of everything, and asks each external mount whether it answers.
pub async fn observe_health(environment: &Environment) -> Result<Observed, ObserveError> {
    take_snapshot(environment, ObserveScope::Health, Freshness::Now).await
}

/// As [`observe_health`], and looks closely at files, permissions and leases. During an election, which ends by itself, there is no
/// snapshot, or one of a server that serves nothing: another is taken until a node is active, or none is for too long.
pub async fn observe_deep(environment: &Environment) -> Result<Observed, ObserveError> {
    let mut poll = Poll::new(ELECTION_TIMEOUT);
    loop {
        let observed = take_snapshot(environment, ObserveScope::Deep, Freshness::Now).await;
        let is_election = match &observed {
            Ok(observed) => observed.is_failing_over(),
            Err(error) => {
                error.is_transient()
                    && environment.deployment.as_ref().is_some_and(|site| site.follows_active_node())
            }
        };
        if !is_election || poll.timed_out() {
            return observed;
        }
        poll.pause().await;
    }
}

async fn take_snapshot(
    environment: &Environment,
    scope: ObserveScope<'_>,
    freshness: Freshness,
) -> Result<Observed, ObserveError> {
    if let Some(site) = &environment.deployment {
        site.find_active().await.map_err(ObserveError::Deployment)?;
    }
    let health = environment
        .client
        .send(&health::Read)
        .await
        .map_err(|source| ObserveError::Call { what: "the server's health".to_owned(), source })?;
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
        // The site's way leads to a node that stands by only while none is active, and that one is not shown the token.
        has_active_node: !(health.standby && environment.connection_mode == ConnectionMode::PortForward),
    };
    let raft = match (scope.goal(), &environment.deployment) {
        (Some(goal), Some(site))
            if site.follows_active_node() && needs_raft_servers(goal, health.product) =>
        {
            RaftQuery::Yes
        }
        _ => RaftQuery::No,
    };
    let namespace = environment.client.namespace().map(|name| name.trim_matches('/').to_owned());
    let namespace =
        namespace.filter(|name| health.has_namespaces && !ROOT_NAMESPACE.contains(&name.as_str()));
    let has_namespaces = health.has_namespaces;
    let mut observer = Observer {
        client: &environment.client,
        scope,
        server,
        denied: BTreeSet::new(),
        has_namespaces,
        raft,
    };
    let mut seen =
        if observer.is_unsealed() { observer.read_server().await? } else { ServerSnapshot::default() };
    let deployment = match &environment.deployment {
        Some(_) if matches!(scope, ObserveScope::Server) => None,
        Some(deployment) => {
            let query = build_query(&seen, scope, freshness);
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
        Some(directory) => observer.other_nodes(scope.goal().and_then(Goal::placement), directory).await?,
        None => OtherNodes::NotAsked,
    };
    seen.mounts.retain(|path, _| path != "sys/" && path != "identity/" && path != "cubbyhole/");
    let caller = Caller { capabilities: seen.capabilities, denied: observer.denied };
    Ok(Observed {
        server: observer.server,
        caller,
        plugin_directory: seen.plugin_directory,
        deployment,
        other_nodes,
        catalog: seen.catalog,
        pins: seen.pins,
        mounts: seen.mounts,
        child_namespace_mounts: seen.child_namespace_mounts,
        namespace,
        irrevocable_leases: seen.irrevocable_leases,
        raft: seen.raft,
        writes: seen.writes,
    })
}

struct Observer<'a> {
    client: &'a Client,
    scope: ObserveScope<'a>,
    server: Server,
    denied: BTreeSet<String>,
    raft: RaftQuery,
    has_namespaces: bool,
}

struct ServerSnapshot {
    capabilities: Option<BTreeMap<String, capabilities::Capabilities>>,
    plugin_directory: PluginDirectory,
    catalog: Vec<CatalogEntry>,
    pins: Pins,
    mounts: BTreeMap<String, MountObserved>,
    child_namespace_mounts: BTreeMap<String, MountObserved>,
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
            mounts: BTreeMap::new(),
            child_namespace_mounts: BTreeMap::new(),
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
        let mut seen = ServerSnapshot { mounts: self.mounts().await?, ..ServerSnapshot::default() };
        if !self.server.has_active_node {
            return Ok(seen);
        }
        seen.plugin_directory =
            match self.request("sys/config/state/sanitized", &config_state::ReadSanitized).await? {
                Some(ConfigState::Available(config)) if config.plugin_directory.is_empty() => {
                    PluginDirectory::NotConfigured
                }
                Some(ConfigState::Available(config)) => {
                    PluginDirectory::At(PathBuf::from(config.plugin_directory))
                }
                _ => PluginDirectory::NotVisible,
            };
        seen.catalog = self.catalog().await?;
        // OpenBao has no pins, and would answer a token that may not ask with "permission denied".
        if self.server.product == Product::Vault
            && let Some(Some(pins)) = self.request("sys/plugins/pins", &pins::List).await?
        {
            seen.pins = Pins::Set(pins);
        }
        if self.has_namespaces && self.scope.needs_namespaces(&seen.pins) {
            seen.child_namespace_mounts = self.child_namespace_mounts().await?;
        }
        if let ObserveScope::Health | ObserveScope::Deep = self.scope {
            self.check_mounts_respond(&mut seen).await?;
        }
        if let ObserveScope::Deep = self.scope {
            self.read_deep(&mut seen).await?;
        }
        if self.raft == RaftQuery::Yes {
            seen.raft = self.raft().await?;
        }
        if let Some(goal) = self.scope.goal() {
            let asked = capabilities::CapabilitiesSelf { paths: permission_paths(goal, &seen.mounts) };
            seen.capabilities = match self.client.send(&asked).await {
                Ok(held) => Some(held),
                Err(CallError::Api(_)) => None,
                Err(source) => return Err(call_error("the token's capabilities", source)),
            };
            self.read_mount_warnings(goal, &mut seen.mounts).await?;
            for mount in goal.mounts() {
                for write in &mount.writes {
                    seen.writes.push(self.observe_write(mount, write, &seen.mounts).await?);
                }
            }
        }
        Ok(seen)
    }

    async fn mounts(&mut self) -> Result<BTreeMap<String, MountObserved>, ObserveError> {
        let listed = self.request("sys/mounts", &mounts::List).await?.unwrap_or_default();
        Ok(listed.into_iter().map(|(path, mount)| (path, MountObserved::from(mount))).collect())
    }

    /// What is mounted in every namespace below, however deep.
    async fn child_namespace_mounts(&mut self) -> Result<BTreeMap<String, MountObserved>, ObserveError> {
        let mut below = BTreeMap::new();
        let mut left = vec![String::new()];
        while let Some(within) = left.pop() {
            let path = format!("{within}sys/namespaces");
            let list = namespaces::List { namespace: within.clone() };
            let children = self.request(&path, &list).await?.unwrap_or_default();
            for child in children {
                let child = format!("{within}{}/", child.trim_end_matches('/'));
                let path = format!("{child}sys/mounts");
                let mounts = namespaces::ListMounts { namespace: child.clone() };
                let mounts = self.request(&path, &mounts).await?.unwrap_or_default();
                below.extend(
                    mounts
                        .into_iter()
                        .map(|(path, mount)| (format!("{child}{path}"), MountObserved::from(mount))),
                );
                left.push(child);
            }
        }
        Ok(below)
    }

    async fn catalog(&mut self) -> Result<Vec<CatalogEntry>, ObserveError> {
        let listed = self.request("sys/plugins/catalog", &catalog::List).await?.unwrap_or_default();
        let mut entries: Vec<CatalogEntry> =
            listed.into_iter().filter(|entry| !entry.builtin).map(CatalogEntry::from).collect();
        let scope = self.scope;
        for entry in entries.iter_mut().filter(|entry| needs_entry_detail(scope, entry)) {
            let version = Some(entry.version.clone()).filter(|version| !version.is_empty());
            let name = PluginRef { kind: entry.kind, name: entry.name.clone(), version };
            let path = format!("sys/plugins/catalog/{}/{}", entry.kind, entry.name);
            if let Some(Some(detail)) = self.request(&path, &catalog::Read(name)).await? {
                entry.sha256 = detail.sha256;
                entry.command = Some(detail.command);
                entry.args = Some(detail.args);
            }
        }
        Ok(entries)
    }

    /// What the server says about the goal's mounts; a token that may list mounts but not read one goes without.
    async fn read_mount_warnings(
        &self,
        goal: &Goal,
        mounts: &mut BTreeMap<String, MountObserved>,
    ) -> Result<(), ObserveError> {
        for mount in goal.mounts() {
            let Some(there) = mounts.get_mut(mount.path.as_str()) else { continue };
            match self.client.send(&mounts::Read { path: mount.path.to_string() }).await {
                Ok(Some(shown)) => there.warnings = shown.warnings,
                Ok(None) | Err(CallError::Api(_)) => {}
                Err(source) => return Err(call_error(mount.path.as_str(), source)),
            }
        }
        Ok(())
    }

    /// Whether plugins answer.
    async fn check_mounts_respond(&self, seen: &mut ServerSnapshot) -> Result<(), ObserveError> {
        let ServerSnapshot { mounts, catalog, .. } = seen;
        for (path, mount) in mounts.iter_mut().filter(|(_, mount)| is_external(mount, catalog)) {
            mount.health = self.mount_health(path).await?;
        }
        Ok(())
    }

    /// What only a closer look asks: what the token may do, and what was given up.
    async fn read_deep(&mut self, seen: &mut ServerSnapshot) -> Result<(), ObserveError> {
        let asked = capabilities::CapabilitiesSelf { paths: deep_capability_paths(&seen.catalog) };
        seen.capabilities = match self.client.send(&asked).await {
            Ok(held) => Some(held),
            Err(CallError::Api(_)) => None,
            Err(source) => return Err(call_error("the token's capabilities", source)),
        };
        seen.irrevocable_leases = match self.client.send(&leases::CountIrrevocable).await {
            Ok(count) => Some(count),
            Err(CallError::Api(_)) => None,
            Err(source) => return Err(call_error("the count of leases", source)),
        };
        Ok(())
    }

    /// Whether the plugin of a mount answers; `None` when this token may not ask it.
    async fn mount_health(&self, path: &str) -> Result<Option<MountHealth>, ObserveError> {
        let asked = help::ReadMountHelp { path: path.to_owned() };
        let Ok(answer) = tokio::time::timeout(MOUNT_HELP_TIMEOUT, self.client.send(&asked)).await else {
            let said = format!("nothing in {} s", MOUNT_HELP_TIMEOUT.as_secs());
            return Ok(Some(MountHealth::Error { message: said }));
        };
        match answer {
            Ok(_) => Ok(Some(MountHealth::Ok)),
            Err(CallError::Api(answer)) if answer.is_permission_denied() => Ok(None),
            Err(CallError::Api(answer)) if answer.is_nil_backend() => Ok(Some(MountHealth::NoBackend)),
            Err(CallError::Api(answer)) => Ok(Some(MountHealth::Error { message: answer.to_string() })),
            Err(source) => Err(call_error(path, source)),
        }
    }

    async fn observe_write(
        &self,
        mount: &DesiredMount,
        write: &DesiredWrite,
        mounts: &BTreeMap<String, MountObserved>,
    ) -> Result<WriteObserved, ObserveError> {
        let path = mount.path.join(&write.path);
        let all = |read_back, comparison| WriteObserved {
            path: path.clone(),
            read_state: read_back,
            fields: write.data.keys().map(|field| (field.clone(), comparison)).collect(),
        };
        let Some(Goal::Register(register)) = self.scope.goal() else {
            return Ok(all(ReadState::NotRead, Comparison::Unreadable));
        };
        if mounts.get(mount.path.as_str()).is_none_or(|there| there.plugin != register.plugin.name) {
            return Ok(all(ReadState::NotRead, Comparison::Unreadable));
        }
        let reply = match self.client.send(&logical::Read { path: path.clone() }).await {
            Ok(None) => return Ok(all(ReadState::Absent, Comparison::Differs)),
            Ok(Some(reply)) => reply,
            // No read operation, no permission, or a plugin in trouble which the steps before may cure.
            Err(CallError::Api(_)) => return Ok(all(ReadState::Unreadable, Comparison::Unreadable)),
            Err(source) => return Err(call_error(&path, source)),
        };
        if !reply.lease_id.is_empty() && self.revoke_issued_lease(&path, reply.lease_id).await? {
            return Ok(all(ReadState::Unreadable, Comparison::Unreadable));
        }
        let fields = write
            .data
            .iter()
            .map(|(field, wanted)| (field.clone(), compare(field, wanted, &reply.data.0)))
            .collect();
        Ok(WriteObserved { path, read_state: ReadState::Present, fields })
    }

    /// Revokes what a read has issued. False when it was no credential.
    async fn revoke_issued_lease(&self, path: &str, lease_id: String) -> Result<bool, ObserveError> {
        match self.client.send(&leases::Revoke { lease_id }).await {
            Ok(_) => Ok(true),
            Err(error) if is_unrevocable_data_lease(&error) => Ok(false),
            Err(source) => Err(call_error(path, source)),
        }
    }

    /// `None` when the server is not in a state to answer, or may not answer this token; both are noted.
    async fn request<E: Endpoint>(
        &mut self,
        path: &str,
        endpoint: &E,
    ) -> Result<Option<E::Response>, ObserveError> {
        match self.client.send(endpoint).await {
            Ok(answer) => Ok(Some(answer)),
            Err(CallError::Sealed { .. }) => {
                self.server.sealed = true;
                Ok(None)
            }
            Err(error) if error.api_error_is(ApiError::is_invalid_token) => {
                Err(ObserveError::InvalidToken { address: self.client.address().to_owned() })
            }
            Err(error) if error.api_error_is(ApiError::is_permission_denied) => {
                self.denied.insert(path.to_owned());
                Ok(None)
            }
            Err(error)
                if error.api_error_is(|answer| {
                    NO_ACTIVE_NODE_ERRORS.iter().any(|words| answer.has_message(words))
                }) =>
            {
                self.server.has_active_node = false;
                Ok(None)
            }
            Err(source) => Err(call_error(path, source)),
        }
    }
}

fn call_error(what: &str, source: CallError) -> ObserveError {
    ObserveError::Call { what: what.to_owned(), source }
}

/// Whether a mount runs a binary from the plugin directory, or should.
fn is_external(mount: &MountObserved, catalog: &[CatalogEntry]) -> bool {
    !mount.running_sha256.is_empty()
        || catalog.iter().any(|entry| entry.kind == PluginType::Secret && entry.name == mount.plugin)
}

impl From<mounts::MountInfo> for MountObserved {
    fn from(mount: mounts::MountInfo) -> Self {
        let mounts::MountInfo {
            plugin,
            description: _,
            accessor,
            uuid,
            configured_version,
            running_version,
            running_sha256,
        } = mount;
        Self {
            plugin,
            configured_version,
            running_version,
            running_sha256,
            accessor,
            uuid,
            warnings: Vec::new(),
            health: None,
        }
    }
}

impl From<ListedPlugin> for CatalogEntry {
    fn from(ListedPlugin { kind, name, version, builtin: _, sha256 }: ListedPlugin) -> Self {
        Self { kind, name, version, sha256, command: None, args: None }
    }
}
