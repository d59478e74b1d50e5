//! The steps that there are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use vault_api::SecretString;
use vault_api::catalog::PluginType;

use crate::binary::Binary;
use crate::goal::{DesiredValue, DesiredWrite};
use crate::mount_path::MountPath;
use crate::observed::deployment::NodeName;
use crate::version::Version;

/// One change, with everything that is needed to apply it. Values that are written are not serialized, and secret ones are not part of
/// the `Debug` output, so a step can be shown and saved.
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
        /// The binary; its sha256 and size in JSON.
        #[serde(flatten, serialize_with = "as_digest_and_size")]
        binary: Binary,
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
        /// Environment as `KEY=value`.
        #[serde(skip)]
        env: Vec<SecretString>,
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
    VerifyCanary {
        /// Where.
        path: MountPath,
        /// What is written below it; only the paths in JSON.
        #[serde(serialize_with = "as_paths")]
        writes: Vec<DesiredWrite>,
        /// The mount whose configuration that is; `None` when it is the trial's own.
        #[serde(skip_serializing_if = "Option::is_none")]
        source_mount: Option<MountPath>,
        /// Path below it that is read.
        smoke_path: Option<String>,
    },
    /// Unmount it.
    RemoveCanary {
        /// Where.
        path: MountPath,
    },
    /// Start the plugin of a mount anew. One mount a step, so that each has the whole time limit of a request.
    ReloadMount {
        /// Where.
        path: MountPath,
    },
    /// Write fields.
    Write {
        /// Full path.
        path: String,
        /// What is written; only the names of the fields in JSON.
        #[serde(rename = "fields", serialize_with = "as_field_names")]
        data: BTreeMap<String, DesiredValue>,
    },
    /// Read a path that must return a lease or data, and revoke the lease.
    SmokeTestMount {
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
    RemoveBinary {
        /// Those that have it.
        nodes: Vec<NodeName>,
        /// Directory.
        directory: PathBuf,
        /// File name.
        file: String,
    },
    /// Start a node anew, so that it runs what the active one runs.
    RestartNode {
        /// The node.
        node: NodeName,
        /// Uid of its pod, so that a pod that was recreated in the meantime is not restarted.
        #[serde(skip)]
        uid: Option<String>,
        /// What to do if its disruption budget does not allow the restart.
        #[serde(skip)]
        unready: UnreadyPodPolicy,
    },
    /// Name the image from which nodes that are started anew get their binaries.
    PatchInitImage {
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
    StepDown {
        /// From 1.
        turn: usize,
        /// How many there will be.
        total: usize,
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

/// Whether a pod that is not ready is restarted against its disruption budget. Its absence changes nothing for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadyPodPolicy {
    /// Evict the pod, which respects the budget.
    Evict,
    /// Delete the pod if the eviction is refused. A rollback must be able to finish.
    Delete,
}

impl Step {
    /// Whether it changes files or processes that are looked at.
    pub(crate) fn affects_nodes(&self) -> bool {
        match self {
            Self::PlaceBinary { .. }
            | Self::RemoveBinary { .. }
            | Self::ReloadMount { .. }
            | Self::RestartNode { .. }
            | Self::StepDown { .. }
            | Self::PatchInitImage { .. } => true,
            // What these start is proven by what the server says, and where it is a reload by the next look.
            Self::EnableMount { .. }
            | Self::MountCanary { .. }
            | Self::VerifyCanary { .. }
            | Self::SmokeTestMount { .. }
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
                write!(f, "place {file} in {}{}", directory.display(), on_nodes(nodes))
            }
            Self::RegisterVersion { kind, name, version, .. } => {
                write!(f, "register {kind} plugin {name} {}", version.v_prefixed())
            }
            Self::EnableMount { path, plugin, version, .. } => {
                write!(f, "mount {plugin} {} at {path}", version.v_prefixed())
            }
            Self::TuneMount { path, from, to } if from.is_empty() => {
                write!(f, "move {path} to {}", to.v_prefixed())
            }
            Self::TuneMount { path, from, to } => write!(f, "move {path} from {from} to {}", to.v_prefixed()),
            Self::SetPin { name, from, to, .. } => {
                write!(f, "pin {name} to {} instead of {from}", to.v_prefixed())
            }
            Self::MountCanary { path, plugin, version, .. } => {
                write!(f, "mount {plugin} {} for a trial at {path}", version.v_prefixed())
            }
            Self::VerifyCanary { path, writes, source_mount: live, smoke_path: read } => {
                write!(f, "prove {path}")?;
                let writes: Vec<&str> = writes.iter().map(|write| write.path.as_str()).collect();
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
            Self::Write { path, data } => {
                let fields: Vec<&str> = data.keys().map(String::as_str).collect();
                write!(f, "write {path} ({})", fields.join(", "))
            }
            Self::SmokeTestMount { path } => write!(f, "try {path}"),
            Self::RemoveBinary { nodes, directory, file } => {
                write!(f, "remove {file} from {}{}", directory.display(), on_nodes(nodes))
            }
            Self::RestartNode { node, .. } => {
                write!(f, "restart {node}, which still runs the version before")
            }
            Self::PatchInitImage { container, to, .. } => {
                write!(f, "take {to} as image of init container {container}")
            }
            Self::StepDown { turn, total: of } => write!(f, "hand over to another node ({turn} of {of})"),
            Self::DeregisterVersion { kind, name, version } if version.is_empty() => {
                write!(f, "deregister {kind} plugin {name} without a version")
            }
            Self::DeregisterVersion { kind, name, version } => {
                write!(f, "deregister {kind} plugin {name} {version}")
            }
        }
    }
}

fn as_digest_and_size<S: Serializer>(binary: &Binary, serializer: S) -> Result<S::Ok, S::Error> {
    let mut fields = serializer.serialize_struct("Binary", 2)?;
    fields.serialize_field("sha256", &binary.sha256)?;
    fields.serialize_field("size", &binary.size)?;
    fields.end()
}

fn as_paths<S: Serializer>(writes: &[DesiredWrite], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(writes.iter().map(|write| &write.path))
}

fn as_field_names<S: Serializer>(
    data: &BTreeMap<String, DesiredValue>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(data.keys())
}

/// Where, unless it is this machine.
fn on_nodes(nodes: &[NodeName]) -> String {
    let named: Vec<&str> = nodes.iter().filter(|node| !node.is_local()).map(NodeName::as_str).collect();
    if named.is_empty() { String::new() } else { format!(" on {}", named.join(", ")) }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::json;

    use super::*;
    use crate::binary::Format;

    #[test]
    fn a_step_that_places_a_binary_shows_no_path_of_this_machine() {
        let path = PathBuf::from("/home/somebody/custom");
        let (sha256, size) = ("ab".to_owned(), 1000);
        let step = Step::PlaceBinary {
            nodes: vec![NodeName::local()],
            directory: "/plugins".into(),
            file: "custom-1.2.3".into(),
            binary: Binary { path, size, sha256, executable: true, format: Format::Other },
        };
        let expected = json!({
            "step": "place_binary",
            "nodes": ["local"],
            "directory": "/plugins",
            "file": "custom-1.2.3",
            "sha256": "ab",
            "size": 1000,
        });
        assert_eq!(serde_json::to_value(&step).expect("a step is JSON"), expected);
    }

    #[test]
    fn a_step_holds_what_it_writes_and_shows_none_of_it() {
        let secret = || DesiredValue::Secret(SecretString::new("hunter2"));
        let data = BTreeMap::from([("api_key".to_owned(), secret())]);
        let path: MountPath = "custom".parse().expect("a path");
        let steps = [
            Step::RegisterVersion {
                kind: PluginType::Secret,
                name: "custom".into(),
                version: "1.2.3".parse().expect("a version"),
                sha256: "ab".into(),
                command: "custom-1.2.3".into(),
                args: Vec::new(),
                env: vec![SecretString::new("TOKEN=hunter2")],
            },
            Step::VerifyCanary {
                path: path.clone(),
                writes: vec![DesiredWrite { path: "config".into(), data: data.clone() }],
                source_mount: None,
                smoke_path: None,
            },
            Step::Write { path: path.join("config"), data },
        ];
        for step in &steps {
            let json = serde_json::to_string(step).expect("a step is JSON");
            let shown = format!("{step} {step:?} {json}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(
            serde_json::to_value(&steps[2]).expect("a step is JSON"),
            json!({"step": "write", "path": "custom/config", "fields": ["api_key"]})
        );
    }
}
