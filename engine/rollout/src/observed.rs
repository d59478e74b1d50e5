//! The observed state: one immutable snapshot without secrets.

pub(crate) mod deployment;
pub(crate) mod other_nodes;
mod queries;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::Serialize;
use vault_api::capabilities::Capabilities;
use vault_api::catalog::PluginType;
use vault_api::health::Product;
use vault_api::pins::Pin;
use vault_api::raft::RaftServer;

use crate::binary::BINARY_MODE;
use crate::compare::Comparison;
use crate::consumer::Consumer;
use crate::progress::Progress;
use crate::step::Step;
use crate::version::Version;
use deployment::{
    DeploymentObserved, NodeName, NodeRole, PluginFile, PluginStorage, Process, RunningVersion,
};
use other_nodes::OtherNodes;

/// The state on which decisions are made. What could not be read (of a sealed server, or without permission) is empty, as [`Server`] and
/// [`Caller`] show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// The server.
    pub server: Server,
    /// The permissions of the token.
    pub caller: Caller,
    /// The plugin directory of the server.
    pub plugin_directory: PluginDirectory,
    /// The nodes; `None` if the deployment is unknown.
    pub deployment: Option<DeploymentObserved>,
    /// Nodes that the deployment does not show.
    pub other_nodes: OtherNodes,
    /// The catalog, without built-in plugins.
    pub catalog: Vec<CatalogEntry>,
    /// The pinned versions.
    pub pins: Pins,
    /// All consumers of the namespace and, if they were read, of its child namespaces, which share the catalog.
    #[serde(rename = "mounts")]
    pub consumers: BTreeMap<Consumer, ConsumerObserved>,
    /// All child namespaces that the token can see, with a trailing slash; empty if they were not read.
    pub namespaces: BTreeSet<String>,
    /// The namespace, if it is not the root. Mounts of parent and sibling namespaces cannot be read.
    pub namespace: Option<String>,
    /// Number of irrevocable leases; `None` if it was not read.
    pub irrevocable_leases: Option<u64>,
    /// The raft servers, for goals that may restart nodes or make them active.
    pub raft: Raft,
    /// The values at the paths that the goal writes.
    pub writes: Vec<WriteObserved>,
}

/// The server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Its address.
    pub address: String,
    /// The product.
    pub product: Product,
    /// Version of the server.
    pub version: String,
    /// Whether it is initialized.
    pub initialized: bool,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Whether it is a standby.
    pub standby: bool,
    /// Whether a node is active. False shortly after unsealing or a step-down.
    pub has_active_node: bool,
}

/// The permissions of the token.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// Capabilities on the paths that the goal needs; `None` if the server does not show them.
    pub capabilities: Option<BTreeMap<String, Capabilities>>,
    /// Paths that could not be read without permission.
    pub denied: BTreeSet<String>,
}

/// The lists that show what runs in a namespace and below.
const NAMESPACE_LISTS: [&str; 3] = ["sys/namespaces", "sys/mounts", "sys/auth"];

impl Caller {
    /// The namespaces of which a list is denied, with the paths of these lists. The empty path is the namespace of the client, of which only
    /// the list of child namespaces counts.
    pub(crate) fn hidden_namespaces(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut hidden: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for path in &self.denied {
            let Some(namespace) = NAMESPACE_LISTS.iter().find_map(|list| path.strip_suffix(list)) else {
                continue;
            };
            let is_child_list = namespace.ends_with('/') || path == "sys/namespaces";
            if is_child_list {
                hidden.entry(namespace).or_default().push(path);
            }
        }
        hidden
    }
}

/// The plugin directory of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginDirectory {
    /// Its path.
    At(PathBuf),
    /// Not configured, so external plugins are disabled.
    NotConfigured,
    /// The token has no permission to read it, or the server does not show it.
    NotVisible,
}

/// Prefix of the API paths of catalog entries.
pub(crate) const CATALOG_PREFIX: &str = "sys/plugins/catalog/";

/// An entry of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CatalogEntry {
    /// Type of the plugin.
    #[serde(rename = "type")]
    pub kind: PluginType,
    /// Name of the plugin.
    pub name: String,
    /// Version with its `v`; empty if unversioned.
    pub version: String,
    /// Hex sha256; empty if the server does not list it.
    pub sha256: String,
    /// File, relative to the plugin directory; only read if the goal needs it.
    pub command: Option<String>,
    /// Arguments; only read if the goal needs them.
    pub args: Option<Vec<String>>,
}

/// The pinned versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pins {
    /// The server or the namespace does not support pins.
    Unsupported,
    /// The pins.
    Set(Vec<Pin>),
}

/// A consumer of a plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConsumerObserved {
    /// Type of the plugin.
    #[serde(rename = "type")]
    pub kind: PluginType,
    /// Name of the plugin.
    pub plugin: String,
    /// Configured version; empty if unversioned.
    pub configured_version: String,
    /// Running version; empty if unversioned. Of a connection on OpenBao, the configured one.
    pub running_version: String,
    /// Hex sha256 of the running binary; empty for built-in plugins. Of a connection, that of its version in the catalog.
    pub running_sha256: String,
    /// Namespace, relative to that of the request and with a trailing slash; `None` if it is that one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Accessor, which identifies the mount across path changes.
    pub accessor: String,
    /// UUID, which identifies its storage.
    pub uuid: String,
    /// Warnings of the server; only for mounts of the goal.
    pub warnings: Vec<String>,
    /// Whether its plugin responds; `None` if it was not checked.
    pub health: Option<MountHealth>,
}

/// OpenBao's configured version of mounts that run the newest version.
const LATEST_VERSION: &str = "latest";

impl ConsumerObserved {
    /// Whether it runs the newest version of the catalog at each start (OpenBao).
    pub fn follows_latest(&self) -> bool {
        self.configured_version == LATEST_VERSION
    }

    /// Whether its plugin responds, or was not checked.
    pub fn may_answer(&self) -> bool {
        matches!(self.health, None | Some(MountHealth::Ok))
    }
}

/// Whether the plugin of a mount responds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MountHealth {
    /// It responds.
    Ok,
    /// The mount has no backend.
    NoBackend,
    /// The server returns an error.
    Error {
        /// The message.
        message: String,
    },
}

/// The raft servers, as the active node reports them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Raft {
    /// Not read.
    NotAsked,
    /// The storage is not raft.
    NotUsed,
    /// The token has no permission to read them.
    NotShown,
    /// The servers by id, which can differ from the name of the node.
    Servers(BTreeMap<String, RaftServer>),
}

/// The state of a path that the goal writes. Values are compared when they are read, and not stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WriteObserved {
    /// Full path.
    pub path: String,
    /// Result of reading it.
    pub read_state: ReadState,
    /// Comparison of each field with its desired value.
    pub fields: BTreeMap<String, Comparison>,
}

/// The result of reading a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadState {
    /// It does not exist.
    Absent,
    /// It exists.
    Present,
    /// It has no read operation, or the token has no permission.
    Unreadable,
    /// Not read, because its mount does not exist or has another plugin.
    NotRead,
}

impl Observed {
    /// Whether a failover is in progress: no node is active, or the active one is sealed and another one can take over.
    pub fn is_failing_over(&self) -> bool {
        let mut servers = self
            .deployment
            .iter()
            .flat_map(|deployment| deployment.nodes.values())
            .filter_map(|node| node.server.as_ref());
        !self.server.has_active_node || (self.server.sealed && servers.any(|server| !server.sealed))
    }

    /// The pinned version of `plugin`, with its `v`.
    pub fn pinned_version(&self, kind: PluginType, plugin: &str) -> Option<&str> {
        let Pins::Set(pins) = &self.pins else { return None };
        pins.iter().find(|pin| pin.kind == kind && pin.name == plugin).map(|pin| pin.version.as_str())
    }

    /// The catalog entry; an empty version selects the unversioned one.
    pub fn catalog_entry(&self, kind: PluginType, name: &str, version: &str) -> Option<&CatalogEntry> {
        self.catalog.iter().find(|entry| entry.kind == kind && entry.name == name && entry.version == version)
    }

    /// The state after `step` has succeeded, in a run that has made `progress` before it.
    #[must_use]
    pub fn after(&self, step: &Step, progress: &Progress) -> Self {
        let mut next = self.clone();
        match step {
            Step::CopyBinary { nodes, file, binary, .. } => {
                let all = next.deployment.iter_mut().flat_map(|deployment| &mut deployment.nodes);
                for (_, node) in all.filter(|(name, _)| nodes.contains(name)) {
                    node.files.retain(|known| known.name != *file);
                    let (name, sha256) = (file.clone(), binary.sha256.clone());
                    node.files.push(PluginFile { name, sha256, mode: BINARY_MODE });
                }
            }
            Step::RegisterVersion { kind, name, version, sha256, command, args, env: _ } => {
                next.catalog.push(CatalogEntry {
                    kind: *kind,
                    name: name.clone(),
                    version: version.v_prefixed(),
                    sha256: sha256.clone(),
                    command: Some(command.clone()),
                    args: Some(args.clone()),
                });
            }
            Step::EnableMount { path, plugin, version, .. }
            | Step::MountCanary { path, plugin, version, .. } => {
                let mount = ConsumerObserved {
                    kind: path.kind(),
                    plugin: plugin.clone(),
                    configured_version: version.v_prefixed(),
                    ..Default::default()
                };
                next.consumers.insert(path.clone(), mount);
                next.simulate_start(path);
            }
            Step::TuneMount { path, to, .. } => {
                if let Some(mount) = next.consumers.get_mut(path.as_str()) {
                    mount.configured_version = to.v_prefixed();
                }
                // A connection is opened again by the request.
                if path.kind() == PluginType::Database {
                    next.simulate_start(path);
                }
            }
            Step::SetPin { kind, name, to, .. } => {
                if let Pins::Set(pins) = &mut next.pins {
                    let ours = pins.iter_mut().filter(|pin| pin.kind == *kind && pin.name == *name);
                    ours.for_each(|pin| pin.version = to.v_prefixed());
                }
            }
            Step::ReloadMount { path } => next.simulate_start(path),
            Step::RemoveCanary { path } => {
                next.consumers.remove(path.as_str());
            }
            Step::DeregisterVersion { kind, name, version } => {
                let is_it = |entry: &CatalogEntry| {
                    entry.kind == *kind && entry.name == *name && entry.version == *version
                };
                next.catalog.retain(|entry| !is_it(entry));
            }
            Step::RemoveBinary { nodes, file, .. } => {
                let all = next.deployment.iter_mut().flat_map(|deployment| &mut deployment.nodes);
                for (_, node) in all.filter(|(name, _)| nodes.contains(name)) {
                    node.files.retain(|known| known.name != *file);
                }
            }
            Step::RestartNode { node, .. } => next.simulate_restart(node, progress),
            Step::PatchInitImage { to, files, .. } => {
                if let Some(DeploymentObserved {
                    plugin_storage: PluginStorage::InitContainer { image, files: image_files, .. },
                    ..
                }) = &mut next.deployment
                {
                    image.clone_from(to);
                    image_files.clone_from(files);
                }
            }
            Step::VerifyCanary { .. } | Step::SmokeTestMount { .. } | Step::StepDown { .. } => {}
            Step::Write { path, .. } => {
                for write in next.writes.iter_mut().filter(|write| write.path == *path) {
                    write.read_state = ReadState::Present;
                    write.fields.values_mut().for_each(|field| *field = Comparison::Equal);
                }
            }
        }
        next
    }

    /// The configured version of a mount; the newest of the catalog if the mount follows the latest one.
    pub fn configured_version<'a>(&'a self, mount: &'a ConsumerObserved) -> &'a str {
        if !mount.follows_latest() {
            return &mount.configured_version;
        }
        let entries = self.catalog.iter();
        let ours = entries.filter(|entry| entry.kind == mount.kind && entry.name == mount.plugin);
        let newest = ours.max_by_key(|entry| entry.version.parse::<Version>().ok());
        newest.map_or(&mount.configured_version, |entry| &entry.version)
    }

    /// The version that a mount would run if it were started now: its pin, else its configured version.
    pub(crate) fn effective_version<'a>(&'a self, mount: &'a ConsumerObserved) -> &'a str {
        self.pinned_version(mount.kind, &mount.plugin).unwrap_or_else(|| self.configured_version(mount))
    }

    fn simulate_start(&mut self, path: &Consumer) {
        let Some(mount) = self.consumers.get(path.as_str()) else { return };
        let version = self.effective_version(mount).to_owned();
        let sha256 = self
            .catalog_entry(mount.kind, &mount.plugin, &version)
            .map_or_else(|| mount.running_sha256.clone(), |entry| entry.sha256.clone());
        if let Some(mount) = self.consumers.get_mut(path.as_str()) {
            if !version.is_empty() {
                mount.running_version = version;
            }
            mount.running_sha256 = sha256;
            mount.warnings.clear();
        }
        self.simulate_processes(path);
    }

    /// Simulates the processes of a started mount, and what each node reports about it.
    fn simulate_processes(&mut self, path: &Consumer) {
        let Some(mount) = self.consumers.get(path.as_str()) else { return };
        let running =
            RunningVersion { version: mount.running_version.clone(), sha256: mount.running_sha256.clone() };
        let file = self.file_of(mount);
        // Standbys of Vault run no plugins and forward the request; those of OpenBao keep running what they have started.
        let all_report = self.server.product == Product::Vault;
        for node in self.deployment.iter_mut().flat_map(|deployment| deployment.nodes.values_mut()) {
            let serves = node.server.as_ref().is_none_or(|vault| vault.role == NodeRole::Active);
            if let Some(vault) = node.server.as_mut().filter(|_| serves || all_report) {
                vault.running.insert(path.to_string(), running.clone());
            }
            // Processes stay invisible if none was visible before.
            if let Some(file) = file.as_ref().filter(|_| serves && !node.processes.is_empty()) {
                let sha256 = Some(running.sha256.clone());
                node.processes.push(Process { pid: 0, file: file.clone(), sha256 });
            }
        }
    }

    /// Why a restart of a node removes a file; `None` if it is kept, or if that is unknown.
    pub(crate) fn lost_at_restart(&self, file: &str, progress: &Progress) -> Option<String> {
        let storage = &self.deployment.as_ref()?.plugin_storage;
        // The files of the container's image are unknown, but those that this run has copied are not among them.
        let may_return =
            matches!(storage, PluginStorage::ContainerImage { .. }) && !progress.copied.contains(file);
        if may_return { None } else { storage.loss_reason(file) }
    }

    /// The file that a mount runs; `None` for built-in plugins.
    pub(crate) fn file_of(&self, mount: &ConsumerObserved) -> Option<String> {
        let entry = self.catalog_entry(mount.kind, &mount.plugin, &mount.running_version);
        entry.map(CatalogEntry::file_name)
    }

    /// Simulates the restart of a node: it has the files that are kept, and runs the mounts whose files it has.
    fn simulate_restart(&mut self, node: &NodeName, progress: &Progress) {
        let Some(there) = self.deployment.as_ref().and_then(|deployment| deployment.nodes.get(node)) else {
            return;
        };
        let names = there.files.iter().map(|file| &file.name);
        let lost: BTreeSet<String> =
            names.filter(|file| self.lost_at_restart(file, progress).is_some()).cloned().collect();
        let starts = |mount: &ConsumerObserved| self.file_of(mount).is_none_or(|file| !lost.contains(&file));
        let running = |mount: &ConsumerObserved| RunningVersion {
            version: mount.running_version.clone(),
            sha256: mount.running_sha256.clone(),
        };
        let started = self.consumers.iter().filter(|(_, mount)| starts(mount));
        let started = started.map(|(path, mount)| (path.to_string(), running(mount))).collect();
        let Some(node) = self.deployment.as_mut().and_then(|deployment| deployment.nodes.get_mut(node))
        else {
            return;
        };
        node.files.retain(|file| !lost.contains(&file.name));
        if let Some(vault) = &mut node.server {
            vault.running = started;
        }
    }
}
