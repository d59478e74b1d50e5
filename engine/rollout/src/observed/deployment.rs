//! What a site is: its nodes, and what becomes of their files when they are started anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::binary::Architecture;

/// The place where the server's plugins lie: one directory on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeploymentObserved {
    /// What it is.
    pub kind: DeploymentKind,
    /// The plugin directory, the same on every node.
    pub directory: PathBuf,
    /// Its nodes.
    pub nodes: BTreeMap<NodeName, NodeObserved>,
    /// What keeps the files of a node that is started anew.
    pub plugin_storage: PluginStorage,
    /// Who starts nodes anew when their description changes.
    pub update_strategy: PodUpdateStrategy,
    /// Somebody else who has the right to change things at this moment.
    pub lock_holder: Option<LockHolder>,
    /// What could not be seen of the site as a whole, and why not.
    pub unobserved: BTreeMap<String, String>,
}

/// Somebody who has the right to change a site. Only the name is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct LockHolder {
    /// Who.
    pub name: String,
    /// How it is known that this is still so.
    pub liveness: HolderLiveness,
}

/// How it is known that somebody still has the right to change a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderLiveness {
    /// It was renewed while this run has looked, its process runs on this machine, or it lasts for longer than is worth
    /// waiting for.
    Confirmed,
    /// Only that it is written there. No clock of another machine is believed, so it has to be seen to be renewed, or to
    /// end.
    Unconfirmed,
}

impl From<LockHolder> for String {
    fn from(holder: LockHolder) -> Self {
        holder.name
    }
}

/// What a site is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum DeploymentKind {
    /// This machine.
    Local,
    /// The pods of a StatefulSet.
    Kubernetes {
        /// Its namespace.
        namespace: String,
        /// Its name.
        statefulset: String,
        /// The container in which the server runs.
        container: String,
    },
}

/// Name of a node: of its pod, or `local`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct NodeName(String);

/// A node as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeObserved {
    /// Whether it can be looked at; what follows is only known when it can.
    pub readiness: Readiness,
    /// Uid of its pod: another pod under the same name has another. `None` where the site has no pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The container beside its server in which this program does the work; `None` where the server's own has a shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub helper_container: Option<String>,
    /// What its plugin directory is.
    pub directory: DirectoryState,
    /// What its machine is.
    pub architecture: Architecture,
    /// Free bytes for the caller; `None` where they could not be read.
    pub free_bytes: Option<u64>,
    /// False when the dynamic linker that the wanted binary asks for is not there.
    pub interpreter_present: bool,
    /// Files named `<name>-<semver>`, hashed.
    pub files: Vec<PluginFile>,
    /// Those of them that are links, as OpenBao makes them to what it takes out of images: whoever has made one keeps it.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub links: BTreeSet<String>,
    /// Processes that run from the directory.
    pub processes: Vec<Process>,
    /// What only a closer look shows.
    pub file_issues: FileIssues,
    /// The server on it; `None` where the site has no way to it of its own.
    pub server: Option<NodeServer>,
}

/// What only a closer look at a plugin directory shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FileIssues {
    /// Copies that were begun and not ended.
    pub partial_files: Vec<String>,
    /// Links that lead out of the directory, by file name.
    pub outside_links: BTreeMap<String, PathBuf>,
    /// Files that this node cannot start, and why.
    pub not_executable: BTreeMap<String, NotExecutable>,
    /// Files of which it was not seen whether this node can start them.
    pub unchecked: BTreeSet<String>,
    /// Processes whose server is gone.
    pub orphans: BTreeSet<u32>,
    /// A directory of the plugins that others than the server can write to, where others have its volume too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared: Option<SharedDirectory>,
}

/// A directory on the volume of the plugins that others than root and the server's user can change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedDirectory {
    /// The plugin directory, or one on its volume that leads to it.
    pub directory: PathBuf,
    /// How.
    pub by: Exposure,
    /// Who has the volume too, and may write to it: never empty.
    pub with: Vec<String>,
}

/// Why a node cannot start a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NotExecutable {
    /// It is no executable of any kind.
    NotABinary,
    /// It is built for another machine.
    WrongArchitecture(Architecture),
    /// The dynamic linker that it names is not there.
    MissingInterpreter(PathBuf),
}

/// Whether a node can be looked at and changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// It can.
    Ready,
    /// It cannot.
    NotReady {
        /// Why not.
        reason: String,
    },
}

/// The server on a node, as that node itself says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeServer {
    /// What it does.
    pub role: NodeRole,
    /// Sealed.
    pub sealed: bool,
    /// Its own version.
    pub version: String,
    /// What it says runs on each mount.
    pub running: BTreeMap<String, RunningVersion>,
    /// Who unseals it after a start; only asked of nodes that run plugins.
    pub seal_type: SealType,
    /// Index of the last raft entry that it has applied, where its storage is raft; only asked of nodes that run plugins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_index: Option<u64>,
}

/// Who unseals a server after a start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SealType {
    /// People, with the shares of its key.
    Shamir,
    /// It unseals itself.
    Auto,
    /// It was not asked, or did not say.
    #[default]
    Unknown,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// Serves.
    Active,
    /// Forwards, or serves reads.
    Standby,
}

/// What runs on a mount.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunningVersion {
    /// Empty when unversioned.
    pub version: String,
    /// Hex sha256; empty for what comes with the server.
    pub sha256: String,
}

/// What keeps the files of a node that is started anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PluginStorage {
    /// A directory of a machine.
    LocalDirectory,
    /// A volume that outlives the node.
    PersistentVolume {
        /// What it is, for example `persistent volume claim plugins-vault-0`.
        description: String,
    },
    /// Nothing, but a container fills the directory before the server starts.
    InitContainer {
        /// Its name.
        name: String,
        /// Its image.
        image: String,
        /// The files it brings; `None` when that is not known.
        files: Option<BTreeSet<String>>,
    },
    /// An image, which cannot be written to.
    ImageVolume {
        /// The image.
        image: String,
    },
    /// The image of the server's own container: what it holds comes back, what was added is lost.
    ContainerImage {
        /// What the directory is, for example `/vault/plugins of the image`.
        description: String,
    },
    /// Nothing.
    Ephemeral {
        /// What the directory is, for example `emptyDir plugins`.
        description: String,
    },
    /// It could not be found out.
    Unknown {
        /// Why not.
        reason: String,
    },
}

/// Who starts nodes anew when their description changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PodUpdateStrategy {
    /// Somebody, one at a time (`OnDelete`).
    OnDelete,
    /// The cluster, at once (`RollingUpdate`).
    RollingUpdate,
    /// Nobody has said.
    Unknown,
}

/// What a directory is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DirectoryState {
    /// Fit for use.
    Usable,
    /// Not there.
    Missing,
    /// Something, but no directory.
    NotADirectory,
    /// The server may not look into it.
    NotAccessible,
    /// The caller may not write there.
    NotWritable,
    /// Nobody may write there: it is mounted read-only.
    ReadOnly,
    /// Nothing can be started from there: it is mounted so.
    NoExec,
    /// Everybody may write there.
    WorldWritable,
    /// Others can put another file in the place of a plugin.
    Exposed {
        /// The directory, or one that leads to it.
        directory: PathBuf,
        /// How.
        by: Exposure,
    },
    /// The server's own path to it leads over a symbolic link.
    Symlinked {
        /// Where it leads.
        target: PathBuf,
    },
    /// The server looks elsewhere.
    NotPluginDirectory {
        /// Where.
        plugin_directory: PathBuf,
    },
}

/// How others can change a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// Its group, or everybody, may write to it.
    Mode {
        /// Its permission bits.
        mode: u32,
    },
    /// It belongs to neither root nor the server's user.
    Owner {
        /// To whom.
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

/// A binary in the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PluginFile {
    /// File name.
    pub name: String,
    /// Hex sha256; empty for a file that cannot be read there, which is never what is wanted.
    pub sha256: String,
    /// Permission bits.
    pub mode: u32,
}

/// A process that runs from the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// File name of its executable; ends in ` (deleted)` when the file was replaced or removed.
    pub file: String,
    /// Hex sha256 of what it executes; `None` where that may not be read.
    pub sha256: Option<String>,
}

impl NodeName {
    /// The one node of a site that is this machine.
    pub const LOCAL: &str = "local";

    /// A name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The one node of a site that is this machine.
    pub fn local() -> Self {
        Self::new(Self::LOCAL)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this machine, which needs no name when it is spoken of.
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
    /// A site that is a directory of this machine.
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

    /// The nodes without a file of that name which `is_fit`.
    pub(crate) fn nodes_lacking(&self, file: &str, is_fit: impl Fn(&PluginFile) -> bool) -> Vec<NodeName> {
        let lacks = |node: &NodeObserved| !node.files.iter().any(|there| there.name == file && is_fit(there));
        self.nodes.iter().filter(|(_, node)| lacks(node)).map(|(name, _)| name.clone()).collect()
    }
}

impl PluginStorage {
    /// Why a node that is restarted comes back without a file that was put into its directory; `None` where it has the file again, or
    /// where that is not known.
    pub(crate) fn loss_reason(&self, file: &str) -> Option<String> {
        match self {
            Self::LocalDirectory
            | Self::PersistentVolume { .. }
            | Self::ImageVolume { .. }
            | Self::Unknown { .. } => None,
            Self::InitContainer { name, image, files: brings } => brings
                .as_ref()
                .is_some_and(|brings| !brings.contains(file))
                .then(|| format!("the image {image} of the init container {name} does not bring it")),
            Self::ContainerImage { description: what } | Self::Ephemeral { description: what } => {
                Some(format!("the directory is {what}"))
            }
        }
    }
}

impl NodeObserved {
    /// A node that cannot be looked at.
    pub fn not_ready(why: impl Into<String>) -> Self {
        Self {
            readiness: Readiness::NotReady { reason: why.into() },
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
