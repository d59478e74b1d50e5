//! What a site is: its nodes, and what becomes of their files when they are started anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::binary::Machine;

/// The place where the server's plugins lie: one directory on every node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SiteObserved {
    /// What it is.
    pub kind: SiteKind,
    /// The plugin directory, the same on every node.
    pub directory: PathBuf,
    /// Its nodes.
    pub nodes: BTreeMap<NodeName, NodeObserved>,
    /// What keeps the files of a node that is started anew.
    pub keeping: Keeping,
    /// Who starts nodes anew when their description changes.
    pub restarts: Restarts,
    /// Somebody else who has the right to change things at this moment.
    pub holder: Option<Holder>,
    /// What could not be seen of the site as a whole, and why not.
    pub unseen: BTreeMap<String, String>,
}

/// Somebody who has the right to change a site. Only the name is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Holder {
    /// Who.
    pub name: String,
    /// How it is known that this is still so.
    pub evidence: HolderEvidence,
}

/// How it is known that somebody still has the right to change a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderEvidence {
    /// It was renewed while this run has looked, its process runs on this machine, or it lasts for longer than is worth
    /// waiting for.
    Proven,
    /// Only that it is written there. No clock of another machine is believed, so it has to be seen to be renewed, or to
    /// end.
    Written,
}

impl From<Holder> for String {
    fn from(holder: Holder) -> Self {
        holder.name
    }
}

/// What a site is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "site", rename_all = "snake_case")]
pub enum SiteKind {
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
    pub presence: Presence,
    /// Uid of its pod: another pod under the same name has another. `None` where the site has no pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// The container beside its server in which this program does the work; `None` where the server's own has a shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<String>,
    /// What its plugin directory is.
    pub directory: SiteState,
    /// What its machine is.
    pub machine: Machine,
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
    pub oddities: Oddities,
    /// The server on it; `None` where the site has no way to it of its own.
    pub vault: Option<NodeServer>,
}

/// What only a closer look at a plugin directory shows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Oddities {
    /// Copies that were begun and not ended.
    pub leftovers: Vec<String>,
    /// Links that lead out of the directory, by file name.
    pub links: BTreeMap<String, PathBuf>,
    /// Files that this node cannot start, and why.
    pub unfit: BTreeMap<String, Unfit>,
    /// Files of which it was not seen whether this node can start them.
    pub unread: BTreeSet<String>,
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
pub enum Unfit {
    /// It is no executable of any kind.
    NoProgram,
    /// It is built for another machine.
    Machine(Machine),
    /// The dynamic linker that it names is not there.
    Interpreter(PathBuf),
}

/// Whether a node can be looked at and changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Presence {
    /// It can.
    Ready,
    /// It cannot.
    NotReady {
        /// Why not.
        why: String,
    },
}

/// The server on a node, as that node itself says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeServer {
    /// What it does.
    pub role: Role,
    /// Sealed.
    pub sealed: bool,
    /// Its own version.
    pub version: String,
    /// What it says runs on each mount.
    pub running: BTreeMap<String, RunningVersion>,
    /// Who unseals it after a start; only asked of nodes that run plugins.
    pub seal: Seal,
    /// Index of the last raft entry that it has applied, where its storage is raft; only asked of nodes that run plugins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_index: Option<u64>,
}

/// Who unseals a server after a start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Seal {
    /// People, with the shares of its key.
    Shamir,
    /// It unseals itself.
    Auto,
    /// It was not asked, or did not say.
    #[default]
    NotKnown,
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
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
#[serde(tag = "keeping", rename_all = "snake_case")]
pub enum Keeping {
    /// A directory of a machine.
    Local,
    /// A volume that outlives the node.
    Volume {
        /// What it is, for example `persistent volume claim plugins-vault-0`.
        what: String,
    },
    /// Nothing, but a container fills the directory before the server starts.
    InitContainer {
        /// Its name.
        name: String,
        /// Its image.
        image: String,
        /// The files it brings; `None` when that is not known.
        brings: Option<BTreeSet<String>>,
    },
    /// An image, which cannot be written to.
    ImageVolume {
        /// The image.
        image: String,
    },
    /// The image of the server's own container: what it holds comes back, what was added is lost.
    ContainerImage {
        /// What the directory is, for example `/vault/plugins of the image`.
        what: String,
    },
    /// Nothing.
    Nothing {
        /// What the directory is, for example `emptyDir plugins`.
        what: String,
    },
    /// It could not be found out.
    Unknown {
        /// Why not.
        why: String,
    },
}

/// Who starts nodes anew when their description changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Restarts {
    /// Somebody, one at a time (`OnDelete`).
    ByHand,
    /// The cluster, at once (`RollingUpdate`).
    Rolling,
    /// Nobody has said.
    NotKnown,
}

/// What a directory is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SiteState {
    /// Fit for use.
    Usable,
    /// Not there.
    Missing,
    /// Something, but no directory.
    NotADirectory,
    /// The server may not look into it.
    NotEntered,
    /// The caller may not write there.
    NotWritable,
    /// Nobody may write there: it is mounted read-only.
    ReadOnly,
    /// Nothing can be started from there: it is mounted so.
    NoExec,
    /// Everybody may write there.
    WritableByEverybody,
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
        real: PathBuf,
    },
    /// The server looks elsewhere.
    NotTheServers {
        /// Where.
        servers: PathBuf,
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

impl SiteObserved {
    /// A site that is a directory of this machine.
    pub fn local(directory: &Path, node: NodeObserved) -> Self {
        Self {
            kind: SiteKind::Local,
            directory: directory.to_owned(),
            nodes: BTreeMap::from([(NodeName::local(), node)]),
            keeping: Keeping::Local,
            restarts: Restarts::NotKnown,
            holder: None,
            unseen: BTreeMap::new(),
        }
    }

    /// The nodes without a file of that name which `is_fit`.
    pub(crate) fn lacking(&self, file: &str, is_fit: impl Fn(&PluginFile) -> bool) -> Vec<NodeName> {
        let lacks = |node: &NodeObserved| !node.files.iter().any(|there| there.name == file && is_fit(there));
        self.nodes.iter().filter(|(_, node)| lacks(node)).map(|(name, _)| name.clone()).collect()
    }
}

impl Keeping {
    /// Why a node that is restarted comes back without a file that was put into its directory; `None` where it has the file again, or
    /// where that is not known.
    pub(crate) fn loses(&self, file: &str) -> Option<String> {
        match self {
            Self::Local | Self::Volume { .. } | Self::ImageVolume { .. } | Self::Unknown { .. } => None,
            Self::InitContainer { name, image, brings } => brings
                .as_ref()
                .is_some_and(|brings| !brings.contains(file))
                .then(|| format!("the image {image} of the init container {name} does not bring it")),
            Self::ContainerImage { what } | Self::Nothing { what } => {
                Some(format!("the directory is {what}"))
            }
        }
    }
}

impl NodeObserved {
    /// A node that cannot be looked at.
    pub fn not_ready(why: impl Into<String>) -> Self {
        Self {
            presence: Presence::NotReady { why: why.into() },
            uid: None,
            beside: None,
            directory: SiteState::Missing,
            machine: Machine::Other(0),
            free_bytes: None,
            interpreter_present: true,
            files: Vec::new(),
            links: BTreeSet::new(),
            processes: Vec::new(),
            oddities: Oddities::default(),
            vault: None,
        }
    }
}
