//! Takes the snapshot. Changes nothing, except that a lease which a read turns out to issue is revoked at once.

mod others;
mod quorum;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use vault_api::catalog::{EntryName, Listed, PluginType};
use vault_api::config_state::ConfigState;
use vault_api::health::Product;
use vault_api::{
    ApiError, CallError, Client, Endpoint, Trouble, capabilities, catalog, config_state, health, help,
    leases, logical, mounts, namespaces, pins,
};

use crate::apply::LOOK_AGAIN;
use crate::compare::{Comparison, compare};
use crate::decide::permission_paths;
use crate::goal::{Goal, MountGoal, Plugin, WriteGoal};
use crate::observed::others::OtherNodes;
use crate::observed::site::SiteKind;
use crate::observed::{
    Answering, Caller, CatalogEntry, MountObserved, Observed, Pins, PluginDirectory, Raft, ReadBack, Server,
    ThisRun, WriteObserved,
};
use crate::site::{Age, Look, Question, Site, SiteError};
use crate::smoke::is_of_data;
use others::LookedAt;
use quorum::{AskRaft, asks_raft};

pub use others::is_of_this_machine;

/// What can be looked at and changed: a server and, where files matter, the place of its plugins.
#[derive(Clone, Debug)]
pub struct World {
    /// The server.
    pub client: Client,
    /// The plugin directory.
    pub site: Option<Arc<dyn Site>>,
    /// How the client reaches the server.
    pub way: Way,
}

/// How a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// At an address that was given. Whatever answers there passes requests on to the active node.
    Address,
    /// As the site does it, which looks for the active node by itself.
    Site,
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
    Site(#[source] SiteError),
}

impl ObserveError {
    /// Whether it may be of a node that is about to be replaced by another.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Call { source, .. } => may_pass(source),
            Self::Site(SiteError::Kubernetes(error)) => error.may_pass(),
            Self::Site(_) | Self::InvalidToken { .. } | Self::NoNamespaces { .. } => false,
        }
    }
}

/// Whether a call may have failed on a node that is about to be replaced by another.
pub(crate) fn may_pass(error: &CallError) -> bool {
    match error {
        CallError::Sealed { .. } => true,
        CallError::Api(answer) => answer.status.is_server_error(),
        CallError::Transport { trouble, .. } => {
            matches!(trouble, Trouble::NoConnection | Trouble::Broken | Trouble::TimedOut | Trouble::Standby)
        }
        _ => false,
    }
}

/// The names of the one namespace that every server has.
const ROOT_NAMESPACE: [&str; 2] = ["", "root"];

/// Help takes a plugin that works some milliseconds.
const LONGEST_ANSWER: Duration = Duration::from_secs(10);

/// With Vault's default timeouts, raft notices after ten seconds that a leader is lost, and elects another in as many.
const LONGEST_ELECTION: Duration = Duration::from_secs(30);

/// Below it lie the entries of the catalog.
pub(crate) const CATALOG: &str = "sys/plugins/catalog/";

/// What a standby answers while no node is active (Vault's and OpenBao's words).
pub(crate) const NO_ACTIVE_NODE: [&str; 2] = ["active cluster node not found", "local node not active"];

/// Takes a snapshot of what concerns `goal`, or of everything.
///
/// A sealed server, a missing permission and a directory that is not there are part of the snapshot, not errors.
pub async fn observe(
    world: &World,
    goal: Option<&Goal>,
    this_run: &ThisRun,
) -> Result<Observed, ObserveError> {
    take(world, Aim::of(goal), Age::Now, this_run).await
}

/// As [`observe`], where nothing has been done to nodes since they were looked at: what is known of them may be some seconds old.
pub async fn observe_again(
    world: &World,
    goal: Option<&Goal>,
    this_run: &ThisRun,
) -> Result<Observed, ObserveError> {
    take(world, Aim::of(goal), Age::Latest, this_run).await
}

/// Takes a snapshot of the server alone, as if there were no site.
pub async fn observe_server(world: &World) -> Result<Observed, ObserveError> {
    take(world, Aim::Server, Age::Now, &ThisRun::default()).await
}

/// Takes a snapshot of everything, and asks each external mount whether it answers.
pub async fn survey(world: &World) -> Result<Observed, ObserveError> {
    take(world, Aim::Mounts, Age::Now, &ThisRun::default()).await
}

/// As [`survey`], and looks closely at files, permissions and leases. During an election, which ends by itself, there is no
/// snapshot, or one of a server that serves nothing: another is taken until a node is active, or none is for too long.
pub async fn examine(world: &World) -> Result<Observed, ObserveError> {
    let started = Instant::now();
    loop {
        let observed = take(world, Aim::Closely, Age::Now, &ThisRun::default()).await;
        let is_election = match &observed {
            Ok(observed) => observed.is_between_leaders(),
            Err(error) => error.may_pass() && world.site.as_ref().is_some_and(|site| site.leads_to_active()),
        };
        if !is_election || started.elapsed() >= LONGEST_ELECTION {
            return observed;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
enum Aim<'a> {
    Server,
    All,
    Goal(&'a Goal),
    Mounts,
    Closely,
}

impl<'a> Aim<'a> {
    fn of(goal: Option<&'a Goal>) -> Self {
        goal.map_or(Self::All, Self::Goal)
    }

    fn goal(self) -> Option<&'a Goal> {
        match self {
            Self::Goal(goal) => Some(goal),
            Self::Server | Self::All | Self::Mounts | Self::Closely => None,
        }
    }
}

impl Aim<'_> {
    /// Whether it matters what other namespaces run: where versions go, and where a pin moves mounts.
    fn needs_namespaces(self, pins: &Pins) -> bool {
        match self.goal() {
            Some(Goal::Deregister(_) | Goal::Collect(_)) => true,
            Some(Goal::Upgrade(upgrade)) => {
                let Pins::Set(pins) = pins else { return false };
                pins.iter().any(|pin| pin.kind == upgrade.kind() && pin.name == upgrade.name())
            }
            Some(Goal::Register(_) | Goal::Reload(_)) | None => false,
        }
    }

    /// Whether it matters which nodes there are beside the one of this machine.
    fn needs_nodes(self) -> bool {
        match self {
            Self::Closely => true,
            Self::Goal(goal) => goal.placement().is_some(),
            Self::Server | Self::All | Self::Mounts => false,
        }
    }
}

async fn take(world: &World, aim: Aim<'_>, age: Age, this_run: &ThisRun) -> Result<Observed, ObserveError> {
    if let Some(site) = &world.site {
        site.find_active().await.map_err(ObserveError::Site)?;
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
        has_active_node: !(health.standby && world.way == Way::Site),
    };
    let raft = match (aim.goal(), &world.site) {
        (Some(goal), Some(site)) if site.leads_to_active() && asks_raft(goal, health.product) => AskRaft::Yes,
        _ => AskRaft::No,
    };
    let namespace = world.client.namespace().map(|name| name.trim_matches('/').to_owned());
    let namespace =
        namespace.filter(|name| health.has_namespaces && !ROOT_NAMESPACE.contains(&name.as_str()));
    let has_namespaces = health.has_namespaces;
    let mut observer = Observer {
        client: &world.client,
        aim,
        server,
        denied: BTreeSet::new(),
        this_run: this_run.clone(),
        has_namespaces,
        raft,
    };
    let mut seen = if observer.is_open() { observer.look().await? } else { Seen::default() };
    let site = match &world.site {
        Some(_) if matches!(aim, Aim::Server) => None,
        Some(site) => {
            let question = question(&seen, aim, age);
            Some(site.observe(&question).await.map_err(ObserveError::Site)?)
        }
        None => None,
    };
    let looked_at = match &site {
        Some(site) if site.kind == SiteKind::Local && aim.needs_nodes() => Some(LookedAt::Directory),
        // What is brought needs a directory; what is there already need not be seen.
        None if aim.goal().is_some_and(Goal::goes_back) => Some(LookedAt::Nothing),
        _ => None,
    };
    let other_nodes = match looked_at.filter(|_| observer.is_led()) {
        Some(looked_at) => observer.other_nodes(aim.goal().and_then(Goal::placement), looked_at).await?,
        None => OtherNodes::NotAsked,
    };
    seen.mounts.retain(|path, _| path != "sys/" && path != "identity/" && path != "cubbyhole/");
    let caller = Caller { capabilities: seen.capabilities, denied: observer.denied };
    Ok(Observed {
        server: observer.server,
        caller,
        plugin_directory: seen.plugin_directory,
        site,
        other_nodes,
        catalog: seen.catalog,
        pins: seen.pins,
        mounts: seen.mounts,
        below: seen.below,
        namespace,
        irrevocable_leases: seen.irrevocable_leases,
        raft: seen.raft,
        writes: seen.writes,
        this_run: observer.this_run,
    })
}

struct Observer<'a> {
    client: &'a Client,
    aim: Aim<'a>,
    server: Server,
    denied: BTreeSet<String>,
    this_run: ThisRun,
    raft: AskRaft,
    has_namespaces: bool,
}

struct Seen {
    capabilities: Option<BTreeMap<String, capabilities::Capabilities>>,
    plugin_directory: PluginDirectory,
    catalog: Vec<CatalogEntry>,
    pins: Pins,
    mounts: BTreeMap<String, MountObserved>,
    below: BTreeMap<String, MountObserved>,
    irrevocable_leases: Option<u64>,
    raft: Raft,
    writes: Vec<WriteObserved>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            capabilities: None,
            plugin_directory: PluginDirectory::NotShown,
            catalog: Vec::new(),
            pins: Pins::NotOffered,
            mounts: BTreeMap::new(),
            below: BTreeMap::new(),
            irrevocable_leases: None,
            raft: Raft::NotAsked,
            writes: Vec::new(),
        }
    }
}

impl Observer<'_> {
    fn is_open(&self) -> bool {
        self.server.initialized && !self.server.sealed
    }

    fn is_led(&self) -> bool {
        self.is_open() && self.server.has_active_node
    }

    async fn look(&mut self) -> Result<Seen, ObserveError> {
        if !self.server.has_active_node {
            return Ok(Seen::default());
        }
        let mut seen = Seen { mounts: self.mounts().await?, ..Seen::default() };
        if !self.server.has_active_node {
            return Ok(seen);
        }
        seen.plugin_directory = match self
            .ask("sys/config/state/sanitized", &config_state::ReadSanitized)
            .await?
        {
            Some(ConfigState::Shown(config)) if config.plugin_directory.is_empty() => {
                PluginDirectory::NotConfigured
            }
            Some(ConfigState::Shown(config)) => PluginDirectory::At(PathBuf::from(config.plugin_directory)),
            _ => PluginDirectory::NotShown,
        };
        seen.catalog = self.catalog().await?;
        // OpenBao has no pins, and would answer a token that may not ask with "permission denied".
        if self.server.product == Product::Vault
            && let Some(Some(pins)) = self.ask("sys/plugins/pins", &pins::List).await?
        {
            seen.pins = Pins::Set(pins);
        }
        if self.has_namespaces && self.aim.needs_namespaces(&seen.pins) {
            seen.below = self.below().await?;
        }
        if let Aim::Mounts | Aim::Closely = self.aim {
            self.answers(&mut seen).await?;
        }
        if let Aim::Closely = self.aim {
            self.closely(&mut seen).await?;
        }
        if self.raft == AskRaft::Yes {
            seen.raft = self.raft().await?;
        }
        if let Some(goal) = self.aim.goal() {
            let asked = capabilities::OfSelf { paths: permission_paths(goal, &seen.mounts) };
            seen.capabilities = match self.client.send(&asked).await {
                Ok(held) => Some(held),
                Err(CallError::Api(_)) => None,
                Err(source) => return Err(call("the token's capabilities", source)),
            };
            self.warnings(goal, &mut seen.mounts).await?;
            for mount in goal.mounts() {
                for write in &mount.writes {
                    seen.writes.push(self.write(mount, write, &seen.mounts).await?);
                }
            }
        }
        Ok(seen)
    }

    async fn mounts(&mut self) -> Result<BTreeMap<String, MountObserved>, ObserveError> {
        let listed = self.ask("sys/mounts", &mounts::List).await?.unwrap_or_default();
        Ok(listed.into_iter().map(|(path, mount)| (path, MountObserved::from(mount))).collect())
    }

    /// What is mounted in every namespace below, however deep.
    async fn below(&mut self) -> Result<BTreeMap<String, MountObserved>, ObserveError> {
        let mut below = BTreeMap::new();
        let mut left = vec![String::new()];
        while let Some(within) = left.pop() {
            let path = format!("{within}sys/namespaces");
            let list = namespaces::List { within: within.clone() };
            let children = self.ask(&path, &list).await?.unwrap_or_default();
            for child in children {
                let child = format!("{within}{}/", child.trim_end_matches('/'));
                let path = format!("{child}sys/mounts");
                let mounts = namespaces::Mounts { within: child.clone() };
                let mounts = self.ask(&path, &mounts).await?.unwrap_or_default();
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
        let listed = self.ask("sys/plugins/catalog", &catalog::List).await?.unwrap_or_default();
        let mut entries: Vec<CatalogEntry> =
            listed.into_iter().filter(|entry| !entry.builtin).map(CatalogEntry::from).collect();
        let aim = self.aim;
        for entry in entries.iter_mut().filter(|entry| matters(aim, entry)) {
            let version = Some(entry.version.clone()).filter(|version| !version.is_empty());
            let name = EntryName { kind: entry.kind, name: entry.name.clone(), version };
            let path = format!("sys/plugins/catalog/{}/{}", entry.kind, entry.name);
            if let Some(Some(detail)) = self.ask(&path, &catalog::Read(name)).await? {
                entry.sha256 = detail.sha256;
                entry.command = Some(detail.command);
                entry.args = Some(detail.args);
            }
        }
        Ok(entries)
    }

    /// What the server says about the goal's mounts; a token that may list mounts but not read one goes without.
    async fn warnings(
        &self,
        goal: &Goal,
        mounts: &mut BTreeMap<String, MountObserved>,
    ) -> Result<(), ObserveError> {
        for mount in goal.mounts() {
            let Some(there) = mounts.get_mut(mount.path.as_str()) else { continue };
            match self.client.send(&mounts::Read { path: mount.path.to_string() }).await {
                Ok(Some(shown)) => there.warnings = shown.warnings,
                Ok(None) | Err(CallError::Api(_)) => {}
                Err(source) => return Err(call(mount.path.as_str(), source)),
            }
        }
        Ok(())
    }

    /// Whether plugins answer.
    async fn answers(&self, seen: &mut Seen) -> Result<(), ObserveError> {
        let Seen { mounts, catalog, .. } = seen;
        for (path, mount) in mounts.iter_mut().filter(|(_, mount)| is_external(mount, catalog)) {
            mount.answering = self.answering(path).await?;
        }
        Ok(())
    }

    /// What only a closer look asks: what the token may do, and what was given up.
    async fn closely(&mut self, seen: &mut Seen) -> Result<(), ObserveError> {
        let asked = capabilities::OfSelf { paths: closely_needed(&seen.catalog) };
        seen.capabilities = match self.client.send(&asked).await {
            Ok(held) => Some(held),
            Err(CallError::Api(_)) => None,
            Err(source) => return Err(call("the token's capabilities", source)),
        };
        seen.irrevocable_leases = match self.client.send(&leases::CountIrrevocable).await {
            Ok(count) => Some(count),
            Err(CallError::Api(_)) => None,
            Err(source) => return Err(call("the count of leases", source)),
        };
        Ok(())
    }

    /// Whether the plugin of a mount answers; `None` when this token may not ask it.
    async fn answering(&self, path: &str) -> Result<Option<Answering>, ObserveError> {
        let asked = help::OfMount { path: path.to_owned() };
        let Ok(answer) = tokio::time::timeout(LONGEST_ANSWER, self.client.send(&asked)).await else {
            let said = format!("nothing in {} s", LONGEST_ANSWER.as_secs());
            return Ok(Some(Answering::No { said }));
        };
        match answer {
            Ok(_) => Ok(Some(Answering::Yes)),
            Err(CallError::Api(answer)) if answer.is_permission_denied() => Ok(None),
            Err(CallError::Api(answer)) if answer.is_nil_backend() => Ok(Some(Answering::NoBackend)),
            Err(CallError::Api(answer)) => Ok(Some(Answering::No { said: answer.to_string() })),
            Err(source) => Err(call(path, source)),
        }
    }

    async fn write(
        &self,
        mount: &MountGoal,
        write: &WriteGoal,
        mounts: &BTreeMap<String, MountObserved>,
    ) -> Result<WriteObserved, ObserveError> {
        let path = mount.path.join(&write.path);
        let all = |read_back, comparison| WriteObserved {
            path: path.clone(),
            read_back,
            fields: write.data.keys().map(|field| (field.clone(), comparison)).collect(),
        };
        let Some(Goal::Register(register)) = self.aim.goal() else {
            return Ok(all(ReadBack::NotTried, Comparison::CannotBeRead));
        };
        if mounts.get(mount.path.as_str()).is_none_or(|there| there.plugin != register.plugin.name) {
            return Ok(all(ReadBack::NotTried, Comparison::CannotBeRead));
        }
        let reply = match self.client.send(&logical::Read { path: path.clone() }).await {
            Ok(None) => return Ok(all(ReadBack::Absent, Comparison::Differs)),
            Ok(Some(reply)) => reply,
            // No read operation, no permission, or a plugin in trouble which the steps before may cure.
            Err(CallError::Api(_)) => return Ok(all(ReadBack::CannotBeRead, Comparison::CannotBeRead)),
            Err(source) => return Err(call(&path, source)),
        };
        if !reply.lease_id.is_empty() && self.gives_back(&path, reply.lease_id).await? {
            return Ok(all(ReadBack::CannotBeRead, Comparison::CannotBeRead));
        }
        let fields = write
            .data
            .iter()
            .map(|(field, wanted)| (field.clone(), compare(field, wanted, &reply.data.0)))
            .collect();
        Ok(WriteObserved { path, read_back: ReadBack::Present, fields })
    }

    /// Revokes what a read has issued. False when it was no credential.
    async fn gives_back(&self, path: &str, lease_id: String) -> Result<bool, ObserveError> {
        match self.client.send(&leases::Revoke { lease_id }).await {
            Ok(_) => Ok(true),
            Err(error) if is_of_data(&error) => Ok(false),
            Err(source) => Err(call(path, source)),
        }
    }

    /// `None` when the server is not in a state to answer, or may not answer this token; both are noted.
    async fn ask<E: Endpoint>(
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
            Err(error) if error.is(ApiError::is_invalid_token) => {
                Err(ObserveError::InvalidToken { address: self.client.address().to_owned() })
            }
            Err(error) if error.is(ApiError::is_permission_denied) => {
                self.denied.insert(path.to_owned());
                Ok(None)
            }
            Err(error) if error.is(|answer| NO_ACTIVE_NODE.iter().any(|words| answer.says(words))) => {
                self.server.has_active_node = false;
                Ok(None)
            }
            Err(source) => Err(call(path, source)),
        }
    }
}

fn call(what: &str, source: CallError) -> ObserveError {
    ObserveError::Call { what: what.to_owned(), source }
}

/// What a change of plugins needs, whichever plugin it is.
fn closely_needed(catalog: &[CatalogEntry]) -> Vec<String> {
    let entries: BTreeSet<String> =
        catalog.iter().map(|entry| format!("{CATALOG}{}/{}", entry.kind, entry.name)).collect();
    entries.into_iter().chain(["sys/plugins/reload/backend".to_owned()]).collect()
}

/// Whether a mount runs a binary from the plugin directory, or should.
fn is_external(mount: &MountObserved, catalog: &[CatalogEntry]) -> bool {
    !mount.running_sha256.is_empty()
        || catalog.iter().any(|entry| entry.kind == PluginType::Secret && entry.name == mount.plugin)
}

fn question(seen: &Seen, aim: Aim<'_>, age: Age) -> Question {
    let goal = aim.goal();
    let look = match aim {
        Aim::Closely => Look::Closely { files: seen.catalog.iter().map(CatalogEntry::file_name).collect() },
        Aim::Server | Aim::All | Aim::Mounts | Aim::Goal(_) => Look::Versions,
    };
    Question {
        look,
        age,
        needed: goal.and_then(|goal| needed(seen, goal)),
        servers: seen.plugin_directory.clone(),
        // An image that is named for the next start has to bring the files of every plugin.
        plugin: goal.filter(|goal| !goal.names_image()).and_then(Goal::plugin_name).map(str::to_owned),
        binary: goal.and_then(Goal::brought).map(|plugin| plugin.binary.clone()),
    }
}

/// The files of what a change brings, and of what its plugin runs or will run; `None` where all are compared.
fn needed(seen: &Seen, goal: &Goal) -> Option<BTreeSet<String>> {
    let (plugin, target) = match goal {
        Goal::Register(register) => (&*register.plugin.name, register.plugin.version.tagged()),
        Goal::Upgrade(upgrade) => (upgrade.name(), upgrade.version().tagged()),
        Goal::Reload(_) | Goal::Deregister(_) | Goal::Collect(_) => return None,
    };
    let pins = match &seen.pins {
        Pins::Set(pins) => pins.as_slice(),
        Pins::NotOffered => &[],
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
    Some(entries.map(CatalogEntry::file_name).chain(goal.brought().map(Plugin::file_name)).collect())
}

/// Whether more of an entry must be known than the list tells. What is removed must not be the file of another entry.
fn matters(aim: Aim<'_>, entry: &CatalogEntry) -> bool {
    let goal = match aim {
        Aim::Server | Aim::All | Aim::Mounts => return false,
        Aim::Closely => return true,
        Aim::Goal(goal) => goal,
    };
    match goal {
        Goal::Register(register) => {
            let plugin = &register.plugin;
            let wanted = plugin.version.tagged();
            entry.kind == plugin.kind && entry.name == plugin.name && entry.version == wanted
        }
        // An image that takes the place of another has to bring the files of every plugin.
        Goal::Upgrade(_) if goal.names_image() => true,
        Goal::Upgrade(upgrade) => entry.kind == upgrade.kind() && entry.name == upgrade.name(),
        Goal::Reload(_) => false,
        Goal::Deregister(_) | Goal::Collect(_) => true,
    }
}

impl From<mounts::Mount> for MountObserved {
    fn from(mount: mounts::Mount) -> Self {
        let mounts::Mount {
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
            answering: None,
        }
    }
}

impl From<Listed> for CatalogEntry {
    fn from(Listed { kind, name, version, builtin: _, sha256 }: Listed) -> Self {
        Self { kind, name, version, sha256, command: None, args: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::samples::{server_with, upgrade};
    use crate::goal::{Survival, Upgrade};

    /// Any command can be registered, and the name of the file is no more than the usual one.
    #[test]
    fn an_image_is_compared_with_the_files_that_other_plugins_are_registered_with() {
        let own = &server_with("1.0.0", "bb").catalog[0];
        let other = CatalogEntry { name: "ldap-x".into(), command: None, ..own.clone() };
        let reads = |survival: Survival| {
            let goal = Goal::Upgrade(Box::new(Upgrade { survival, ..upgrade() }));
            [own, &other].map(|entry| matters(Aim::Goal(&goal), entry))
        };
        assert_eq!(reads(Survival::Needed), [true, false]);
        let image = || "registry.example.com/plugins:2".to_owned();
        assert_eq!(reads(Survival::Image { image: image(), brings: None }), [true, true]);
    }
}
