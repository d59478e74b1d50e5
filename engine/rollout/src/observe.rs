//! Takes the snapshot. Changes nothing, except that a lease which a read turns out to issue is revoked at once.

mod other_nodes;
mod raft;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vault_api::catalog::{ListedPlugin, PluginRef, PluginType};
use vault_api::config_state::ConfigState;
use vault_api::health::Product;
use vault_api::{
    ApiError, CallError, Client, Endpoint, capabilities, catalog, config_state, health, help, leases,
    logical, mounts, namespaces, pins,
};

use crate::compare::{Comparison, compare};
use crate::decide::permission_paths;
use crate::deployment::{Deployment, DeploymentError, Detail, Freshness, Query};
use crate::goal::{DesiredMount, DesiredWrite, Goal, Plugin};
use crate::observed::deployment::DeploymentKind;
use crate::observed::other_nodes::OtherNodes;
use crate::observed::{
    CATALOG_PREFIX, Caller, CatalogEntry, MountHealth, MountObserved, Observed, Pins, PluginDirectory, Raft,
    ReadState, Server, ThisRun, WriteObserved,
};
use crate::smoke::is_unrevocable_data_lease;
use crate::timeouts::POLL_INTERVAL;
use crate::transient::{NO_ACTIVE_NODE_ERRORS, is_transient};
use other_nodes::LookedAt;
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
            Self::Deployment(DeploymentError::Kubernetes(error)) => error.is_transient(),
            Self::Deployment(_) | Self::InvalidToken { .. } | Self::NoNamespaces { .. } => false,
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
pub async fn observe(
    world: &Environment,
    goal: Option<&Goal>,
    this_run: &ThisRun,
) -> Result<Observed, ObserveError> {
    take_snapshot(world, ObserveScope::of(goal), Freshness::Now, this_run).await
}

/// As [`observe`], where nothing has been done to nodes since they were looked at: what is known of them may be some seconds old.
pub async fn observe_cached(
    world: &Environment,
    goal: Option<&Goal>,
    this_run: &ThisRun,
) -> Result<Observed, ObserveError> {
    take_snapshot(world, ObserveScope::of(goal), Freshness::MayBeCached, this_run).await
}

/// Takes a snapshot of the server alone, as if there were no site.
pub async fn observe_server(world: &Environment) -> Result<Observed, ObserveError> {
    take_snapshot(world, ObserveScope::Server, Freshness::Now, &ThisRun::default()).await
}

/// Takes a snapshot of everything, and asks each external mount whether it answers.
pub async fn observe_health(world: &Environment) -> Result<Observed, ObserveError> {
    take_snapshot(world, ObserveScope::Health, Freshness::Now, &ThisRun::default()).await
}

/// As [`survey`], and looks closely at files, permissions and leases. During an election, which ends by itself, there is no
/// snapshot, or one of a server that serves nothing: another is taken until a node is active, or none is for too long.
pub async fn observe_deep(world: &Environment) -> Result<Observed, ObserveError> {
    let started = Instant::now();
    loop {
        let observed = take_snapshot(world, ObserveScope::Deep, Freshness::Now, &ThisRun::default()).await;
        let is_election = match &observed {
            Ok(observed) => observed.is_failing_over(),
            Err(error) => {
                error.is_transient()
                    && world.deployment.as_ref().is_some_and(|site| site.follows_active_node())
            }
        };
        if !is_election || started.elapsed() >= ELECTION_TIMEOUT {
            return observed;
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
enum ObserveScope<'a> {
    Server,
    All,
    Goal(&'a Goal),
    Health,
    Deep,
}

impl<'a> ObserveScope<'a> {
    fn of(goal: Option<&'a Goal>) -> Self {
        goal.map_or(Self::All, Self::Goal)
    }

    fn goal(self) -> Option<&'a Goal> {
        match self {
            Self::Goal(goal) => Some(goal),
            Self::Server | Self::All | Self::Health | Self::Deep => None,
        }
    }
}

impl ObserveScope<'_> {
    /// Whether it matters what other namespaces run: where versions go, and where a pin moves mounts.
    fn needs_namespaces(self, pins: &Pins) -> bool {
        match self.goal() {
            Some(Goal::Deregister(_) | Goal::GarbageCollect(_)) => true,
            Some(Goal::Upgrade(upgrade)) => {
                let Pins::Set(pins) = pins else { return false };
                pins.iter().any(|pin| pin.kind == upgrade.kind() && pin.name == upgrade.name())
            }
            Some(Goal::Register(_) | Goal::Reload(_)) | None => false,
        }
    }

    /// Whether it matters which nodes there are beside the one of this machine.
    fn needs_other_nodes(self) -> bool {
        match self {
            Self::Deep => true,
            Self::Goal(goal) => goal.placement().is_some(),
            Self::Server | Self::All | Self::Health => false,
        }
    }
}

async fn take_snapshot(
    world: &Environment,
    aim: ObserveScope<'_>,
    age: Freshness,
    this_run: &ThisRun,
) -> Result<Observed, ObserveError> {
    if let Some(site) = &world.deployment {
        site.find_active().await.map_err(ObserveError::Deployment)?;
    }
    let health = world
        .client
        .send(&health::Read)
        .await
        .map_err(|source| ObserveError::Call { what: "the server's health".to_owned(), source })?;
    if let Some(namespace) = world.client.namespace()
        && !health.has_namespaces
        && !ROOT_NAMESPACE.contains(&namespace.trim_matches('/'))
    {
        let address = world.client.address().to_owned();
        return Err(ObserveError::NoNamespaces { address, namespace: namespace.to_owned() });
    }
    let server = Server {
        address: world.client.address().to_owned(),
        product: health.product,
        version: health.version,
        initialized: health.initialized,
        sealed: health.sealed,
        standby: health.standby,
        // The site's way leads to a node that stands by only while none is active, and that one is not shown the token.
        has_active_node: !(health.standby && world.connection_mode == ConnectionMode::PortForward),
    };
    let raft = match (aim.goal(), &world.deployment) {
        (Some(goal), Some(site))
            if site.follows_active_node() && needs_raft_servers(goal, health.product) =>
        {
            RaftQuery::Yes
        }
        _ => RaftQuery::No,
    };
    let namespace = world.client.namespace().map(|name| name.trim_matches('/').to_owned());
    let namespace =
        namespace.filter(|name| health.has_namespaces && !ROOT_NAMESPACE.contains(&name.as_str()));
    let has_namespaces = health.has_namespaces;
    let mut observer = Observer {
        client: &world.client,
        scope: aim,
        server,
        denied: BTreeSet::new(),
        this_run: this_run.clone(),
        has_namespaces,
        raft,
    };
    let mut seen =
        if observer.is_unsealed() { observer.read_server().await? } else { ServerSnapshot::default() };
    let site = match &world.deployment {
        Some(_) if matches!(aim, ObserveScope::Server) => None,
        Some(site) => {
            let question = build_query(&seen, aim, age);
            Some(site.observe(&question).await.map_err(ObserveError::Deployment)?)
        }
        None => None,
    };
    let looked_at = match &site {
        Some(site) if site.kind == DeploymentKind::Local && aim.needs_other_nodes() => {
            Some(LookedAt::Directory)
        }
        // What is brought needs a directory; what is there already need not be seen.
        None if aim.goal().is_some_and(Goal::is_rollback) => Some(LookedAt::Nothing),
        _ => None,
    };
    let other_nodes = match looked_at.filter(|_| observer.can_serve()) {
        Some(looked_at) => observer.other_nodes(aim.goal().and_then(Goal::placement), looked_at).await?,
        None => OtherNodes::NotAsked,
    };
    seen.mounts.retain(|path, _| path != "sys/" && path != "identity/" && path != "cubbyhole/");
    let caller = Caller { capabilities: seen.capabilities, denied: observer.denied };
    Ok(Observed {
        server: observer.server,
        caller,
        plugin_directory: seen.plugin_directory,
        deployment: site,
        other_nodes,
        catalog: seen.catalog,
        pins: seen.pins,
        mounts: seen.mounts,
        child_namespace_mounts: seen.child_namespace_mounts,
        namespace,
        irrevocable_leases: seen.irrevocable_leases,
        raft: seen.raft,
        writes: seen.writes,
        this_run: observer.this_run,
    })
}

struct Observer<'a> {
    client: &'a Client,
    scope: ObserveScope<'a>,
    server: Server,
    denied: BTreeSet<String>,
    this_run: ThisRun,
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
        let aim = self.scope;
        for entry in entries.iter_mut().filter(|entry| needs_entry_detail(aim, entry)) {
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

/// What a change of plugins needs, whichever plugin it is.
fn deep_capability_paths(catalog: &[CatalogEntry]) -> Vec<String> {
    let entries: BTreeSet<String> =
        catalog.iter().map(|entry| format!("{CATALOG_PREFIX}{}/{}", entry.kind, entry.name)).collect();
    entries.into_iter().chain(["sys/plugins/reload/backend".to_owned()]).collect()
}

/// Whether a mount runs a binary from the plugin directory, or should.
fn is_external(mount: &MountObserved, catalog: &[CatalogEntry]) -> bool {
    !mount.running_sha256.is_empty()
        || catalog.iter().any(|entry| entry.kind == PluginType::Secret && entry.name == mount.plugin)
}

fn build_query(seen: &ServerSnapshot, aim: ObserveScope<'_>, age: Freshness) -> Query {
    let goal = aim.goal();
    let look = match aim {
        ObserveScope::Deep => {
            Detail::Deep { files: seen.catalog.iter().map(CatalogEntry::file_name).collect() }
        }
        ObserveScope::Server | ObserveScope::All | ObserveScope::Health | ObserveScope::Goal(_) => {
            Detail::Versions
        }
    };
    Query {
        detail: look,
        freshness: age,
        needed_files: goal.and_then(|goal| needed_files(seen, goal)),
        plugin_directory: seen.plugin_directory.clone(),
        // An image that is named for the next start has to bring the files of every plugin.
        plugin: goal.filter(|goal| !goal.sets_init_image()).and_then(Goal::plugin_name).map(str::to_owned),
        binary: goal.and_then(Goal::provided_plugin).map(|plugin| plugin.binary.clone()),
    }
}

/// The files of what a change brings, and of what its plugin runs or will run; `None` where all are compared.
fn needed_files(seen: &ServerSnapshot, goal: &Goal) -> Option<BTreeSet<String>> {
    let (plugin, target) = match goal {
        Goal::Register(register) => (&*register.plugin.name, register.plugin.version.v_prefixed()),
        Goal::Upgrade(upgrade) => (upgrade.name(), upgrade.version().v_prefixed()),
        Goal::Reload(_) | Goal::Deregister(_) | Goal::GarbageCollect(_) => return None,
    };
    let pins = match &seen.pins {
        Pins::Set(pins) => pins.as_slice(),
        Pins::Unsupported => &[],
    };
    let is_used = |entry: &&CatalogEntry| {
        let by = |mount: &MountObserved| {
            mount.plugin == entry.name
                && (mount.follows_latest()
                    || [&mount.configured_version, &mount.running_version].contains(&&entry.version))
        };
        entry.version == target
            || pins.iter().any(|pin| pin.name == entry.name && pin.version == entry.version)
            || seen.mounts.values().any(by)
    };
    let entries = seen.catalog.iter().filter(|entry| entry.name == plugin).filter(is_used);
    Some(entries.map(CatalogEntry::file_name).chain(goal.provided_plugin().map(Plugin::file_name)).collect())
}

/// Whether more of an entry must be known than the list tells. What is removed must not be the file of another entry.
fn needs_entry_detail(aim: ObserveScope<'_>, entry: &CatalogEntry) -> bool {
    let goal = match aim {
        ObserveScope::Server | ObserveScope::All | ObserveScope::Health => return false,
        ObserveScope::Deep => return true,
        ObserveScope::Goal(goal) => goal,
    };
    match goal {
        Goal::Register(register) => {
            let plugin = &register.plugin;
            let wanted = plugin.version.v_prefixed();
            entry.kind == plugin.kind && entry.name == plugin.name && entry.version == wanted
        }
        // An image that takes the place of another has to bring the files of every plugin.
        Goal::Upgrade(_) if goal.sets_init_image() => true,
        Goal::Upgrade(upgrade) => entry.kind == upgrade.kind() && entry.name == upgrade.name(),
        Goal::Reload(_) => false,
        Goal::Deregister(_) | Goal::GarbageCollect(_) => true,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::samples::{server_with, upgrade};
    use crate::goal::{Durability, UpgradeGoal};

    /// Any command can be registered, and the name of the file is no more than the usual one.
    #[test]
    fn an_image_is_compared_with_the_files_that_other_plugins_are_registered_with() {
        let own = &server_with("1.0.0", "bb").catalog[0];
        let other = CatalogEntry { name: "ldap-x".into(), command: None, ..own.clone() };
        let reads = |survival: Durability| {
            let goal = Goal::Upgrade(Box::new(UpgradeGoal { durability: survival, ..upgrade() }));
            [own, &other].map(|entry| needs_entry_detail(ObserveScope::Goal(&goal), entry))
        };
        assert_eq!(reads(Durability::Required), [true, false]);
        let image = || "registry.example.com/plugins:2".to_owned();
        assert_eq!(reads(Durability::Image { image: image(), files: None }), [true, true]);
    }
}
