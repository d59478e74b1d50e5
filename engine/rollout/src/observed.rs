//! What is: one snapshot, never changed, safe to show.

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
use crate::mount_path::MountPath;
use crate::progress::Progress;
use crate::step::Step;
use crate::version::Version;
use deployment::{
    DeploymentObserved, NodeName, NodeRole, PluginFile, PluginStorage, Process, RunningVersion,
};
use other_nodes::OtherNodes;

/// Everything that decisions rest on. What could not be seen (a sealed server, a missing permission) is empty here and said in
/// [`Server`] or [`Caller`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Observed {
    /// The server.
    pub server: Server,
    /// Who asks.
    pub caller: Caller,
    /// Where the server looks for binaries.
    pub plugin_directory: PluginDirectory,
    /// Where we put them; `None` when no site was given.
    pub deployment: Option<DeploymentObserved>,
    /// Nodes that the site does not show.
    pub other_nodes: OtherNodes,
    /// Plugins of the catalog that do not come with the server.
    pub catalog: Vec<CatalogEntry>,
    /// Pins.
    pub pins: Pins,
    /// Every mount of the namespace.
    pub mounts: BTreeMap<String, MountObserved>,
    /// What is mounted in namespaces below this one, which share its catalog; by path from here.
    pub child_namespace_mounts: BTreeMap<String, MountObserved>,
    /// The namespace, where it is not the root: what others above and beside it run cannot be seen.
    pub namespace: Option<String>,
    /// Leases that the server has given up revoking; `None` when it was not asked, or did not say.
    pub irrevocable_leases: Option<u64>,
    /// The servers of raft, where a goal may restart nodes or make them active.
    pub raft: Raft,
    /// What stands at the paths that the goal writes to.
    pub writes: Vec<WriteObserved>,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Server {
    /// As configured.
    pub address: String,
    /// Vault or OpenBao.
    pub product: Product,
    /// Its own version.
    pub version: String,
    /// False before `operator init`.
    pub initialized: bool,
    /// Sealed.
    pub sealed: bool,
    /// A standby, which forwards.
    pub standby: bool,
    /// False while no node is active, shortly after unsealing or a step-down.
    pub has_active_node: bool,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Caller {
    /// What the token may do on the paths that the goal needs; `None` when the server does not tell.
    pub capabilities: Option<BTreeMap<String, Capabilities>>,
    /// Paths that it was not allowed to read just now.
    pub denied: BTreeSet<String>,
}

/// Where the server looks for binaries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PluginDirectory {
    /// Here.
    At(PathBuf),
    /// Nowhere: external plugins are off.
    NotConfigured,
    /// The token may not see it, or the server does not show it.
    NotVisible,
}

/// API path below which the entries of the catalog lie.
pub(crate) const CATALOG_PREFIX: &str = "sys/plugins/catalog/";

/// One entry of the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CatalogEntry {
    /// What it is for.
    #[serde(rename = "type")]
    pub kind: PluginType,
    /// Name.
    pub name: String,
    /// With its `v`; empty when unversioned.
    pub version: String,
    /// Hex sha256; empty where the server does not list it.
    pub sha256: String,
    /// File, relative to the plugin directory; only known for the wanted version.
    pub command: Option<String>,
    /// Arguments; only known for the wanted version.
    pub args: Option<Vec<String>>,
}

/// Pins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pins {
    /// The server or the namespace has none.
    Unsupported,
    /// These.
    Set(Vec<Pin>),
}

/// One mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MountObserved {
    /// Name of the plugin.
    pub plugin: String,
    /// What it is configured to run; empty when unversioned.
    pub configured_version: String,
    /// What runs; empty when unversioned.
    pub running_version: String,
    /// Hex sha256 of what runs; empty for what comes with the server.
    pub running_sha256: String,
    /// Identifies it across path changes.
    pub accessor: String,
    /// Identifies its storage.
    pub uuid: String,
    /// The server's warnings; only for mounts of the goal.
    pub warnings: Vec<String>,
    /// Whether its plugin answers; `None` when it was not asked.
    pub health: Option<MountHealth>,
}

/// OpenBao's word for the newest version of the catalog.
const LATEST_VERSION: &str = "latest";

impl MountObserved {
    /// Whether it runs the newest version of the catalog, whichever that is when it is started (OpenBao).
    pub fn follows_latest(&self) -> bool {
        self.configured_version == LATEST_VERSION
    }

    /// False when it was asked and its plugin did not answer.
    pub fn may_answer(&self) -> bool {
        matches!(self.health, None | Some(MountHealth::Ok))
    }
}

/// Whether the plugin of a mount answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MountHealth {
    /// It does.
    Ok,
    /// The server has the mount and nothing behind it.
    NoBackend,
    /// The server says that it does not.
    Error {
        /// In these words.
        message: String,
    },
}

/// The servers of raft, as the active node sees them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Raft {
    /// It was not asked.
    NotAsked,
    /// The storage is not raft.
    NotUsed,
    /// The token may not see them.
    NotShown,
    /// These, by their ids, which need not be the names of nodes.
    Servers(BTreeMap<String, RaftServer>),
}

/// What stands at a path that the goal writes to. Values are compared when they are read and never kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WriteObserved {
    /// Full path.
    pub path: String,
    /// What reading it gave.
    pub read_state: ReadState,
    /// Wanted fields.
    pub fields: BTreeMap<String, Comparison>,
}

/// What reading a path gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadState {
    /// Nothing is there.
    Absent,
    /// Something is there.
    Present,
    /// It cannot be read, or not by this token.
    Unreadable,
    /// Not read, because its mount is not ours or not there.
    NotRead,
}

impl Observed {
    /// Whether a node is about to become active: none is, or the one that was is sealed, and another takes over from it.
    pub fn is_failing_over(&self) -> bool {
        let mut servers = self
            .deployment
            .iter()
            .flat_map(|site| site.nodes.values())
            .filter_map(|node| node.server.as_ref());
        !self.server.has_active_node || (self.server.sealed && servers.any(|server| !server.sealed))
    }

    /// The version that `plugin` is pinned to, with its `v`.
    pub fn pinned_version(&self, kind: PluginType, plugin: &str) -> Option<&str> {
        let Pins::Set(pins) = &self.pins else { return None };
        pins.iter().find(|pin| pin.kind == kind && pin.name == plugin).map(|pin| pin.version.as_str())
    }

    /// The catalog entry; an empty version means the unversioned one.
    pub fn catalog_entry(&self, kind: PluginType, name: &str, version: &str) -> Option<&CatalogEntry> {
        self.catalog.iter().find(|entry| entry.kind == kind && entry.name == name && entry.version == version)
    }

    /// The state after `step` has succeeded, in a run that has made `progress` before it.
    #[must_use]
    pub fn after(&self, step: &Step, progress: &Progress) -> Self {
        let mut next = self.clone();
        match step {
            Step::PlaceBinary { nodes, file, binary, .. } => {
                let site = next.deployment.iter_mut().flat_map(|site| &mut site.nodes);
                for (_, node) in site.filter(|(name, _)| nodes.contains(name)) {
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
                let mount = MountObserved {
                    plugin: plugin.clone(),
                    configured_version: version.v_prefixed(),
                    ..Default::default()
                };
                next.mounts.insert(path.to_string(), mount);
                next.simulate_start(path);
            }
            Step::TuneMount { path, to, .. } => {
                if let Some(mount) = next.mounts.get_mut(path.as_str()) {
                    mount.configured_version = to.v_prefixed();
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
                next.mounts.remove(path.as_str());
            }
            Step::DeregisterVersion { kind, name, version } => {
                let is_it = |entry: &CatalogEntry| {
                    entry.kind == *kind && entry.name == *name && entry.version == *version
                };
                next.catalog.retain(|entry| !is_it(entry));
            }
            Step::RemoveBinary { nodes, file, .. } => {
                let site = next.deployment.iter_mut().flat_map(|site| &mut site.nodes);
                for (_, node) in site.filter(|(name, _)| nodes.contains(name)) {
                    node.files.retain(|known| known.name != *file);
                }
            }
            Step::RestartNode { node, .. } => next.simulate_restart(node, progress),
            Step::PatchInitImage { to, files, .. } => {
                if let Some(DeploymentObserved {
                    plugin_storage: PluginStorage::InitContainer { image, files: brings, .. },
                    ..
                }) = &mut next.deployment
                {
                    image.clone_from(to);
                    brings.clone_from(files);
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

    /// The version that a mount is configured to run; where it follows the latest one, that is the newest in the catalog.
    pub fn configured_version<'a>(&'a self, mount: &'a MountObserved) -> &'a str {
        if !mount.follows_latest() {
            return &mount.configured_version;
        }
        let entries = self.catalog.iter();
        let ours = entries.filter(|entry| entry.kind == PluginType::Secret && entry.name == mount.plugin);
        let newest = ours.max_by_key(|entry| entry.version.parse::<Version>().ok());
        newest.map_or(&mount.configured_version, |entry| &entry.version)
    }

    /// What a mount would run if it were started now: its pin, else what it is configured to run.
    pub(crate) fn effective_version<'a>(&'a self, mount: &'a MountObserved) -> &'a str {
        self.pinned_version(PluginType::Secret, &mount.plugin)
            .unwrap_or_else(|| self.configured_version(mount))
    }

    fn simulate_start(&mut self, path: &MountPath) {
        let Some(mount) = self.mounts.get(path.as_str()) else { return };
        let version = self.effective_version(mount).to_owned();
        let sha256 = self
            .catalog_entry(PluginType::Secret, &mount.plugin, &version)
            .map_or_else(|| mount.running_sha256.clone(), |entry| entry.sha256.clone());
        if let Some(mount) = self.mounts.get_mut(path.as_str()) {
            if !version.is_empty() {
                mount.running_version = version;
            }
            mount.running_sha256 = sha256;
            mount.warnings.clear();
        }
        self.simulate_processes(path);
    }

    /// Which processes run then, and what each node says of the mount.
    fn simulate_processes(&mut self, path: &MountPath) {
        let Some(mount) = self.mounts.get(path.as_str()) else { return };
        let running =
            RunningVersion { version: mount.running_version.clone(), sha256: mount.running_sha256.clone() };
        let file = self.file_of(mount);
        // Vault's standbys run nothing and forward the question; OpenBao's run what they have started.
        let all_say_so = self.server.product == Product::Vault;
        for node in self.deployment.iter_mut().flat_map(|site| site.nodes.values_mut()) {
            let serves = node.server.as_ref().is_none_or(|vault| vault.role == NodeRole::Active);
            if let Some(vault) = node.server.as_mut().filter(|_| serves || all_say_so) {
                vault.running.insert(path.to_string(), running.clone());
            }
            // Where none can be seen, none will be.
            if let Some(file) = file.as_ref().filter(|_| serves && !node.processes.is_empty()) {
                let sha256 = Some(running.sha256.clone());
                node.processes.push(Process { pid: 0, file: file.clone(), sha256 });
            }
        }
    }

    /// Why a restart of a node takes a file from it; `None` where it is kept, or where that is not known.
    pub(crate) fn lost_at_restart(&self, file: &str, progress: &Progress) -> Option<String> {
        let keeping = &self.deployment.as_ref()?.plugin_storage;
        // Which files came with the image of the container is not seen; what this run has placed did not.
        let may_return =
            matches!(keeping, PluginStorage::ContainerImage { .. }) && !progress.placed.contains(file);
        if may_return { None } else { keeping.loss_reason(file) }
    }

    /// The file that a mount executes; `None` for what comes with the server.
    pub(crate) fn file_of(&self, mount: &MountObserved) -> Option<String> {
        let entry = self.catalog_entry(PluginType::Secret, &mount.plugin, &mount.running_version);
        entry.map(CatalogEntry::file_name)
    }

    /// The node comes back with the files that are kept, and runs what they are enough for.
    fn simulate_restart(&mut self, node: &NodeName, progress: &Progress) {
        let Some(there) = self.deployment.as_ref().and_then(|site| site.nodes.get(node)) else { return };
        let names = there.files.iter().map(|file| &file.name);
        let lost: BTreeSet<String> =
            names.filter(|file| self.lost_at_restart(file, progress).is_some()).cloned().collect();
        let starts = |mount: &MountObserved| self.file_of(mount).is_none_or(|file| !lost.contains(&file));
        let running = |mount: &MountObserved| RunningVersion {
            version: mount.running_version.clone(),
            sha256: mount.running_sha256.clone(),
        };
        let started = self.mounts.iter().filter(|(_, mount)| starts(mount));
        let started = started.map(|(path, mount)| (path.clone(), running(mount))).collect();
        let Some(node) = self.deployment.as_mut().and_then(|site| site.nodes.get_mut(node)) else { return };
        node.files.retain(|file| !lost.contains(&file.name));
        if let Some(vault) = &mut node.server {
            vault.running = started;
        }
    }
}
