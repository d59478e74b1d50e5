//! The steps of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use vault_api::SecretString;
use vault_api::catalog::PluginType;

use crate::binary::Binary;
use crate::consumer::Consumer;
use crate::goal::{DesiredValue, DesiredWrite};
use crate::observed::deployment::NodeName;
use crate::version::Version;

/// One change, with everything that is needed to apply it. Values that are written are not serialized, and secret ones are not part of
/// the `Debug` output, so a step can be shown and saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// Copies the binary to the plugin directory of nodes.
    CopyBinary {
        /// The nodes without it.
        nodes: Vec<NodeName>,
        /// The plugin directory.
        directory: PathBuf,
        /// File name.
        file: String,
        /// The binary; its sha256 and size in JSON.
        #[serde(flatten, serialize_with = "as_digest_and_size")]
        binary: Binary,
    },
    /// Registers the version in the catalog.
    RegisterVersion {
        /// Type of the plugin.
        #[serde(rename = "type")]
        kind: PluginType,
        /// Name in the catalog.
        name: String,
        /// The version.
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
    /// Enables a mount.
    EnableMount {
        /// Path of the mount.
        path: Consumer,
        /// Name of the plugin.
        plugin: String,
        /// The version that it runs.
        version: Version,
        /// Whether the version comes from the mount or from a pin.
        version_from: VersionFrom,
    },
    /// Configures the version of a mount, which takes effect when it is reloaded.
    TuneMount {
        /// Path of the mount.
        path: Consumer,
        /// The configured version so far, with its `v`; empty if unversioned.
        from: String,
        /// The version.
        to: Version,
    },
    /// Sets the pin of a plugin, which takes effect when its mounts are reloaded.
    SetPin {
        /// Type of the plugin.
        #[serde(rename = "type")]
        kind: PluginType,
        /// Name of the plugin.
        name: String,
        /// The pinned version so far, with its `v`.
        from: String,
        /// The version.
        to: Version,
    },
    /// Enables the canary mount, on which a version is tested before other mounts use it.
    MountCanary {
        /// Path of the mount.
        path: Consumer,
        /// Name of the plugin.
        plugin: String,
        /// The version that it runs.
        version: Version,
        /// Whether the version comes from the mount or from a pin.
        version_from: VersionFrom,
    },
    /// Configures and smoke-tests the canary mount.
    VerifyCanary {
        /// Path of the mount.
        path: Consumer,
        /// What is written below the mount; only the paths in JSON.
        #[serde(serialize_with = "as_paths")]
        writes: Vec<DesiredWrite>,
        /// The mount whose configuration is copied; `None` if the canary has a separate one.
        #[serde(skip_serializing_if = "Option::is_none")]
        source_mount: Option<Consumer>,
        /// Path below the mount that is smoke-tested.
        smoke_path: Option<String>,
        /// The credentials of its login.
        #[serde(skip)]
        smoke_data: BTreeMap<String, DesiredValue>,
    },
    /// Disables the canary mount.
    RemoveCanary {
        /// Path of the mount.
        path: Consumer,
    },
    /// Reloads the plugin of a mount. One mount per step, so that each has the full timeout of a request.
    ReloadMount {
        /// Path of the mount.
        path: Consumer,
    },
    /// Writes fields.
    Write {
        /// Full path.
        path: String,
        /// What is written; only the names of the fields in JSON.
        #[serde(rename = "fields", serialize_with = "as_field_names")]
        data: BTreeMap<String, DesiredValue>,
    },
    /// Reads a path that must return a lease or data, or logs in, and revokes the lease or the token.
    SmokeTestMount {
        /// The mount.
        #[serde(skip)]
        mount: Consumer,
        /// Full path.
        path: String,
        /// The credentials of the login.
        #[serde(skip)]
        data: BTreeMap<String, DesiredValue>,
    },
    /// Removes a version from the catalog.
    DeregisterVersion {
        /// Type of the plugin.
        #[serde(rename = "type")]
        kind: PluginType,
        /// Name in the catalog.
        name: String,
        /// The version with its `v`; empty for the unversioned entry.
        version: String,
    },
    /// Removes a file from the plugin directory of nodes.
    RemoveBinary {
        /// The nodes that have it.
        nodes: Vec<NodeName>,
        /// The plugin directory.
        directory: PathBuf,
        /// File name.
        file: String,
    },
    /// Restarts a node, so that it runs the same versions as the active one.
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
    /// Sets the image from which restarted nodes get their binaries.
    PatchInitImage {
        /// Name of the init container.
        container: String,
        /// The image so far.
        from: String,
        /// The new image.
        to: String,
        /// The files of the new image, if it was read.
        #[serde(skip_serializing_if = "Option::is_none")]
        files: Option<BTreeSet<String>>,
    },
    /// Makes another node active, to test that it serves.
    StepDown {
        /// Number of the step-down, from 1.
        turn: usize,
        /// Number of all step-downs.
        total: usize,
    },
}

/// What determines the version of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionFrom {
    /// Its configuration.
    Mount,
    /// A pin. Then no version must be configured.
    Pin,
}

/// Whether an unready pod is restarted against its disruption budget. Its absence changes nothing for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreadyPodPolicy {
    /// Evict the pod, which respects the budget.
    Evict,
    /// Delete the pod if the eviction is refused. A rollback must be able to finish.
    Delete,
}

impl Step {
    /// The mount that it smoke-tests.
    pub(crate) fn smoke_tested_mount(&self) -> Option<&Consumer> {
        match self {
            Self::SmokeTestMount { mount, .. } => Some(mount),
            Self::VerifyCanary { path, .. } => Some(path),
            _ => None,
        }
    }

    /// Whether it changes files or processes that are observed.
    pub(crate) fn affects_nodes(&self) -> bool {
        match self {
            Self::CopyBinary { .. }
            | Self::RemoveBinary { .. }
            | Self::ReloadMount { .. }
            | Self::RestartNode { .. }
            | Self::StepDown { .. }
            | Self::PatchInitImage { .. } => true,
            // What these start is verified by the response of the server.
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
            Self::CopyBinary { nodes, directory, file, .. } => {
                write!(f, "copy {file} to {}{}", directory.display(), on_nodes(nodes))
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
                write!(f, "mount {plugin} {} as a canary at {path}", version.v_prefixed())
            }
            Self::VerifyCanary { path, writes, source_mount, smoke_path, smoke_data: _ } => {
                let writes: Vec<&str> = writes.iter().map(|write| write.path.as_str()).collect();
                let configure = match source_mount {
                    _ if writes.is_empty() => None,
                    Some(source) => Some(format!("copy {} from {source}", writes.join(", "))),
                    None => Some(format!("write {}", writes.join(", "))),
                };
                let test = smoke_path.as_ref().map(|path| format!("smoke-test {path}"));
                let parts: Vec<String> = configure.into_iter().chain(test).collect();
                let separator = if parts.is_empty() { "" } else { ": " };
                write!(f, "verify {path}{separator}{}", parts.join(", then "))
            }
            Self::RemoveCanary { path } => write!(f, "remove {path}"),
            Self::ReloadMount { path } => write!(f, "reload {path}"),
            Self::Write { path, data } => {
                let fields: Vec<&str> = data.keys().map(String::as_str).collect();
                write!(f, "write {path} ({})", fields.join(", "))
            }
            Self::SmokeTestMount { path, .. } => write!(f, "smoke-test {path}"),
            Self::RemoveBinary { nodes, directory, file } => {
                write!(f, "remove {file} from {}{}", directory.display(), on_nodes(nodes))
            }
            Self::RestartNode { node, .. } => {
                write!(f, "restart {node}, which still runs the previous version")
            }
            Self::PatchInitImage { container, to, .. } => {
                write!(f, "set the image of init container {container} to {to}")
            }
            Self::StepDown { turn, total } => write!(f, "make another node active ({turn} of {total})"),
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

/// The names of nodes, unless it is this machine.
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
        let path = PathBuf::from("/home/user/custom");
        let (sha256, size) = ("ab".to_owned(), 1000);
        let step = Step::CopyBinary {
            nodes: vec![NodeName::local()],
            directory: "/plugins".into(),
            file: "custom-1.2.3".into(),
            binary: Binary { path, size, sha256, executable: true, format: Format::Other },
        };
        let expected = json!({
            "step": "copy_binary",
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
        let path: Consumer = "custom".parse().expect("a path");
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
                smoke_path: Some("login/alice".into()),
                smoke_data: data.clone(),
            },
            Step::SmokeTestMount { mount: path.clone(), path: path.join("login/alice"), data: data.clone() },
            Step::Write { path: path.join("config"), data },
        ];
        for step in &steps {
            let json = serde_json::to_string(step).expect("a step is JSON");
            let shown = format!("{step} {step:?} {json}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        assert_eq!(
            serde_json::to_value(&steps[3]).expect("a step is JSON"),
            json!({"step": "write", "path": "custom/config", "fields": ["api_key"]})
        );
    }
}
