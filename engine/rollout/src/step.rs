//! The steps that there are.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::{Serialize, Serializer};
use vault_api::catalog::PluginType;

use crate::goal::MountPath;
use crate::observed::site::NodeName;
use crate::version::Version;

/// One change. A step never holds a value that is written, so it can be shown and saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Put the binary into the plugin directory of nodes.
    PlaceBinary {
        /// Those that lack it.
        nodes: Vec<NodeName>,
        /// Directory.
        directory: PathBuf,
        /// File name.
        file: String,
        /// Hex sha256.
        sha256: String,
        /// In bytes.
        size: u64,
    },
    /// Make the version known to the server.
    RegisterVersion {
        /// What it is for.
        #[serde(rename = "type")]
        kind: PluginType,
        /// Name.
        name: String,
        /// Version.
        version: Version,
        /// Hex sha256.
        sha256: String,
        /// File, relative to the plugin directory.
        command: String,
        /// Arguments.
        args: Vec<String>,
    },
    /// Mount the plugin.
    EnableMount {
        /// Where.
        path: MountPath,
        /// Name of the plugin.
        plugin: String,
        /// What will run there.
        version: Version,
        /// Whether the version comes from the mount or from a pin.
        version_from: VersionFrom,
    },
    /// Say which version a mount starts next.
    TuneMount {
        /// Where.
        path: MountPath,
        /// With its `v`; empty when unversioned.
        from: String,
        /// Version.
        to: Version,
    },
    /// Say which version every mount of a plugin starts next.
    SetPin {
        /// What it is for.
        #[serde(rename = "type")]
        kind: PluginType,
        /// Name of the plugin.
        name: String,
        /// With its `v`.
        from: String,
        /// Version.
        to: Version,
    },
    /// Mount a version where nobody uses it, to see whether it works.
    MountCanary {
        /// Where.
        path: MountPath,
        /// Name of the plugin.
        plugin: String,
        /// What will run there.
        version: Version,
        /// Whether the version comes from the mount or from a pin.
        version_from: VersionFrom,
    },
    /// Write and read there.
    TryCanary {
        /// Where.
        path: MountPath,
        /// Paths below it that are written.
        writes: Vec<String>,
        /// The mount whose configuration that is; `None` when it is the trial's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        live: Option<MountPath>,
        /// Path below it that is read.
        read: Option<String>,
    },
    /// Unmount it.
    RemoveCanary {
        /// Where.
        path: MountPath,
    },
    /// Start the plugin of a mount anew. One mount a step, so that each has the whole time limit of a request.
    #[serde(rename = "reload_mounts")]
    ReloadMount {
        /// Where. A list of one in JSON.
        #[serde(rename = "paths", serialize_with = "as_list")]
        path: MountPath,
    },
    /// Write fields.
    Write {
        /// Full path.
        path: String,
        /// Names of the fields.
        fields: Vec<String>,
    },
    /// Read a path that must return a lease or data, and revoke the lease.
    TryMount {
        /// Full path.
        path: String,
    },
    /// Let the server forget a version.
    DeregisterVersion {
        /// What it is for.
        #[serde(rename = "type")]
        kind: PluginType,
        /// Name.
        name: String,
        /// With its `v`; empty for the unversioned entry.
        version: String,
    },
    /// Take a binary away from nodes.
    RemoveFile {
        /// Those that have it.
        nodes: Vec<NodeName>,
        /// Directory.
        directory: PathBuf,
        /// File name.
        file: String,
    },
    /// Start a node anew, so that it runs what the active one runs.
    RestartNode {
        /// Which one.
        node: NodeName,
    },
    /// Name the image from which nodes that are started anew get their binaries.
    Persist {
        /// Name of the init container.
        container: String,
        /// Its image so far.
        from: String,
        /// Its image from now on.
        to: String,
        /// The files in that one, where it was read.
        #[serde(skip_serializing_if = "Option::is_none")]
        files: Option<BTreeSet<String>>,
    },
    /// Make another node the active one, to see that it serves too.
    HandOver {
        /// From 1.
        turn: usize,
        /// How many there will be.
        of: usize,
    },
}

/// Who says which version a mount runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionFrom {
    /// The mount itself.
    Mount,
    /// A pin; then the mount must not be given one.
    Pin,
}

impl Step {
    /// Whether it changes files or processes that are looked at.
    pub(crate) fn is_of_nodes(&self) -> bool {
        match self {
            Self::PlaceBinary { .. }
            | Self::RemoveFile { .. }
            | Self::ReloadMount { .. }
            | Self::RestartNode { .. }
            | Self::HandOver { .. }
            | Self::Persist { .. } => true,
            // What these start is proven by what the server says, and where it is a reload by the next look.
            Self::EnableMount { .. }
            | Self::MountCanary { .. }
            | Self::TryCanary { .. }
            | Self::TryMount { .. }
            | Self::RemoveCanary { .. }
            | Self::RegisterVersion { .. }
            | Self::DeregisterVersion { .. }
            | Self::TuneMount { .. }
            | Self::SetPin { .. }
            | Self::Write { .. } => false,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlaceBinary { nodes, directory, file, .. } => {
                write!(f, "place {file} in {}{}", directory.display(), on(nodes))
            }
            Self::RegisterVersion { kind, name, version, .. } => {
                write!(f, "register {kind} plugin {name} {}", version.tagged())
            }
            Self::EnableMount { path, plugin, version, .. } => {
                write!(f, "mount {plugin} {} at {path}", version.tagged())
            }
            Self::TuneMount { path, from, to } if from.is_empty() => {
                write!(f, "move {path} to {}", to.tagged())
            }
            Self::TuneMount { path, from, to } => write!(f, "move {path} from {from} to {}", to.tagged()),
            Self::SetPin { name, from, to, .. } => {
                write!(f, "pin {name} to {} instead of {from}", to.tagged())
            }
            Self::MountCanary { path, plugin, version, .. } => {
                write!(f, "mount {plugin} {} for a trial at {path}", version.tagged())
            }
            Self::TryCanary { path, writes, live, read } => {
                write!(f, "prove {path}")?;
                let writes = writes.join(", ");
                match live {
                    _ if writes.is_empty() => {}
                    Some(live) => write!(f, ", copy {writes} of {live} to it")?,
                    None => write!(f, ", write {writes} to it")?,
                }
                match read {
                    Some(read) => write!(f, " and try {read}"),
                    None => Ok(()),
                }
            }
            Self::RemoveCanary { path } => write!(f, "remove {path}"),
            Self::ReloadMount { path } => write!(f, "reload {path}"),
            Self::Write { path, fields } => write!(f, "write {path} ({})", fields.join(", ")),
            Self::TryMount { path } => write!(f, "try {path}"),
            Self::RemoveFile { nodes, directory, file } => {
                write!(f, "remove {file} from {}{}", directory.display(), on(nodes))
            }
            Self::RestartNode { node } => write!(f, "restart {node}, which still runs the version before"),
            Self::Persist { container, to, .. } => {
                write!(f, "take {to} as image of init container {container}")
            }
            Self::HandOver { turn, of } => write!(f, "hand over to another node ({turn} of {of})"),
            Self::DeregisterVersion { kind, name, version } if version.is_empty() => {
                write!(f, "deregister {kind} plugin {name} without a version")
            }
            Self::DeregisterVersion { kind, name, version } => {
                write!(f, "deregister {kind} plugin {name} {version}")
            }
        }
    }
}

fn as_list<S: Serializer>(path: &MountPath, serializer: S) -> Result<S::Ok, S::Error> {
    [path].serialize(serializer)
}

/// Where, unless it is this machine.
fn on(nodes: &[NodeName]) -> String {
    let named: Vec<&str> = nodes.iter().filter(|node| !node.is_local()).map(NodeName::as_str).collect();
    if named.is_empty() { String::new() } else { format!(" on {}", named.join(", ")) }
}
