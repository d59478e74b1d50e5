//! The observed nodes, and what a restart does to their files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::binary::Architecture;

/// The place where the server's plugins lie: one directory on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeploymentObserved {
    /// Kind of the deployment.
    pub kind: DeploymentKind,
    /// The plugin directory, the same on every node.
    pub directory: PathBuf,
    /// The nodes.
    pub nodes: BTreeMap<NodeName, NodeObserved>,
    /// What keeps the files of a restarted node.
    pub plugin_storage: PluginStorage,
    /// Whether a change of the pod template restarts nodes.
    pub update_strategy: PodUpdateStrategy,
    /// Another operator that holds the lock.
    pub lock_holder: Option<LockHolder>,
    /// What could not be observed of the deployment as a whole, and why.
    pub unobserved: BTreeMap<String, String>,
}

/// Another operator that holds the lock. Serialized as its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct LockHolder {
    /// Name of the operator.
    pub name: String,
    /// Whether it is confirmed that the operator still holds the lock.
    pub liveness: HolderLiveness,
}

/// Whether it is confirmed that an operator still holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderLiveness {
    /// The lock was renewed during the observation, its process runs on this machine, or its duration is too long to wait for.
    Confirmed,
    /// The lock was only read. Clocks of other machines are not trusted, so it must be renewed or expire during the observation.
    Unconfirmed,
}

impl From<LockHolder> for String {
    fn from(holder: LockHolder) -> Self {
        holder.name
    }
}

/// Kind of a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DeploymentKind {
    /// A directory of this machine.
    Local,
    /// The pods of a StatefulSet.
    Kubernetes {
        /// The namespace.
        namespace: String,
        /// Name of the StatefulSet.
        statefulset: String,
        /// Name of the container in which the server runs.
        container: String,
    },
}

/// Name of a node: that of its pod, or `local`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NodeName(String);

/// An observed node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeObserved {
    /// Whether it could be observed. If not, the other fields are not set.
    pub readiness: Readiness,
    /// Uid of its pod, which differs for a recreated pod; `None` if the deployment has no pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The ephemeral container in which this program runs; `None` if the server's container has a shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helper_container: Option<String>,
    /// State of its plugin directory.
    pub directory: DirectoryState,
    /// Architecture of its machine.
    pub architecture: Architecture,
    /// Free bytes of its volume; `None` if they could not be read.
    pub free_bytes: Option<u64>,
    /// Whether it has the dynamic linker of the new binary.
    pub interpreter_present: bool,
    /// Files that are named `<name>-<semver>`, with their checksums.
    pub files: Vec<PluginFile>,
    /// Files that are links. OpenBao creates and keeps links to the files that it extracts from images.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub links: BTreeSet<String>,
    /// Processes that run files of the directory.
    pub processes: Vec<Process>,
    /// Problems of files; only of a deep observation.
    pub file_issues: FileIssues,
    /// The server on the node; `None` if the deployment has no connection to it.
    pub server: Option<NodeServer>,
}

/// Problems of files that a deep observation finds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileIssues {
    /// Partial files of killed copies.
    pub partial_files: Vec<String>,
    /// Links to files outside the directory, by file name.
    pub outside_links: BTreeMap<String, PathBuf>,
    /// Files that cannot be started on this node, and why.
    pub not_executable: BTreeMap<String, NotExecutable>,
    /// Files that could not be checked.
    pub unchecked: BTreeSet<String>,
    /// Processes whose server has ended.
    pub orphans: BTreeSet<u32>,
    /// A directory of the volume that others can change, if others have the volume mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedDirectory>,
}

/// A directory on the volume of the plugins that users other than root and the server's user can change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedDirectory {
    /// The plugin directory, or a parent directory on its volume.
    pub directory: PathBuf,
    /// How they can change it.
    pub by: Exposure,
    /// Others that can write to the volume; never empty.
    pub with: Vec<String>,
}

/// Why a file cannot be started on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotExecutable {
    /// It is not an executable.
    NotABinary,
    /// It is built for another architecture.
    WrongArchitecture(Architecture),
    /// Its dynamic linker is not installed.
    MissingInterpreter(PathBuf),
}

/// Whether a node can be observed and changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Yes.
    Ready,
    /// No.
    NotReady {
        /// The reason.
        reason: String,
    },
}

/// The server on a node, as it reports itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeServer {
    /// Its role.
    pub role: NodeRole,
    /// Whether it is sealed.
    pub sealed: bool,
    /// Version of the server.
    pub version: String,
    /// The versions that it reports for its mounts.
    pub running: BTreeMap<String, RunningVersion>,
    /// Type of its seal; only read from nodes that run plugins.
    pub seal_type: SealType,
    /// Index of the last raft entry that it has applied, if its storage is raft; only read from nodes that run plugins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_index: Option<u64>,
}

/// How a server is unsealed after a start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SealType {
    /// Manually, with the key shares.
    Shamir,
    /// Automatically.
    Auto,
    /// Not read.
    #[default]
    Unknown,
}

/// Role of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// It serves requests.
    Active,
    /// It forwards requests, or serves reads.
    Standby,
}

/// The running version of a mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunningVersion {
    /// Version with its `v`; empty if unversioned.
    pub version: String,
    /// Hex sha256; empty for built-in plugins.
    pub sha256: String,
}

/// What keeps the files of a restarted node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PluginStorage {
    /// A directory of this machine.
    LocalDirectory,
    /// A persistent volume.
    PersistentVolume {
        /// Description, for example `persistent volume claim plugins-vault-0`.
        description: String,
    },
    /// Nothing; an init container fills the directory before the server starts.
    InitContainer {
        /// Name of the container.
        name: String,
        /// Its image.
        image: String,
        /// The files of its image; `None` if unknown.
        files: Option<BTreeSet<String>>,
    },
    /// A read-only image volume.
    ImageVolume {
        /// The image.
        image: String,
    },
    /// The image of the server's container: its files are restored, others are lost.
    ContainerImage {
        /// Description of the directory, for example `/vault/plugins of the image`.
        description: String,
    },
    /// Nothing: all files are lost.
    Ephemeral {
        /// Description of the directory, for example `emptyDir plugins`.
        description: String,
    },
    /// Unknown.
    Unknown {
        /// The reason.
        reason: String,
    },
}

/// Whether a change of the pod template restarts nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PodUpdateStrategy {
    /// Pods restart when they are deleted (`OnDelete`).
    OnDelete,
    /// The cluster restarts all pods (`RollingUpdate`).
    RollingUpdate,
    /// Unknown.
    Unknown,
}

/// State of a plugin directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryState {
    /// It can be used.
    Usable,
    /// It does not exist.
    Missing,
    /// The path is not a directory.
    NotADirectory,
    /// The server has no permission to read it.
    NotAccessible,
    /// This user has no permission to write to it.
    NotWritable,
    /// It is mounted read-only.
    ReadOnly,
    /// It is mounted noexec.
    NoExec,
    /// It is world-writable.
    WorldWritable,
    /// Other users can replace a plugin.
    Exposed {
        /// The directory, or a parent of it.
        directory: PathBuf,
        /// How they can change it.
        by: Exposure,
    },
    /// The path in the server's configuration contains a symbolic link.
    Symlinked {
        /// The real path.
        target: PathBuf,
    },
    /// The server has another plugin directory.
    NotPluginDirectory {
        /// The directory of the server.
        plugin_directory: PathBuf,
    },
}

/// How other users can change a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// It is writable for its group or for all users.
    Mode {
        /// Permission bits.
        mode: u32,
    },
    /// Its owner is neither root nor the server's user.
    Owner {
        /// User id of the owner.
        user: u32,
    },
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mode { mode } => write!(f, "has mode {mode:o}"),
            Self::Owner { user } => write!(f, "belongs to user {user}"),
        }
    }
}

/// A file in the plugin directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginFile {
    /// File name.
    pub name: String,
    /// Hex sha256; empty if the file cannot be read.
    pub sha256: String,
    /// Permission bits.
    pub mode: u32,
}

/// A process that runs a file of the plugin directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// File name of its executable; ends in ` (deleted)` if the file was replaced or removed.
    pub file: String,
    /// Hex sha256 of its executable; `None` if it could not be read.
    pub sha256: Option<String>,
}

impl NodeName {
    /// Name of the node of a local deployment.
    pub const LOCAL: &str = "local";

    /// Creates a name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The node of a local deployment.
    pub fn local() -> Self {
        Self::new(Self::LOCAL)
    }

    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this machine, whose name is omitted in messages.
    pub fn is_local(&self) -> bool {
        self.0 == Self::LOCAL
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_local() { "this machine" } else { &self.0 })
    }
}

impl DeploymentObserved {
    /// A local deployment with this node.
    pub fn local(directory: &Path, node: NodeObserved) -> Self {
        Self {
            kind: DeploymentKind::Local,
            directory: directory.to_owned(),
            nodes: BTreeMap::from([(NodeName::local(), node)]),
            plugin_storage: PluginStorage::LocalDirectory,
            update_strategy: PodUpdateStrategy::Unknown,
            lock_holder: None,
            unobserved: BTreeMap::new(),
        }
    }

    /// The nodes without a file with this name that is `accepted`.
    pub(crate) fn nodes_lacking(&self, file: &str, accepted: impl Fn(&PluginFile) -> bool) -> Vec<NodeName> {
        let lacks =
            |node: &NodeObserved| !node.files.iter().any(|other| other.name == file && accepted(other));
        self.nodes.iter().filter(|(_, node)| lacks(node)).map(|(name, _)| name.clone()).collect()
    }
}

impl PluginStorage {
    /// Why a restarted node does not have a file that was copied to it; `None` if it has the file, or if that is unknown.
    pub(crate) fn loss_reason(&self, file: &str) -> Option<String> {
        match self {
            Self::LocalDirectory
            | Self::PersistentVolume { .. }
            | Self::ImageVolume { .. }
            | Self::Unknown { .. } => None,
            Self::InitContainer { name, image, files } => files
                .as_ref()
                .is_some_and(|files| !files.contains(file))
                .then(|| format!("the image {image} of the init container {name} does not contain it")),
            Self::ContainerImage { description } | Self::Ephemeral { description } => {
                Some(format!("the directory is {description}"))
            }
        }
    }
}

impl NodeObserved {
    /// A node that could not be observed.
    pub fn not_ready(reason: impl Into<String>) -> Self {
        Self {
            readiness: Readiness::NotReady { reason: reason.into() },
            uid: None,
            helper_container: None,
            directory: DirectoryState::Missing,
            architecture: Architecture::Other(0),
            free_bytes: None,
            interpreter_present: true,
            files: Vec::new(),
            links: BTreeSet::new(),
            processes: Vec::new(),
            file_issues: FileIssues::default(),
            server: None,
        }
    }
}
